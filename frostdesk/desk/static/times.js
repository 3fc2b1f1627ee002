// Times as people read them, in the business's time zone. A day is named by its key, YYYY-MM-DD.

import { currentLanguage, t } from "./words.js";

const DAY = 86_400_000;
const formats = new Map();
let zone = "UTC";

/** The IANA time zone of the business. */
export function setZone(name) {
  zone = name;
}

/** Formats are kept: making one takes longer than a hundred uses of it. */
function format(when, options, locale = currentLanguage() === "de" ? "de-CH" : "en-GB") {
  const name = `${locale} ${Object.entries(options)}`;
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat(locale, options));
  return formats.get(name).format(when);
}

/** `14:30`. */
export function clock(when, timeZone = zone) {
  return format(new Date(when), { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** The local day of an instant. */
export function dayKey(when = Date.now(), timeZone = zone) {
  const parts = { timeZone, year: "numeric", month: "2-digit", day: "2-digit" };
  return format(new Date(when), parts, "sv-SE");
}

function noon(key) {
  return new Date(`${key}T12:00:00Z`);
}

/** The day so many days after `key`. */
export function addDays(key, days) {
  return new Date(noon(key).getTime() + days * DAY).toISOString().slice(0, 10);
}

/** The Monday of the week of `key`. */
export function mondayOf(key) {
  return addDays(key, -((noon(key).getUTCDay() + 6) % 7));
}

/** `Saturday 28 November`, with the year where it is another one. */
export function longDay(key) {
  const year = key.slice(0, 4) === dayKey().slice(0, 4) ? undefined : "numeric";
  return format(noon(key), { timeZone: "UTC", weekday: "long", day: "numeric", month: "long", year });
}

/** `28 Nov`. */
export function shortDay(key) {
  return format(noon(key), { timeZone: "UTC", day: "numeric", month: "short" });
}

/** `Sat`. */
export function weekday(key) {
  return format(noon(key), { timeZone: "UTC", weekday: "short" });
}

/** Today, tomorrow and yesterday by name, any other day in full. */
export function namedDay(key) {
  const today = dayKey();
  const names = { [today]: "today", [addDays(today, -1)]: "yesterday", [addDays(today, 1)]: "tomorrow" };
  return key in names ? t(names[key]) : longDay(key);
}

/** How the list of conversations says when: the time today, else the day, as short as it can be. */
export function briefly(when) {
  const [key, today] = [dayKey(when), dayKey()];
  if (key === today) return clock(when);
  if (key === addDays(today, -1)) return t("yesterday");
  return key > addDays(today, -7) && key < today ? weekday(key) : shortDay(key);
}

/** `90 min`, `2 h`. */
export function length(minutes) {
  return minutes % 60 ? t("minutes", { count: minutes }) : t("hours", { count: minutes / 60 });
}

/** A lesson's hours on the wall: `10:00–12:00`. */
export function hours(lesson) {
  const ends = clock(lesson.ends_at, lesson.timezone);
  const later = dayKey(lesson.ends_at, lesson.timezone) > lesson.date && ends !== "00:00";
  return `${lesson.time.slice(0, 5)}–${ends}${later ? ` (${t("nextDay")})` : ""}`;
}
