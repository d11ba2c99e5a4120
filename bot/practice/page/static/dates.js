// Slack's `<!date^...>`: a moment in the reader's own time zone, in one of Slack's formats.
import { make } from "./make.js";

const say = (options) => (at) => at.toLocaleString("en-US", options);
const two = (number) => String(number).padStart(2, "0");
const day = { month: "long", day: "numeric", year: "numeric" };

/** `2026-11-22`, here. */
export const iso = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
/** `03:15`, here. */
export const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

const FORMATS = {
  __proto__: null,
  date: say(day),
  date_num: iso,
  date_slash: say({ year: "numeric", month: "2-digit", day: "2-digit" }),
  date_short: say({ ...day, month: "short" }),
  date_long: say({ ...day, weekday: "long" }),
  time: say({ hour: "numeric", minute: "2-digit" }),
  time_secs: say({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
};

function pretty(at, format) {
  const days = [-1, 0, 1].map((more) => new Date(new Date().setDate(new Date().getDate() + more)).toDateString());
  return ["yesterday", "today", "tomorrow"][days.indexOf(at.toDateString())] ?? format(at);
}

/** A moment (seconds since 1970) in `format`; `fallback` where it is no moment or the format is not known. */
export function drawDate(seconds, format = "", fallback) {
  const at = new Date(seconds * 1000);
  const text = format.replace(/\{(\w+?)(_pretty)?\}/g, (whole, name, near) => (FORMATS[name] ? (near ? pretty(at, FORMATS[name]) : FORMATS[name](at)) : whole));
  if (!text || text.includes("{") || Number.isNaN(at.getTime())) return make("span", fallback || String(seconds));
  return make("time", { datetime: at.toISOString(), title: String(at) }, text);
}
