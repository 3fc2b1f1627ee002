// A client of the Supabase Realtime protocol, version 1.0.0 (supabase.com/docs, "Realtime
// Protocol"): one channel that subscribes to the changes of a few tables.

const TOPIC = "realtime:desk";
const HEARTBEAT = 25_000;
const ANSWER = 8_000;
const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 15_000;
const TOKEN_PAUSE = 1_000;

export class Realtime {
  #attempt = null;
  #socket = null;
  #ref = 0;
  #joinRef = null;
  #heartbeatRef = null;
  #timers = new Set();
  #pause = FIRST_PAUSE;
  #stopped = false;

  /**
   * `source()` resolves to where and as whom: `{url, apikey, token, seconds}`. A token that is
   * valid for some seconds only is renewed in time. `onChange({table, type, record, old, errors})` is
   * called in commit order; `onLive` whenever what was missed has to be fetched; `onLost` when no
   * more changes come.
   */
  constructor({ source, tables, onChange, onLive, onLost }) {
    Object.assign(this, { source, tables, onChange, onLive, onLost });
    this.#connect();
  }

  /** The device woke up or is online again: connect now, or see whether the connection lives. */
  wake() {
    if (this.#stopped) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#beat();
    else if (this.#socket?.readyState !== WebSocket.CONNECTING) this.#connect();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
  }

  async #connect() {
    this.#drop();
    const attempt = {};
    this.#attempt = attempt;
    this.#later(ANSWER, () => this.#joinRef === null && this.#lost());
    const source = await this.source().catch(() => null);
    if (this.#attempt !== attempt) return;
    if (source) this.#open(source);
    else this.#lost();
  }

  #open({ url, apikey, token, seconds }) {
    const socket = new WebSocket(address(url, apikey));
    this.#socket = socket;
    const unlessReplaced = (act) => (event) => this.#socket === socket && act(event);
    socket.onopen = unlessReplaced(() => this.#join(token, seconds));
    socket.onmessage = unlessReplaced((event) => this.#take(JSON.parse(event.data)));
    socket.onclose = unlessReplaced(() => this.#lost());
  }

  #join(token, seconds) {
    const changes = this.tables.map((table) => ({ event: "*", schema: "public", table }));
    const config = {
      broadcast: { ack: false, self: false },
      presence: { key: "", enabled: false },
      postgres_changes: changes,
      private: false,
    };
    this.#joinRef = this.#send(TOPIC, "phx_join", { config, access_token: token });
    const joining = this.#joinRef;
    this.#later(ANSWER, () => this.#joinRef === joining && this.#lost());
    if (seconds) this.#renewWithin(seconds);
  }

  /** Show a new token when half of the old one's time is over; at its end the channel ends. */
  #renewWithin(seconds) {
    this.#later(Math.max(TOKEN_PAUSE, seconds * 500), () => this.#renew());
  }

  async #renew() {
    const socket = this.#socket;
    const source = await this.source().catch(() => null);
    if (this.#socket !== socket || socket.readyState !== WebSocket.OPEN) return;
    if (source) this.#send(TOPIC, "access_token", { access_token: source.token });
    this.#renewWithin(source?.seconds ?? 0);
  }

  #take({ topic, event, payload, ref }) {
    if (event === "phx_reply" && topic === "phoenix") {
      if (ref === this.#heartbeatRef) this.#heartbeatRef = null;
    } else if (topic !== TOPIC) return;
    else if (event === "phx_reply" && ref === this.#joinRef) this.#joined(payload);
    else if (event === "postgres_changes") this.#changed(payload.data);
    else if (event === "system") payload.status === "ok" ? this.onLive() : this.#lost();
    else if (event === "phx_error" || event === "phx_close") this.#lost();
  }

  #joined(payload) {
    if (payload.status !== "ok") return this.#lost();
    this.#joinRef = "";
    this.#pause = FIRST_PAUSE;
    this.#every(HEARTBEAT, () => this.#beat());
    this.onLive();
  }

  #changed(data) {
    const { table, type, record = {}, old_record: old = {}, errors } = data;
    this.onChange({ table, type, record, old, errors: errors?.length ? errors : null });
  }

  /** A heartbeat that is not answered in time means that nobody is there any more. */
  #beat() {
    if (this.#heartbeatRef !== null) return;
    const ref = this.#send("phoenix", "heartbeat", {});
    this.#heartbeatRef = ref;
    this.#later(ANSWER, () => this.#heartbeatRef === ref && this.#lost());
  }

  #lost() {
    this.#drop();
    this.onLost();
    if (this.#stopped) return;
    this.#later(this.#pause * (0.5 + Math.random()), () => this.#connect());
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #drop() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const socket = this.#socket;
    this.#attempt = this.#socket = this.#joinRef = this.#heartbeatRef = null;
    socket?.close();
  }

  #send(topic, event, payload) {
    const ref = String(++this.#ref);
    const join_ref = topic === TOPIC ? (this.#joinRef ?? ref) : null;
    this.#socket.send(JSON.stringify({ topic, event, payload, ref, join_ref }));
    return ref;
  }

  #later(pause, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, pause);
    this.#timers.add(timer);
  }

  #every(pause, act) {
    this.#later(pause, () => {
      act();
      this.#every(pause, act);
    });
  }
}

function address(url, apikey) {
  const found = new URL(url, location.href);
  found.protocol = found.protocol.replace("http", "ws");
  found.searchParams.set("apikey", apikey);
  found.searchParams.set("vsn", "1.0.0");
  return found;
}
