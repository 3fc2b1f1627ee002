// A lesson as a card, with what can be decided about it.

import { ask, say } from "./dialogs.js";
import { h, icon, show, write } from "./dom.js";
import { nameOf } from "./people.js";
import { hours, length, longDay } from "./times.js";
import { t } from "./words.js";

/** An empty card. Its buttons decide about the booking `id`. */
export function bookingCard(desk, id) {
  return h("li", { class: "card" },
    h("a", { class: "name" }, h("bdi")),
    h("p", { class: "day" }),
    h("p", { class: "hours" }),
    h("p", { class: "warning", hidden: true }, icon("failed"), h("span")),
    h("div", { class: "actions" },
      h("button", { class: "cancel", onclick: (event) => decide(desk, id, "cancel", event.target) }, t("cancel")),
      h("button", { class: "confirm primary", onclick: (event) => decide(desk, id, "confirm", event.target) }, t("confirm"))));
}

/** Show `booking` as it stands. `named`: whose lesson it is has to be said. */
export function fillBookingCard(element, booking, store, { named = true } = {}) {
  const part = (name) => element.querySelector(name);
  const name = nameOf(store.conversations.get(booking.conversation_id));
  const warning = warningFor(booking, store);
  element.dataset.status = booking.status;
  part(".name").href = `#/c/${booking.conversation_id}`;
  show(part(".name"), named);
  write(part(".name bdi"), name);
  write(part(".day"), longDay(booking.date));
  write(part(".hours"), `${hours(booking)} · ${length(booking.duration)}`);
  show(part(".warning"), Boolean(warning));
  write(part(".warning span"), warning);
  show(part(".confirm"), booking.status === "pending");
  for (const command of ["cancel", "confirm"]) {
    part(`.${command}`).setAttribute("aria-label", `${t(command)}: ${name}, ${longDay(booking.date)}, ${hours(booking)}`);
  }
}

/** Lessons of that status that share a moment with `booking`, which only touching ones do not. */
export function overlapping(booking, store, status) {
  const [starts, ends] = [Date.parse(booking.starts_at), Date.parse(booking.ends_at)];
  return [...store.bookings.values()].filter((other) =>
    other.id !== booking.id && other.status === status &&
    starts < Date.parse(other.ends_at) && Date.parse(other.starts_at) < ends);
}

/** Why the instructor should think twice, or an empty text. */
export function warningFor(booking, store) {
  const conflict = conflictOf(booking, store);
  if (conflict || booking.status !== "pending") return conflict;
  if (Date.parse(booking.starts_at) < Date.now()) return t("isPast");
  return about("rivals", overlapping(booking, store, "pending"), store);
}

/** Which confirmed lesson is in the way, or an empty text. */
function conflictOf(booking, store) {
  return about("conflict", overlapping(booking, store, "confirmed"), store);
}

function about(key, [other], store) {
  if (!other) return "";
  return t(key, { name: nameOf(store.conversations.get(other.conversation_id)), time: hours(other) });
}

/** Ask once, then confirm or cancel. Until there is an answer, `button` cannot be pressed again. */
export async function decide({ api, store }, id, command, button) {
  const booking = store.bookings.get(id);
  const name = nameOf(store.conversations.get(booking.conversation_id));
  const confirms = command === "confirm";
  const agreed = await ask({
    title: t(confirms ? "confirmTitle" : "cancelTitle"),
    lines: [`${name} · ${longDay(booking.date)}, ${hours(booking)}`, t("toldOnWhatsApp", { name })],
    warning: confirms ? warningFor(booking, store) : "",
    yes: t(confirms ? "yesConfirm" : "yesCancel"),
    dangerous: !confirms,
  });
  if (!agreed) return;
  button.disabled = true;
  try {
    store.putBooking(await api.post(`/bookings/${id}/${command}`));
  } catch (error) {
    const inTheWay = error.status === 409 && confirms ? conflictOf(booking, store) : "";
    say(inTheWay || error.message, "error");
  } finally {
    button.disabled = false;
  }
}
