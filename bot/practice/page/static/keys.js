// What the keyboard does everywhere on the page.

import { at } from "./dom.js";

const REGIONS = ["side", "main", "composer", "thread", "panel"];

/** Ctrl/Cmd+K finds a channel, Alt+Up/Down goes through them, Escape closes, F6 goes from region to region. */
export function listenForKeys(page) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.defaultPrevented || !page.store.state) return;
    const step = event.altKey && { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") page.find();
    else if (step) neighbour(page, step);
    else if (event.key === "F6") nextRegion(event.shiftKey ? -1 : 1);
    else if (event.key !== "Escape" || !escape(page)) return;
    event.preventDefault();
  });
}

function neighbour(page, step) {
  const places = page.places();
  const here = places.findIndex((p) => p.id === page.place.channel);
  page.go(places[(here + step + places.length) % places.length].id);
}

function nextRegion(step) {
  const shown = REGIONS.map(at).filter((e) => e && e.offsetParent !== null);
  const here = shown.findLastIndex((e) => e.contains(document.activeElement));
  shown[(here + step + shown.length) % shown.length].focus();
}

function escape(page) {
  const { classList } = at("layout");
  if (classList.contains("side-open")) classList.remove("side-open");
  else if (page.place.thread) page.closeThread();
  else return false;
  return true;
}
