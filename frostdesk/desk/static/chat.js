// One conversation: who it is, what was said, and what the instructor can do about it.

import { fillBubble, newBubble } from "./bubble.js";
import { bookingCard, fillBookingCard } from "./booking.js";
import { Composer } from "./composer.js";
import { say } from "./dialogs.js";
import { h, icon, keyed, show, write } from "./dom.js";
import { initials, nameOf, number } from "./people.js";
import { dayKey, namedDay } from "./times.js";
import { t } from "./words.js";

const NEAR = 96;
const WINDOW = 24 * 3_600_000;

export class Chat {
  #id = null;
  #atEnd = true;
  #fetchingOlder = false;
  #missing = false;

  constructor(desk, { onBack }) {
    this.desk = desk;
    this.composer = new Composer(desk, { onSend: () => this.#follow() });
    this.name = h("h2", { tabindex: "-1" }, h("bdi"));
    this.number = h("p", { class: "muted small" });
    this.avatar = h("span", { class: "avatar", "aria-hidden": "true" });
    this.switch = h("button", {
      class: "switch", role: "switch", "aria-label": t("assistantSwitch"), onclick: () => this.#toggle(),
    }, h("span", { class: "knob" }), h("span", { class: "label" }));
    this.notes = h("div", { class: "notes" });
    this.older = h("button", { class: "quiet older", onclick: () => this.#fetchOlder() }, t("older"));
    this.rows = h("ol", { class: "messages" });
    this.scroller = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("conversation"), onscroll: () => this.#scrolled() },
      this.older, this.rows);
    this.down = h("button", { class: "down", "aria-label": t("toNewest"), hidden: true, onclick: () => this.#toEnd() }, icon("down"));
    this.cards = h("ul", { class: "cards" });
    this.head = h("header", { class: "who" },
      h("button", { class: "quiet back", "aria-label": t("backToList"), onclick: onBack }, icon("back")),
      this.avatar, h("div", { class: "names" }, this.name, this.number), this.switch);
    this.talk = h("div", { class: "talk", hidden: true },
      this.head, this.notes,
      h("div", { class: "history" }, this.scroller, this.down),
      this.cards, this.composer.element);
    this.nothing = h("div", { class: "nothing" }, icon("mountain"), h("h2", { tabindex: "-1" }), h("p", { class: "muted" }),
      h("button", { class: "quiet back", onclick: onBack }, t("backToList")));
    this.element = h("main", { class: "pane chat" }, this.talk, this.nothing);
    this.visible = new IntersectionObserver(
      ([entry]) => entry.isIntersecting && this.#fetchOlder(), { root: this.scroller });
    this.visible.observe(this.older);
    this.resized = new ResizeObserver(() => this.#atEnd && this.#toEnd());
    this.resized.observe(this.scroller);
    this.resized.observe(this.rows);
  }

  close() {
    this.visible.disconnect();
    this.resized.disconnect();
  }

  focus() {
    (this.talk.hidden ? this.nothing.querySelector("h2") : this.name).focus();
  }

  /** Show this conversation, or none. */
  open(conversationId) {
    if (conversationId === this.#id) return;
    this.#id = conversationId;
    this.#atEnd = true;
    this.#missing = false;
    this.rows.replaceChildren();
    this.composer.open(conversationId);
    this.desk.sync.open(conversationId).then(() => {
      this.#missing = this.desk.store.loaded && !this.desk.store.conversations.has(conversationId);
      this.update();
    });
  }

  update() {
    const { store } = this.desk;
    const conversation = store.conversations.get(this.#id);
    show(this.talk, Boolean(conversation));
    show(this.nothing, !conversation && (!this.#id || this.#missing || store.loaded));
    write(this.nothing.querySelector("h2"), t(this.#id ? "unknownConversation" : "choose"));
    write(this.nothing.querySelector("p"), this.#id ? "" : t("chooseHint"));
    if (!conversation) return;
    this.#fillHead(conversation);
    this.#fillNotes(conversation);
    this.#fillRows(store.chats.get(this.#id));
    this.#fillCards(conversation);
    this.composer.update(conversation);
  }

  #fillHead(conversation) {
    write(this.name.firstElementChild, nameOf(conversation));
    write(this.number, number(conversation));
    write(this.avatar, initials(conversation));
    this.switch.setAttribute("aria-checked", String(!conversation.paused));
    write(this.switch.lastElementChild, t(conversation.paused ? "assistantOff" : "assistantOn"));
  }

  #fillNotes(conversation) {
    const { handed_over: reason, stopped, customer_at: at } = conversation;
    const notes = [];
    if (reason) notes.push({ kind: "urgent", text: t("handedOverBecause", { reason }) });
    if (stopped) notes.push({ kind: "calm", text: t("stopped") });
    if (Date.now() - Date.parse(at) > WINDOW) notes.push({ kind: "calm", text: t("closedWindow") });
    keyed(this.notes, notes, {
      key: (note) => note.text,
      create: (note) => h("p", { class: `note ${note.kind}` }, icon(note.kind === "urgent" ? "hand" : "clock"), h("span", {}, note.text)),
      update: () => {},
    });
  }

  #fillRows(chat) {
    const rows = [...(chat?.rows.values() ?? [])].sort((a, b) => a.version - b.version);
    const before = this.scroller.scrollHeight - this.scroller.scrollTop;
    const [first] = rows;
    const isOlder = this.first !== undefined && first && first.version < this.first;
    this.first = first?.version;
    keyed(this.rows, withDays(rows), {
      key: (item) => item.id,
      create: (item) => (item.day ? h("li", { class: "day" }, h("span")) : newBubble(() => this.#retry())),
      update: (element, item) =>
        item.day ? write(element.firstElementChild, namedDay(item.day)) : fillBubble(element, item),
    });
    show(this.older, Boolean(chat?.cursor));
    // What is being read stays where it is while older messages come in above it.
    if (isOlder && !this.#atEnd) this.scroller.scrollTop = this.scroller.scrollHeight - before;
    if (this.#atEnd) this.#toEnd();
  }

  #fillCards(conversation) {
    const waiting = [...this.desk.store.bookings.values()]
      .filter((b) => b.conversation_id === conversation.id && b.status === "pending")
      .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
    keyed(this.cards, waiting, {
      key: (booking) => booking.id,
      create: (booking) => bookingCard(this.desk, booking.id),
      update: (element, booking) => fillBookingCard(element, booking, this.desk.store, { named: false }),
    });
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    show(this.down, !this.#atEnd);
  }

  /** Stay with the newest message from now on. */
  #follow() {
    this.#atEnd = true;
    this.#toEnd();
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  async #fetchOlder() {
    const chat = this.desk.store.chats.get(this.#id);
    if (!chat?.cursor || this.#fetchingOlder) return;
    this.#fetchingOlder = true;
    await this.desk.sync.older(this.#id);
    this.#fetchingOlder = false;
    // Still in sight where messages are few and short: then there is room for more.
    this.visible.unobserve(this.older);
    this.visible.observe(this.older);
  }

  async #toggle() {
    const { paused } = this.desk.store.conversations.get(this.#id);
    await this.#command(paused ? "resume" : "pause");
  }

  async #retry() {
    if (await this.#command("retry")) say(t("retrying"));
  }

  async #command(name) {
    const { api, store } = this.desk;
    try {
      store.putConversation(await api.post(`/conversations/${this.#id}/${name}`));
      return true;
    } catch (error) {
      say(error.message, "error");
      return false;
    }
  }
}

/** The rows, with the day before each row that begins another day than the one above it. */
function withDays(rows) {
  let shown = null;
  let author = null;
  return rows.flatMap((row) => {
    const day = dayKey(row.role === "user" ? (row.sent_at ?? row.created_at) : row.created_at);
    const isNewDay = day !== shown;
    const who = row.author ?? (row.role === "user" ? "customer" : "assistant");
    const item = { ...row, author: who, isFirst: isNewDay || who !== author };
    [shown, author] = [day, who];
    return isNewDay ? [{ id: `${day} ${row.id}`, day }, item] : [item];
  });
}
