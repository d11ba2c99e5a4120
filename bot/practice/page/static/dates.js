// Slack's `<!date^...>`: a moment in the reader's own time zone, in one of Slack's formats.
import { el } from "./dom.js";

const say = (options) => (at) => at.toLocaleString("en-US", options);
const long = { month: "long", day: "numeric", year: "numeric" };
const time = { hour: "numeric", minute: "2-digit" };

/** `2026-11-22`, here. */
export const iso = (at) => at.toLocaleDateString("sv");
/** `03:15`, here. */
export const minutes = (at) => at.toLocaleTimeString("sv").slice(0, 5);

const FORMATS = {
  __proto__: null,
  date: say(long),
  date_num: iso,
  date_slash: say({ year: "numeric", month: "2-digit", day: "2-digit" }),
  date_short: say({ ...long, month: "short" }),
  date_long: say({ ...long, weekday: "long" }),
  time: say(time),
  time_secs: say({ ...time, second: "2-digit" }),
};

function pretty(at, format) {
  const days = [-1, 0, 1].map((more) => new Date(new Date().setDate(new Date().getDate() + more)).toDateString());
  return ["yesterday", "today", "tomorrow"][days.indexOf(at.toDateString())] ?? format(at);
}

/** A moment (seconds since 1970) in `format`; `fallback` where it is no moment or the format is not known. */
export function drawDate(seconds, format = "", fallback) {
  const at = new Date(seconds * 1000);
  const text = format.replace(/\{(\w+?)(_pretty)?\}/g, (whole, name, near) => (FORMATS[name] ? (near ? pretty(at, FORMATS[name]) : FORMATS[name](at)) : whole));
  if (!text || text.includes("{") || Number.isNaN(at.getTime())) return el("span", fallback || String(seconds));
  return el("time", { datetime: at.toISOString(), title: String(at) }, text);
}
