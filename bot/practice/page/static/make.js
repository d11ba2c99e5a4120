// The one way in which elements are made here: strings become text nodes, so no data can become markup.

let serial = 0;

/** A new id for an element, unique on the page. */
export const uid = (name) => `bk-${name}-${++serial}`;

/** An element with attributes, listeners (`onclick`: f) and children; null, undefined and false are left out. */
export function make(tag, attrs = {}, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
}

/** A fragment of nodes and strings. */
export function fragment(...kids) {
  const made = document.createDocumentFragment();
  made.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return made;
}

/** What stands for something that can't be shown here: its name, a line about it and, if given, its JSON. */
export function box(name, about = "", json = undefined) {
  return make(
    "div",
    { class: "bk-box", role: "group", "aria-label": name },
    make("span", { class: "bk-box-name" }, name),
    about && make("span", { class: "bk-box-about" }, about),
    json !== undefined && make("pre", { class: "bk-pre", tabindex: "0" }, JSON.stringify(json, null, 2)),
  );
}

/** Text for screen readers only. */
export const spoken = (text) => make("span", { class: "bk-spoken" }, text);

/** Calls `act` as soon as `node` is in the document. */
export function onceShown(node, act) {
  if (node.isConnected) return act();
  const seen = new MutationObserver(() => {
    if (!node.isConnected) return;
    seen.disconnect();
    act();
  });
  seen.observe(document, { childList: true, subtree: true });
}

/** Where in `root` the focus is, to be given to its successor; null if it is elsewhere. */
export function whereFocus(root) {
  const at = document.activeElement;
  if (!at || !root.contains(at)) return null;
  const key = at.closest("[data-key]")?.dataset.key;
  const ends = at.matches("input, textarea") ? [at.selectionStart, at.selectionEnd] : null;
  return key === undefined ? null : { key, ends };
}

/** Gives the focus to what has the same key in `root`; whether there was such a thing. */
export function giveFocus(root, mark) {
  const found = mark && [...root.querySelectorAll("[data-key]")].find((node) => node.dataset.key === mark.key);
  if (!found) return false;
  found.focus({ preventScroll: true });
  // Number and date fields have no selection, and say so by throwing or by null.
  if (mark.ends && mark.ends[0] !== null && found.selectionStart !== null) found.setSelectionRange?.(...mark.ends);
  return true;
}
