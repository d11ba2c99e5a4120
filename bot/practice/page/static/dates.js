// Slack's `<!date^...>`: a moment in the reader's own time zone, in one of Slack's formats.
import { make } from "./make.js";

const DAY = 86_400_000;
const say = (options) => (at) => new Intl.DateTimeFormat("en-US", options).format(at);
const two = (number) => String(number).padStart(2, "0");
const ordinal = (n) => `${n}${(n % 100 > 10 && n % 100 < 14 ? "" : ["", "st", "nd", "rd"][n % 10]) || "th"}`;

function long(at) {
  return `${say({ month: "long" })(at)} ${ordinal(at.getDate())}, ${at.getFullYear()}`;
}

function pretty(format) {
  return (at) => {
    const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
    const days = Math.round((midnight(at) - midnight(new Date())) / DAY);
    return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] ?? format(at);
  };
}

function ago(at) {
  const seconds = (at.getTime() - Date.now()) / 1000;
  const units = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units[3];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

const short = say({ month: "short", day: "numeric", year: "numeric" });
const full = (at) => `${say({ weekday: "long" })(at)}, ${long(at)}`;
const FORMATS = {
  date_num: (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
  date_slash: say({ year: "numeric", month: "2-digit", day: "2-digit" }),
  date: long,
  date_pretty: pretty(long),
  date_short: short,
  date_short_pretty: pretty(short),
  date_long: full,
  date_long_full: full,
  date_long_pretty: pretty(full),
  date_full: long,
  day_divider_pretty: pretty(full),
  time: say({ hour: "numeric", minute: "2-digit" }),
  time_secs: say({ hour: "numeric", minute: "2-digit", second: "2-digit" }),
  ago,
};

/** A moment (seconds since 1970) in `format`; `fallback` where it is no moment or the format is not known. */
export function drawDate(seconds, format, fallback = "", address = "", link = null) {
  const at = new Date(seconds * 1000);
  const known = [...format.matchAll(/\{(\w+)\}/g)].every(([, name]) => FORMATS[name]);
  if (!Number.isFinite(at.getTime()) || !known || !format) return make("span", {}, fallback || String(seconds));
  const text = format.replace(/\{(\w+)\}/g, (_, name) => FORMATS[name](at));
  const shown = make("time", { datetime: at.toISOString(), title: at.toString() }, text);
  return address && link ? link(address, shown) : shown;
}
