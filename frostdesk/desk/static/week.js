// A week of lessons, day by day: a bar that shows when the day is taken, and each lesson in words.

import { decide, overlapping, warningFor } from "./booking.js";
import { h, icon, keyed, show, write } from "./dom.js";
import { nameOf } from "./people.js";
import { addDays, clock, dayKey, hours, mondayOf, shortDay, weekday } from "./times.js";
import { t } from "./words.js";

const DAY = [8 * 60, 18 * 60];
const MIDNIGHT = 24 * 60;

export class Week {
  #monday = mondayOf(dayKey());

  constructor(desk) {
    this.desk = desk;
    const move = (days) => () => this.#show(addDays(this.#monday, days));
    const arrow = (shape, label, days) =>
      h("button", { class: "quiet", "aria-label": label, title: label, onclick: move(days) }, icon(shape));
    this.range = h("p", { class: "muted", "aria-live": "polite" });
    this.today = h("button", { class: "quiet", onclick: () => this.#show(mondayOf(dayKey())) }, t("thisWeek"));
    this.days = h("ol", { class: "week" });
    this.element = h("section", { "aria-label": t("weekView") },
      h("div", { class: "week-head" },
        h("div", {}, h("h2", {}, t("weekView")), this.range),
        this.today,
        arrow("back", t("previousWeek"), -7),
        arrow("next", t("nextWeek"), 7)),
      this.days);
  }

  #show(monday) {
    this.#monday = monday;
    this.update();
  }

  update() {
    const week = Array.from({ length: 7 }, (_, n) => addDays(this.#monday, n));
    const lessons = [...this.desk.store.bookings.values()]
      .filter((b) => b.status !== "cancelled")
      .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
    const days = new Map(week.map((day) => [day, lessons.filter((b) => b.date <= day && day <= lastDay(b))]));
    const span = spanOf(days);
    write(this.range, `${shortDay(week[0])} – ${shortDay(week[6])}`);
    show(this.today, this.#monday !== mondayOf(dayKey()));
    keyed(this.days, week, {
      key: (day) => day,
      create: (day) => newDay(day),
      update: (element, day) => this.#fill(element, day, days.get(day), span),
    });
  }

  #fill(element, day, lessons, span) {
    element.classList.toggle("today", day === dayKey());
    element.classList.toggle("free", !lessons.length);
    this.#fillBar(element.querySelector(".track"), day, lessons, span);
    keyed(element.querySelector(".lessons"), lessons, {
      key: (booking) => booking.id,
      create: (booking) => this.#newLesson(booking.id),
      update: (item, booking) => this.#fillLesson(item, booking),
    });
  }

  #fillBar(bar, day, lessons, [from, to]) {
    const percent = (minute) => `${(100 * (minute - from)) / (to - from)}%`;
    keyed(bar, lessons, {
      key: (booking) => booking.id,
      create: () => h("i"),
      update: (block, booking) => {
        const [begins, ends] = minutesOn(day, booking);
        block.dataset.status = booking.status;
        block.classList.toggle("clash", this.#clashes(booking));
        block.style.left = percent(begins);
        block.style.width = `${(100 * (ends - begins)) / (to - from)}%`;
      },
    });
  }

  #newLesson(id) {
    const cancel = (event) => decide(this.desk, id, "cancel", event.target);
    return h("li", {},
      h("a", {}, h("span", { class: "hours" }), h("bdi")),
      h("span", { class: "state" }),
      h("button", { class: "quiet cancel", onclick: cancel }, t("cancel")),
      h("p", { class: "warning", hidden: true }, icon("failed"), h("span")));
  }

  #fillLesson(item, booking) {
    const { store } = this.desk;
    const name = nameOf(store.conversations.get(booking.conversation_id));
    const clashes = this.#clashes(booking);
    item.dataset.status = booking.status;
    item.querySelector("a").href = `#/c/${booking.conversation_id}`;
    write(item.querySelector(".hours"), hours(booking));
    write(item.querySelector("bdi"), name);
    write(item.querySelector(".state"), t(booking.status === "pending" ? "proposed" : "confirmed"));
    show(item.querySelector(".cancel"), booking.status === "confirmed");
    item.querySelector(".cancel").setAttribute("aria-label", `${t("cancelLesson")}: ${name}, ${hours(booking)}`);
    show(item.querySelector(".warning"), clashes);
    write(item.querySelector(".warning span"), clashes ? warningFor(booking, store) : "");
  }

  #clashes(booking) {
    return booking.status === "pending" && overlapping(booking, this.desk.store, "confirmed").length > 0;
  }
}

function newDay(day) {
  const label = h("h3", {}, h("span", {}, weekday(day)), h("time", { datetime: day }, String(Number(day.slice(8)))));
  return h("li", { class: "weekday" }, label,
    h("div", {}, h("div", { class: "track", "aria-hidden": "true" }), h("ul", { class: "lessons" })));
}

/** The day on which a lesson ends: one that crosses midnight is seen on both. */
function lastDay(booking) {
  return dayKey(Date.parse(booking.ends_at) - 1, booking.timezone);
}

/** From which minute of `day` to which the lesson lasts. */
function minutesOn(day, booking) {
  const minute = (time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
  if (booking.date !== day) return [0, minute(clock(booking.ends_at, booking.timezone))];
  const begins = minute(booking.time);
  return [begins, Math.min(begins + booking.duration, MIDNIGHT)];
}

/** The minutes of the day that the bars cover: a skiing day, and whatever lies outside of it. */
function spanOf(days) {
  const parts = [...days].flatMap(([day, lessons]) => lessons.map((booking) => minutesOn(day, booking)));
  return [Math.min(DAY[0], ...parts.map(([from]) => from)), Math.max(DAY[1], ...parts.map(([, to]) => to))];
}
