// Slack's `<!date^...>`: a moment in the reader's own time zone, in one of Slack's formats.
import { make } from "./make.js";

const say = (options) => (at) => new Intl.DateTimeFormat("en-US", options).format(at);
const month = say({ month: "long" });
const ordinal = (n) => `${n}${(n % 100 > 10 && n % 100 < 14 ? "" : ["", "st", "nd", "rd"][n % 10]) || "th"}`;
const long = (at) => `${month(at)} ${ordinal(at.getDate())}, ${at.getFullYear()}`;
const full = (at) => `${say({ weekday: "long" })(at)}, ${long(at)}`;
const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
const days = (at) => Math.round((midnight(at) - midnight(new Date())) / 86_400_000);
const pretty = (format) => (at) => ({ "-1": "yesterday", 0: "today", 1: "tomorrow" })[days(at)] ?? format(at);
const two = (number) => String(number).padStart(2, "0");

/** `2026-11-22`, here. */
export const iso = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
/** `03:15`, here. */
export const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

function ago(at) {
  const seconds = (at - Date.now()) / 1000;
  const units = { day: 86_400, hour: 3600, minute: 60, second: 1 };
  const unit = Object.keys(units).find((name) => Math.abs(seconds) >= units[name]) ?? "second";
  return new Intl.RelativeTimeFormat("en").format(Math.round(seconds / units[unit]), unit);
}

const FORMATS = {
  date_num: iso,
  date_slash: say({ year: "numeric", month: "2-digit", day: "2-digit" }),
  date: long,
  date_full: long,
  date_long: full,
  date_long_full: full,
  day_divider: full,
  date_short: say({ month: "short", day: "numeric", year: "numeric" }),
  time: say({ hour: "numeric", minute: "2-digit" }),
  time_secs: say({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
  ago,
};
const formatOf = (name) => FORMATS[name] ?? (name.endsWith("_pretty") && FORMATS[name.slice(0, -7)] ? pretty(FORMATS[name.slice(0, -7)]) : null);

/** A moment (seconds since 1970) in `format`; `fallback` where it is no moment or the format is not known. */
export function drawDate(seconds, format, fallback) {
  const at = new Date(seconds * 1000);
  const known = format && [...format.matchAll(/\{(\w+)\}/g)].every(([, name]) => formatOf(name));
  if (!known || Number.isNaN(at.getTime())) return make("span", fallback || String(seconds));
  const text = format.replace(/\{(\w+)\}/g, (_, name) => formatOf(name)(at));
  return make("time", { datetime: at.toISOString(), title: String(at) }, text);
}
