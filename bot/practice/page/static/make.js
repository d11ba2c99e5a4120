// The one way in which elements are made here: strings become text nodes, so no data can become markup.

let serial = 0;

/** A new id for an element, unique on the page. */
export const uid = () => `bk-${++serial}`;

const put = (node, kids) => {
  node.append(...kids.flat(Infinity).filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
};

/** A fragment of nodes and strings; null, undefined and false are left out. */
export const fragment = (...kids) => put(document.createDocumentFragment(), kids);

/** An element, `make("p.small.red", {id: "x", onclick: f}, "words", child)`; attributes may be left out. */
export function make(what, attrs, ...kids) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  if (attrs?.constructor !== Object) return put(node, [attrs, ...kids]);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  return put(node, kids);
}

/** A real button. */
export const button = (what, attrs, ...kids) => make(`button.${what}`, { type: "button", ...attrs }, kids);

/** Text as it stands, in a box that scrolls. */
export const pre = (...kids) => make("pre.bk-pre", { tabindex: 0 }, kids);

/** What stands for something that can't be shown here: its name, a line about it and, if given, its JSON. */
export const box = (name, about, json) =>
  make("div.bk-box", { role: "group", "aria-label": name }, make("b", name), about && make("small", about), json && pre(JSON.stringify(json, null, 2)));

/** Calls `act` as soon as `node` is in the document. */
export function onceShown(node, act) {
  const seen = new MutationObserver(() => node.isConnected && (seen.disconnect(), act()));
  seen.observe(document, { childList: true, subtree: true });
}

/** Where in `root` the focus is, to be given to its successor; null if it is elsewhere. */
export function whereFocus(root) {
  const at = document.activeElement;
  const key = root.contains(at) && at.dataset.key;
  return key ? { key, ends: [at.selectionStart, at.selectionEnd] } : null;
}

/** Gives the focus to what has the same key in `root`; whether there was such a thing. */
export function giveFocus(root, mark) {
  const found = mark && [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === mark.key);
  found?.focus({ preventScroll: true });
  // Buttons, numbers and dates have no selection.
  if (Number.isInteger(mark?.ends[0]) && Number.isInteger(found?.selectionStart)) found.setSelectionRange(...mark.ends);
  return Boolean(found);
}
