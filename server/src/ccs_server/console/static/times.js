/** Times and lengths of time as people read them. */

import { html } from "./vendor/lit-html/lit-html.js";

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A length of time by its two largest units, such as `1 h 5 min`. */
export function duration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count) parts.push(`${count} ${unit}`);
    rest %= size;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

/** A time to live in seconds; 0 is forever. */
export function timeToLive(seconds) {
  return seconds ? duration(seconds) : "forever";
}

/** How long ago a time was, with the time itself as the title; `none` if there is no time. */
export function ago(time, now, none = "–") {
  if (!time) return none;
  const seconds = (now - Date.parse(time)) / 1000;
  return moment(time, seconds < 2 ? "just now" : `${duration(seconds)} ago`);
}

/** A time, without the day if that is today's. */
export function at(time, now) {
  const day = (each) => new Date(each).toDateString();
  return moment(time, (day(time) === day(now) ? hour : exact).format(new Date(time)));
}

function moment(time, text) {
  return html`<time datetime=${time} title=${exact.format(new Date(time))}>${text}</time>`;
}
