// The secret address under which the lessons can be subscribed to as a calendar.

import { ask, say } from "./dialogs.js";
import { h, icon, show } from "./dom.js";
import { t } from "./words.js";

export class Feed {
  constructor({ api }) {
    this.api = api;
    this.address = h("input", { readonly: true, "aria-label": t("feedAddress"), onfocus: () => this.address.select() });
    this.make = h("button", { onclick: () => this.#command("post"), hidden: true }, t("feedMake"));
    this.shown = h("div", { class: "feed", hidden: true },
      this.address,
      h("button", { onclick: () => this.#copy() }, icon("copy"), t("feedCopy")),
      h("button", { class: "quiet", onclick: () => this.#revoke() }, t("feedRevoke")));
    this.element = h("section", { hidden: true },
      h("h2", {}, t("feed")), h("p", { class: "muted small" }, t("feedHint")), this.shown, this.make);
    this.#load();
  }

  async #load() {
    try {
      this.#fill(await this.api.get("/calendar"));
    } catch {
      show(this.element, false);
    }
  }

  #fill(calendar) {
    const url = calendar?.url;
    // The service may not know the address by which it is reached through a proxy; the page does.
    this.address.value = url ? new URL(new URL(url).pathname, location.origin).href : "";
    show(this.element, true);
    show(this.shown, Boolean(url));
    show(this.make, !url);
  }

  async #command(method) {
    try {
      this.#fill(await this.api[method]("/calendar"));
    } catch (error) {
      say(error.message, "error");
    }
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.address.value);
      say(t("feedCopied"));
    } catch {
      // Without HTTPS a page may not write to the clipboard; the address is ready to be copied.
      this.address.focus();
    }
  }

  async #revoke() {
    const agreed = await ask({
      title: t("feedRevokeTitle"),
      lines: [t("feedRevokeText")],
      yes: t("feedRevoke"),
      dangerous: true,
    });
    if (agreed) await this.#command("delete");
  }
}
