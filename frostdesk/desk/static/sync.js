// Keeps the store true: changes come live, and whatever may have been missed is fetched by HTTP.

import { Realtime } from "./realtime.js";

const OWN = "/realtime/v1/websocket";
const TABLES = ["conversations", "messages", "bookings"];
const POLL = 5_000;
const GATHER = 80;
const CHAT_PAGE = 50;
const CHAT_PAGE_MOST = 200;
const MANY = 20;
const CALM = 1_000;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

export class Sync {
  /** `live`: changes come by themselves. `seen`: when the lists were last known to be true. */
  live = false;
  seen = null;
  #opened = null;
  #refreshing = null;
  #again = false;
  #counts = new Set();
  #counting = null;
  #calmAt = 0;
  #poll = null;
  #listeners = new AbortController();

  /** `announce(row)` is told of messages that customers have just written. */
  constructor({ api, store, config, announce, fail }) {
    Object.assign(this, { api, store, config, announce, fail });
    this.realtime = new Realtime({
      source: () => this.#source(),
      tables: TABLES,
      onChange: (change) => this.#take(change),
      onLive: () => this.#setLive(true),
      onLost: () => this.#setLive(false),
    });
    this.#poll = setInterval(() => this.#fallBack(), POLL);
    const { signal } = this.#listeners;
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
    addEventListener("online", () => this.#wake(), { signal });
    addEventListener("offline", () => store.changed(), { signal });
    this.refresh();
  }

  stop() {
    this.#listeners.abort();
    clearInterval(this.#poll);
    clearTimeout(this.#counting);
    this.realtime.stop();
  }

  /** Supabase, where it is used and there is a token that it knows; else the service itself. */
  async #source() {
    const own = { url: OWN, apikey: this.api.token, token: this.api.token, seconds: null };
    if (!this.config.anon_key) return own;
    const { token, seconds } = await this.api.get("/desk/token");
    const { realtime_url: url, anon_key: apikey } = this.config;
    return token ? { url, apikey, token, seconds } : own;
  }

  /** The conversation that is looked at; its messages are fetched and kept true. */
  async open(conversationId) {
    this.#opened = conversationId;
    if (UUID.test(conversationId)) await this.#attempt(() => this.#fetchMessages(conversationId));
  }

  /** Older messages of a conversation. */
  older(conversationId) {
    const path = `/conversations/${conversationId}/messages`;
    const { cursor } = this.store.chats.get(conversationId);
    let page;
    return this.#attempt(() =>
      this.store.guarded(
        async () => (page = await this.api.page(path, cursor, CHAT_PAGE)),
        (_, newer) => this.store.addOlder(conversationId, page, newer),
      ),
    );
  }

  /** The newest message of a conversation, for its line in the list. */
  async preview(conversation) {
    const at = Date.parse(conversation.last_message_at);
    if ((this.store.previews.get(conversation.id)?.at ?? -1) >= at) return;
    this.store.setPreview(conversation.id, null, at);
    try {
      const page = await this.api.page(`/conversations/${conversation.id}/messages`, null, 1);
      this.store.setPreview(conversation.id, page.items[0], at);
    } catch {
      this.store.setPreview(conversation.id, null, -1);
    }
    this.store.changed();
  }

  /** Fetch everything that is shown. Asked for while under way, it runs once more. */
  refresh() {
    this.#again = true;
    this.#refreshing ??= this.#refreshWhileAsked();
    return this.#refreshing;
  }

  async #refreshWhileAsked() {
    while (this.#again) {
      this.#again = false;
      await this.#attempt(async () => {
        await Promise.all([this.#fetchConversations(), this.#fetchBookings()]);
        if (this.#opened && this.store.conversations.has(this.#opened)) {
          await this.#fetchMessages(this.#opened);
        }
        this.seen = new Date();
        this.store.loaded = true;
      });
      this.store.changed();
    }
    this.#refreshing = null;
  }

  #fetchConversations() {
    return this.store.guarded(
      () => this.api.all("/conversations"),
      (rows, newer) => this.store.replaceAll("conversations", rows, newer),
    );
  }

  #fetchBookings() {
    const lists = ["pending", "confirmed"].map((status) => `/bookings?status=${status}`);
    return this.store.guarded(
      async () => (await Promise.all(lists.map((path) => this.api.all(path)))).flat(),
      (rows, newer) => this.store.replaceAll("bookings", rows, newer),
    );
  }

  /** As many messages as are known already, or the newest ones. */
  #fetchMessages(conversationId) {
    const known = [...(this.store.chats.get(conversationId)?.rows.values() ?? [])];
    const oldest = Math.min(...known.map((row) => row.version));
    const path = `/conversations/${conversationId}/messages`;
    const found = { items: [], cursor: null };
    return this.store.guarded(
      async () => {
        const limit = known.length > CHAT_PAGE ? CHAT_PAGE_MOST : CHAT_PAGE;
        do {
          const page = await this.api.page(path, found.cursor, limit);
          found.items.push(...page.items);
          found.cursor = page.cursor;
        } while (found.cursor && known.length && found.items.at(-1).version > oldest);
      },
      (_, newer) => this.store.replaceMessages(conversationId, found, newer),
    );
  }

  #take({ table, type, record, old, errors }) {
    // A row too large for the protocol comes without its contents.
    if (errors) return this.refresh();
    if (type === "DELETE") return this.store.remove(table, old.id);
    if (table === "bookings") this.store.putBooking(record);
    if (table === "conversations") this.#takeConversation(record);
    if (table === "messages") this.#takeMessage(record, type);
  }

  #takeConversation(record) {
    this.store.putConversation(record);
    this.#count(record.id);
  }

  #takeMessage(record, type) {
    this.store.putMessage(record);
    this.#count(record.conversation_id);
    if (type === "INSERT" && record.role === "user") this.announce(record);
  }

  /** What a conversation counts is in no table: ask, once for changes that come together. */
  #count(conversationId) {
    this.#counts.add(conversationId);
    const pause = Math.max(GATHER, this.#calmAt - Date.now());
    this.#counting ??= setTimeout(() => this.#fetchCounts(), pause);
  }

  async #fetchCounts() {
    const ids = [...this.#counts];
    this.#counts.clear();
    this.#counting = null;
    if (ids.length > MANY) {
      this.#calmAt = Date.now() + CALM;
      return this.refresh();
    }
    await this.#attempt(() => Promise.all(ids.map((id) => this.#fetchConversation(id))));
  }

  #fetchConversation(id) {
    return this.store.guarded(
      () => this.api.get(`/conversations/${id}`),
      (row, newer) => newer.has(id) || this.store.conversations.set(id, row),
    );
  }

  #setLive(live) {
    this.live = live;
    if (live) this.refresh();
    this.store.changed();
  }

  #wake() {
    this.realtime.wake();
    this.refresh();
  }

  #fallBack() {
    if (!this.live && !document.hidden) this.refresh();
  }

  /** A lost connection shows at the top of the page; only other failures are worth a word. */
  async #attempt(act) {
    try {
      await act();
    } catch (error) {
      if (error.status !== 0 && error.status !== 401) this.fail(error);
    }
  }
}
