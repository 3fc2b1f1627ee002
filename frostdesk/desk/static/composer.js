// Where the instructor writes. What was begun stays with its conversation.

import { say } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { nameOf } from "./people.js";
import { t } from "./words.js";

export class Composer {
  #id = null;
  #sending = false;

  constructor({ api, store }) {
    Object.assign(this, { api, store });
    this.input = h("textarea", {
      rows: "1", placeholder: t("write"), oninput: () => this.#keep(), onkeydown: (event) => this.#key(event),
    });
    this.button = h("button", { class: "primary round", type: "submit", "aria-label": t("send"), title: t("send") }, icon("send"));
    const submit = (event) => {
      event.preventDefault();
      this.#send();
    };
    this.element = h("form", { class: "composer", onsubmit: submit }, this.input, this.button);
  }

  open(conversationId) {
    this.#id = conversationId;
    this.input.value = this.store.drafts.get(conversationId)?.text ?? "";
    this.#ready();
  }

  update(conversation) {
    this.input.setAttribute("aria-label", t("compose", { name: nameOf(conversation) }));
  }

  /** The key belongs to the text: the same text sent again after a lost answer is sent once. */
  #keep() {
    this.store.drafts.set(this.#id, { text: this.input.value, key: newKey() });
    this.#ready();
  }

  #ready() {
    this.button.disabled = this.#sending || !this.input.value.trim();
  }

  /** Enter sends, except under a finger: there it begins a line. */
  #key(event) {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (!sends || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    this.#send();
  }

  async #send() {
    const id = this.#id;
    const draft = this.store.drafts.get(id);
    if (this.#sending || !draft?.text.trim()) return;
    this.#sending = true;
    this.#ready();
    try {
      const headers = { "Idempotency-Key": draft.key };
      const row = await this.api.post(`/conversations/${id}/messages`, { text: draft.text.trim() }, headers);
      this.#sent(id, draft, row);
    } catch (error) {
      say(error.message, "error");
    } finally {
      this.#sending = false;
      this.#ready();
    }
  }

  #sent(id, draft, row) {
    if (!this.store.chats.get(id)?.rows.has(row.id)) this.store.putMessage(row);
    if (this.store.drafts.get(id) !== draft) return;
    this.store.drafts.delete(id);
    if (this.#id === id) this.input.value = "";
  }
}

/** A key that nobody else has made. `crypto.randomUUID` is missing on plain HTTP in a network. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
