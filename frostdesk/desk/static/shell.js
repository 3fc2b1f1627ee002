// The frame: header, three panes (one at a time on a phone), tabs, and the address after `#`.

import { Chat } from "./chat.js";
import { noticePlace } from "./dialogs.js";
import { h, icon, show, write } from "./dom.js";
import { Lessons } from "./lessons.js";
import { List } from "./list.js";
import { nameOf, plain } from "./people.js";
import { clock } from "./times.js";
import { t } from "./words.js";

const PATIENCE = 2_000;

export class Shell {
  #gone = new AbortController();
  #troubled = null;

  /** `leave()` signs out, `onLanguage()` draws everything anew in the other language. */
  constructor(desk) {
    this.desk = desk;
    const go = (hash) => () => (location.hash = hash);
    this.list = new List(desk);
    this.chat = new Chat(desk, { onBack: go("#/") });
    this.lessons = new Lessons(desk);
    this.spoken = h("p", { class: "unseen", "aria-live": "polite" });
    this.banner = h("p", { class: "banner", role: "status", hidden: true });
    this.panes = h("div", { class: "panes" },
      this.list.element, this.chat.element, this.lessons.element);
    document.body.replaceChildren(
      this.#skip(), this.#header(), this.banner, this.panes, this.#tabs(), noticePlace(), this.spoken);
    const { signal } = this.#gone;
    addEventListener("hashchange", () => this.#route(true), { signal });
    addEventListener("focus", () => this.#update(), { signal });
    addEventListener("storage", () => this.#readElsewhere(), { signal });
    addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#unlisten = desk.store.listen(() => this.#update());
    this.#clock = setInterval(() => this.#update(), 30_000);
    this.#route(false);
  }

  #unlisten;
  #clock;

  close() {
    this.#gone.abort();
    this.#unlisten();
    clearInterval(this.#clock);
    clearTimeout(this.#troubled);
    this.list.close();
    this.chat.close();
  }

  /** Speak a customer's new message to a screen reader. */
  announce(row) {
    const name = nameOf(this.desk.store.conversations.get(row.conversation_id));
    write(this.spoken, t("newMessage", { name, text: plain(row.content).slice(0, 200) }));
  }

  #skip() {
    const jump = () => this.chat.focus();
    return h("button", { class: "skip", onclick: jump }, t("skip"));
  }

  #header() {
    this.state = h("span", { class: "state", role: "status" });
    const { leave, onLanguage } = this.desk;
    return h("header", { class: "bar" },
      h("span", { class: "logo", "aria-hidden": "true" }),
      h("h1", {}, "FrostDesk"),
      this.state,
      h("button", { class: "quiet", lang: t("otherLanguage"), title: t("language"), "aria-label": t("language"), onclick: onLanguage },
        t("otherLanguage").toUpperCase()),
      h("button", { class: "quiet leave", title: t("signOut"), "aria-label": t("signOut"), onclick: () => leave() },
        icon("leave")));
  }

  #tabs() {
    const tab = (hash, name) => {
      const count = h("span", { class: "count", hidden: true });
      return h("a", { href: hash }, icon(name === "conversations" ? "chats" : "lessons"), t(name), count);
    };
    this.chatsTab = tab("#/", "conversations");
    this.lessonsTab = tab("#/lessons", "lessons");
    return h("nav", { class: "tabs", "aria-label": "FrostDesk" }, this.chatsTab, this.lessonsTab);
  }

  #route(moved) {
    const [, place, id] = location.hash.split("/");
    const conversation = place === "c" ? id : null;
    document.querySelector("dialog[open]")?.close("no");
    const pane = conversation ? "chat" : place === "lessons" ? "lessons" : "list";
    document.body.dataset.pane = pane;
    this.list.select(conversation);
    this.chat.open(conversation);
    this.#update();
    if (moved && pane === "chat") this.chat.focus();
  }

  #readElsewhere() {
    this.list.reread();
    this.#update();
  }

  #key(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (document.body.dataset.pane === "chat") {
      this.list.focus();
      location.hash = "#/";
    }
  }

  #update() {
    this.list.update();
    this.chat.update();
    this.lessons.update();
    const { pane } = document.body.dataset;
    mark(this.chatsTab, this.list.unread, pane !== "lessons");
    mark(this.lessonsTab, this.lessons.waiting, pane === "lessons");
    document.title = this.list.unread ? `(${this.list.unread}) FrostDesk` : "FrostDesk";
    this.#showState();
  }

  #showState() {
    const { sync } = this.desk;
    const state = !navigator.onLine ? "offline" : sync.live ? "live" : "connecting";
    this.state.dataset.state = state;
    write(this.state, t(state));
    if (state === "live") {
      clearTimeout(this.#troubled);
      this.#troubled = null;
      show(this.banner, false);
    } else this.#troubled ??= setTimeout(() => this.#warn(), PATIENCE);
  }

  #warn() {
    const { sync } = this.desk;
    const stale = !sync.seen || Date.now() - sync.seen > 3 * PATIENCE + 5_000;
    const time = sync.seen ? clock(sync.seen) : "–";
    write(this.banner, navigator.onLine && !stale ? t("pollBanner") : t("offlineBanner", { time }));
    show(this.banner, true);
    this.#troubled = setTimeout(() => this.#warn(), PATIENCE);
  }
}

function mark(tab, count, current) {
  const badge = tab.querySelector(".count");
  write(badge, String(count));
  show(badge, count > 0);
  if (current) tab.setAttribute("aria-current", "page");
  else tab.removeAttribute("aria-current");
}
