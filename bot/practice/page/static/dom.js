// Builds elements from data without ever parsing markup, so that no text can become an element.

import { giveFocus, whereFocus } from "./make.js";

/** A new element; `props` are properties, or attributes if named `aria-*`, `data-*` or `role`; `on*` are listeners. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$)/.test(name)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return made;
}

/** A real button with words in it. */
export function button(text, onclick, props = {}) {
  return el("button", { type: "button", onclick, ...props }, text);
}

/** Makes `host` hold exactly `items` ({key, sig, draw}) in order; what has the same key and sig is left untouched. */
export function keyed(host, items) {
  const before = new Map([...host.children].map((child) => [child.key, child]));
  let next = host.firstElementChild;
  for (const { key, sig, draw } of items) {
    const old = before.get(key);
    before.delete(key);
    const same = old && sameSig(old.sig, sig);
    const child = same ? old : draw();
    if (!same) {
      child.key = key;
      child.sig = sig;
    }
    if (old && !same) {
      if (old === next) next = child;
      const held = old.contains(document.activeElement);
      const mark = whereFocus(old);
      old.replaceWith(child);
      if (held && !giveFocus(child, mark)) child.focus({ preventScroll: true });
    } else if (child !== next) host.insertBefore(child, next);
    if (child === next) next = child.nextElementSibling;
  }
  for (const gone of before.values()) gone.remove();
}

function sameSig(a, b) {
  return a.length === b.length && a.every((part, n) => part === b[n]);
}

/** Reads and writes one value that outlives a reload; `where` is the browser's storage for it. */
export function kept(where, key, fallback = "") {
  return {
    get: () => where.getItem(key) ?? fallback,
    set: (value) => (value ? where.setItem(key, value) : where.removeItem(key)),
  };
}

/** Up to two letters for a name. */
export function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return (words.length > 1 ? words[0][0] + words[words.length - 1][0] : name.slice(0, 2)).toUpperCase();
}

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** The time of a message, as a Date. */
export function when(message) {
  return new Date(message.at ?? parseFloat(message.ts) * 1000);
}

/** ``Today``, ``Yesterday``, or the day in words. */
export function day(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(date);
}

/** A `<time>` that shows hours and minutes. */
export function clock(date) {
  return el("time", { dateTime: date.toISOString(), title: date.toLocaleString("en-GB") }, CLOCK.format(date));
}

/** ``1 reply``, ``3 replies``. */
export function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}
