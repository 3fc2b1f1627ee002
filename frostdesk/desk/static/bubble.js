// One message in its bubble. What a customer wrote is only ever a text node.

import { h, icon, show, write } from "./dom.js";
import { clock } from "./times.js";
import { t } from "./words.js";

/** An empty bubble; `onRetry` is called for a message that failed. */
export function newBubble(onRetry) {
  return h("li", { class: "bubble" },
    h("span", { class: "author" }),
    h("p", { class: "text", dir: "auto" }),
    h("p", { class: "trouble", hidden: true }, icon("failed"), h("span"),
      h("button", { onclick: onRetry }, icon("retry"), t("retry"))),
    h("span", { class: "meta" }, h("span", { class: "edited" }), h("time"), h("span", { class: "tick" })));
}

/** Show `row`, a message with its `author`; `isFirst` of those that follow one another. */
export function fillBubble(element, row) {
  const part = (name) => element.querySelector(name);
  const deleted = Boolean(row.deleted_at) || row.status === "deleted";
  element.dataset.author = row.author;
  element.classList.toggle("first", row.isFirst);
  element.classList.toggle("deleted", deleted);
  write(part(".author"), t(row.author));
  write(part(".text"), deleted ? t("deleted") : row.content);
  write(part(".edited"), row.edited_at && !deleted ? t("edited") : "");
  const at = row.role === "user" ? (row.sent_at ?? row.created_at) : row.created_at;
  part("time").dateTime = at;
  write(part("time"), clock(at));
  tick(part(".tick"), stateOf(row));
  trouble(part(".trouble"), row);
}

function trouble(place, row) {
  const failed = row.status === "failed";
  show(place, failed);
  if (!failed) return;
  const key = row.role === "user" ? "unanswered" : "failedBecause";
  write(place.querySelector("span"), t(key, { reason: row.error ?? t("failed") }));
}

function stateOf(row) {
  if (row.role === "user") return row.status === "waiting" ? "waiting" : "";
  if (row.status === "failed") return "failed";
  if (row.read_at) return "read";
  if (row.delivered_at) return "delivered";
  return row.status;
}

const SHAPE = {
  waiting: "clock", pending: "clock", unsettled: "unknown", repeated: "unknown",
  sent: "sent", delivered: "delivered", read: "read", failed: "failed",
};

function tick(place, state) {
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  place.title = state && t(state);
  place.replaceChildren(...(SHAPE[state] ? [icon(SHAPE[state], t(state))] : []));
}
