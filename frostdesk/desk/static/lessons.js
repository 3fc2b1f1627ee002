// The lessons: those that wait for a yes, the week, and the address for the own calendar.

import { bookingCard, fillBookingCard } from "./booking.js";
import { h, keyed, show, write } from "./dom.js";
import { Feed } from "./feed.js";
import { t } from "./words.js";
import { Week } from "./week.js";

export class Lessons {
  waiting = 0;

  constructor(desk) {
    this.desk = desk;
    this.week = new Week(desk);
    this.feed = new Feed(desk);
    this.cards = h("ul", { class: "cards" });
    this.none = h("p", { class: "muted none" }, t("nothingToDecide"));
    this.count = h("span", { class: "count" });
    this.element = h("aside", { class: "pane lessons", "aria-label": t("lessons") },
      h("div", { class: "scroll" },
        h("section", {}, h("h2", {}, t("toDecide"), this.count), this.cards, this.none),
        this.week.element,
        this.feed.element));
  }

  update() {
    const { store } = this.desk;
    const pending = [...store.bookings.values()]
      .filter((booking) => booking.status === "pending")
      .sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
    this.waiting = pending.length;
    keyed(this.cards, pending, {
      key: (booking) => booking.id,
      create: (booking) => bookingCard(this.desk, booking.id),
      update: (element, booking) => fillBookingCard(element, booking, store),
    });
    show(this.none, store.loaded && !pending.length);
    show(this.count, pending.length > 0);
    write(this.count, String(pending.length));
    this.week.update();
  }
}
