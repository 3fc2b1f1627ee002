// Where the instructor writes. What was begun stays with its conversation.

import { say } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { nameOf } from "./people.js";
import { t } from "./words.js";

export class Composer {
  #id = null;
  #sending = false;

  /** `onSend` is called when something goes out. */
  constructor({ api, store }, { onSend }) {
    Object.assign(this, { api, store, onSend });
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
    this.#put(id, null);
    this.onSend();
    try {
      const headers = { "Idempotency-Key": draft.key };
      const row = await this.api.post(`/conversations/${id}/messages`, { text: draft.text.trim() }, headers);
      if (!this.store.chats.get(id)?.rows.has(row.id)) this.store.putMessage(row);
    } catch (error) {
      say(error.message, "error");
      this.#giveBack(id, draft);
    } finally {
      this.#sending = false;
      this.#ready();
    }
  }

  /** What could not be sent stands before what was begun meanwhile. */
  #giveBack(id, draft) {
    const begun = this.store.drafts.get(id)?.text;
    this.#put(id, begun ? { text: `${draft.text}\n${begun}`, key: newKey() } : draft);
  }

  #put(id, draft) {
    if (draft) this.store.drafts.set(id, draft);
    else this.store.drafts.delete(id);
    if (this.#id === id) this.input.value = draft?.text ?? "";
    this.#ready();
  }
}

/** A key that nobody else has made. `crypto.randomUUID` is missing on plain HTTP in a network. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
