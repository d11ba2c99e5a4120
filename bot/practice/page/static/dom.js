// Elements are made here only, and strings become text nodes, so no data can become markup.

let serial = 0;

/** A new id, unique on the page. */
export const uid = () => `bk-${++serial}`;

export const at = (id) => document.getElementById(id);

const put = (node, kids) => {
  node.append(...kids.flat(Infinity).filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
};

/** A fragment of nodes and strings; null, undefined and false are left out. */
export const fragment = (...kids) => put(document.createDocumentFragment(), kids);

/** An element, `el("p.small.red", {id: "x", onclick: f}, "words", child)`; attributes may be left out; `label` is for who can't see it. */
export function el(what, attrs, ...kids) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  if (attrs?.constructor !== Object) return put(node, [attrs, ...kids]);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else if (name === "label") node.ariaLabel = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  return put(node, kids);
}

/** An element that is for the eye only. */
export const sign = (what, ...kids) => el(what, { "aria-hidden": "true" }, kids);

export const button = (text, onclick, attrs) => el("button", { type: "button", onclick, ...attrs }, text);

/** Buttons of which one is pressed, first the one at `now`; `chosen(n)` hears of each press. */
export function choice(label, names, chosen, now = 0) {
  const press = (n) => all.forEach((one, at) => (one.ariaPressed = at === n));
  const all = names.map((name, n) => button(name, () => (press(n), chosen(n))));
  press(now);
  return el("div.tabs", { role: "group", label }, all);
}

/** Text as it stands, in a box that scrolls. */
export const pre = (...kids) => el("pre.bk-pre", { tabindex: 0 }, kids);

/** What stands for something that can't be shown here: its name, a line about it and, if given, its JSON. */
export const box = (name, about, json) =>
  el("div.box", { role: "group", label: name }, el("b", name), about && el("small", about), json && pre(JSON.stringify(json, null, 2)));

/** The event does here what it does, and nothing else. */
export function halt(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Calls `act` as soon as `node` is in the document. */
export function onceShown(node, act) {
  const seen = new MutationObserver(() => node.isConnected && (seen.disconnect(), act()));
  seen.observe(document, { childList: true, subtree: true });
}

/** Where in `root` the focus is, to be given to its successor; null if it is elsewhere. */
export function whereFocus(root) {
  const now = document.activeElement;
  const key = root.contains(now) && now.dataset.key;
  return key ? { key, ends: [now.selectionStart, now.selectionEnd] } : null;
}

/** Gives the focus to what has the same key in `root`; whether there was such a thing. */
export function giveFocus(root, mark) {
  const found = mark && [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === mark.key);
  found?.focus({ preventScroll: true });
  // Buttons, numbers and dates have no selection.
  if (Number.isInteger(mark?.ends[0]) && Number.isInteger(found?.selectionStart)) found.setSelectionRange(...mark.ends);
  return Boolean(found);
}

/** Makes `host` hold exactly `items` ({key, sig, draw}) in order; what has the same key and sig is left untouched. */
export function keyed(host, items) {
  const before = new Map([...host.children].map((child) => [child.key, child]));
  let next = host.firstElementChild;
  for (const { key, sig, draw } of items) {
    const old = before.get(key);
    before.delete(key);
    const same = old?.sig.every((part, n) => part === sig[n]);
    const child = same ? old : Object.assign(draw(), { key, sig });
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

/** Reads and writes one value that outlives a reload; `where` is the browser's storage for it. */
export const kept = (where, key, fallback = "") => ({
  get: () => where.getItem(key) ?? fallback,
  set: (value) => (value ? where.setItem(key, value) : where.removeItem(key)),
});

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

export const when = (message) => new Date(message.at ?? message.ts * 1000);

/** ``Today``, ``Yesterday``, or the day in words. */
export function day(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  return ["Today", "Yesterday"][days] ?? DAY.format(date);
}

export const clockOf = (t) => new Date(t * 1000).toLocaleTimeString("en-GB");

/** A `<time>` that shows hours and minutes. */
export const clock = (date) => el("time", { datetime: date.toISOString(), title: date.toLocaleString("en-GB") }, date.toLocaleTimeString("en-GB").slice(0, 5));

/** ``1 reply``, ``3 replies``. */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
