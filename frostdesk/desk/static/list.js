// The conversations: those that wait for a person first, then the newest.

import { h, icon, keyed, show, write } from "./dom.js";
import { initials, matches, nameOf, number, plain } from "./people.js";
import { briefly } from "./times.js";
import { t } from "./words.js";

const SEEN = "frostdesk.seen";

export class List {
  unread = 0;
  #selected = null;
  #seen = readSeen();

  constructor({ store, sync }) {
    Object.assign(this, { store, sync });
    this.query = h("input", {
      type: "search", placeholder: t("search"), "aria-label": t("search"), oninput: () => this.update(),
    });
    this.items = h("ul", { class: "conversations", onkeydown: (event) => this.#key(event) });
    this.nothing = h("div", { class: "nothing", hidden: true }, icon("mountain"), h("h3"), h("p", { class: "muted" }));
    this.loading = h("div", { class: "loading", role: "status", "aria-label": t("loading") },
      Array.from({ length: 5 }, () => h("span")));
    this.element = h("nav", { class: "pane list", "aria-label": t("conversations") },
      h("div", { class: "find" }, icon("search"), this.query),
      h("div", { class: "scroll" }, this.loading, this.items, this.nothing));
    this.visible = new IntersectionObserver((entries) => this.#preview(entries));
  }

  close() {
    this.visible.disconnect();
  }

  select(conversationId) {
    this.#selected = conversationId;
  }

  /** Another tab may have shown what is unread here. */
  reread() {
    this.#seen = readSeen();
  }

  /** Bring the focus back to the selected conversation, or to the first. */
  focus() {
    const link = this.items.querySelector("[aria-current]") ?? this.items.querySelector("a");
    setTimeout(() => link?.focus(), 0);
  }

  update() {
    this.#readSelected();
    const all = [...this.store.conversations.values()].sort(order);
    this.unread = all.filter((c) => this.#isUnread(c)).length;
    const query = plain(this.query.value);
    const found = query ? all.filter((c) => matches(query, c, this.#texts(c))) : all;
    keyed(this.items, found, {
      key: (conversation) => conversation.id,
      create: (conversation) => this.#create(conversation),
      update: (element, conversation) => this.#fill(element, conversation),
    });
    this.#fetchPreviews();
    show(this.loading, !this.store.loaded && !all.length);
    show(this.nothing, this.store.loaded && !found.length);
    write(this.nothing.querySelector("h3"), query ? t("nothingFound", { query }) : t("empty"));
    write(this.nothing.querySelector("p"), t(query ? "nothingFoundHint" : "emptyHint"));
  }

  /** The texts of a conversation that are here. */
  #texts(conversation) {
    const rows = [...(this.store.chats.get(conversation.id)?.rows.values() ?? [])];
    const preview = this.store.previews.get(conversation.id)?.row;
    return [...rows, ...(preview ? [preview] : [])].map((row) => row.content);
  }

  #create(conversation) {
    const link = h("a", { href: `#/c/${conversation.id}` },
      h("span", { class: "avatar", "aria-hidden": "true" }),
      h("span", { class: "top" }, h("bdi", { class: "name" }), h("time")),
      h("span", { class: "bottom" }, h("span", { class: "preview" }, h("bdi")), h("span", { class: "marks" })));
    const item = h("li", {}, link);
    this.visible.observe(item);
    return item;
  }

  #fill(element, conversation) {
    const part = (name) => element.querySelector(name);
    write(part(".avatar"), initials(conversation));
    write(part(".name"), nameOf(conversation));
    write(part("time"), briefly(conversation.last_message_at));
    write(part(".preview bdi"), this.#line(conversation));
    const unread = this.#isUnread(conversation);
    element.classList.toggle("unread", unread);
    element.classList.toggle("handed-over", Boolean(conversation.handed_over));
    this.#mark(part(".marks"), conversation, unread);
    const link = element.firstElementChild;
    if (conversation.id === this.#selected) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }

  #line(conversation) {
    const row = this.store.previews.get(conversation.id)?.row;
    if (!row) return number(conversation);
    if (row.deleted_at) return t("deleted");
    const text = plain(row.content.slice(0, 200));
    return row.role === "user" ? text : `${t(row.author ?? "assistant")}: ${text}`;
  }

  #mark(place, conversation, unread) {
    const marks = [];
    if (conversation.handed_over) marks.push(["hand", t("handedOver"), "urgent"]);
    if (conversation.failed) marks.push(["failed", t("failedCount", { count: conversation.failed }), "bad"]);
    if (conversation.paused) marks.push(["pause", t("paused"), "calm"]);
    else if (conversation.waiting) marks.push(["clock", t("waiting"), "calm"]);
    if (unread) marks.push(["", t("unread"), "dot"]);
    const state = JSON.stringify(marks);
    if (place.dataset.state === state) return;
    place.dataset.state = state;
    place.replaceChildren(...marks.map(([shape, label, kind]) =>
      h("span", { class: `mark ${kind}`, title: label, role: "img", "aria-label": label },
        shape ? icon(shape) : null)));
  }

  #isUnread(conversation) {
    return conversation.customer_version > (this.#seen[conversation.id] ?? 0);
  }

  /** What is open before the instructor's eyes has been read. */
  #readSelected() {
    const conversation = this.store.conversations.get(this.#selected);
    if (!conversation || !document.hasFocus() || !this.#isUnread(conversation)) return;
    this.#seen = { ...readSeen(), [conversation.id]: conversation.customer_version };
    localStorage.setItem(SEEN, JSON.stringify(this.#seen));
  }

  #preview(entries) {
    for (const { isIntersecting, target } of entries) {
      target.dataset.visible = isIntersecting;
    }
    this.#fetchPreviews();
  }

  #fetchPreviews() {
    for (const item of this.items.querySelectorAll("[data-visible=true]")) {
      const conversation = this.store.conversations.get(item.dataset.key);
      if (conversation) this.sync.preview(conversation);
    }
  }

  #key(event) {
    const links = [...this.items.querySelectorAll("a")];
    const at = links.indexOf(event.target);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 };
    const next = links[moves[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

function order(a, b) {
  const urgent = Boolean(b.handed_over) - Boolean(a.handed_over);
  return urgent || Date.parse(b.last_message_at) - Date.parse(a.last_message_at);
}

/** The version of the customer's words that were last read, by conversation. */
function readSeen() {
  try {
    return JSON.parse(localStorage.getItem(SEEN)) ?? {};
  } catch {
    return {};
  }
}
