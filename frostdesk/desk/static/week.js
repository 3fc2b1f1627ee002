// A week of lessons, day by day: a bar that shows when the day is taken, and each lesson in words.

import { decide, overlapping, warningFor } from "./booking.js";
import { h, icon, keyed, show, write } from "./dom.js";
import { nameOf } from "./people.js";
import { addDays, dayKey, hours, mondayOf, shortDay, weekday } from "./times.js";
import { t } from "./words.js";

const DAY = [8 * 60, 18 * 60];

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
      .filter((b) => b.status !== "cancelled" && b.date >= week[0] && b.date <= week[6])
      .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
    const span = spanOf(lessons);
    write(this.range, `${shortDay(week[0])} – ${shortDay(week[6])}`);
    show(this.today, this.#monday !== mondayOf(dayKey()));
    keyed(this.days, week, {
      key: (day) => day,
      create: (day) => newDay(day),
      update: (element, day) => this.#fill(element, day, lessons.filter((b) => b.date === day), span),
    });
  }

  #fill(element, day, lessons, span) {
    element.classList.toggle("today", day === dayKey());
    element.classList.toggle("free", !lessons.length);
    this.#fillBar(element.querySelector(".track"), lessons, span);
    keyed(element.querySelector(".lessons"), lessons, {
      key: (booking) => booking.id,
      create: (booking) => this.#newLesson(booking.id),
      update: (item, booking) => this.#fillLesson(item, booking),
    });
  }

  #fillBar(bar, lessons, [from, to]) {
    const percent = (minute) => `${(100 * (minute - from)) / (to - from)}%`;
    keyed(bar, lessons, {
      key: (booking) => booking.id,
      create: () => h("i"),
      update: (block, booking) => {
        const begins = minuteOf(booking);
        block.dataset.status = booking.status;
        block.classList.toggle("clash", this.#clashes(booking));
        block.style.left = percent(begins);
        block.style.width = `${(100 * Math.min(booking.duration, to - begins)) / (to - from)}%`;
      },
    });
  }

  #newLesson(id) {
    const cancel = () => decide(this.desk, id, "cancel");
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

function minuteOf(booking) {
  return Number(booking.time.slice(0, 2)) * 60 + Number(booking.time.slice(3, 5));
}

/** The minutes of the day that the bars cover: a skiing day, and whatever lies outside of it. */
function spanOf(lessons) {
  const starts = lessons.map(minuteOf);
  const ends = lessons.map((booking) => Math.min(minuteOf(booking) + booking.duration, 24 * 60));
  return [Math.min(DAY[0], ...starts), Math.max(DAY[1], ...ends)];
}
