// The panel on the right, with the incident and the inspector, and the tour's box: parts that others mount.

import { at, button, choice, el, kept } from "./dom.js";
import { mountIncident } from "./incident.js";
import { mountInspector } from "./inspector.js";
import { mountTour } from "./tour.js";

const PARTS = { Incident: mountIncident, Inspector: mountInspector };
const NAMES = Object.keys(PARTS);
const chosen = kept(sessionStorage, "panel");
const closed = kept(sessionStorage, "panel-closed");
const hidden = kept(sessionStorage, "tour-hidden");

/** Builds the panel and the tour's box once. */
export function mountPanel(store) {
  const bodies = NAMES.map((name) => el("section.panel-body", { id: `panel-${name.toLowerCase()}`, label: name, tabindex: 0 }));
  const choose = (n) => {
    chosen.set(NAMES[n]);
    bodies.forEach((body, at) => (body.hidden = at !== n));
  };
  const first = Math.max(0, NAMES.indexOf(chosen.get()));
  const close = button("Close", () => showPanel(false), { class: "quiet", label: "Close the panel" });
  at("panel").append(el("div.bar", choice("Panel", NAMES, choose, first), close), ...bodies);
  NAMES.forEach((name, n) => PARTS[name](bodies[n], store));
  choose(first);
  open(closed.get() ? closed.get() === "no" : matchMedia("(min-width: 75rem)").matches);
  mountBox(store);
}

/** Opens the panel or closes it, and moves the focus along. */
export function showPanel(wanted) {
  closed.set(wanted ? "no" : "yes");
  open(wanted);
  at(wanted ? "panel" : "panel-toggle").focus();
}

function open(wanted) {
  at("panel").hidden = !wanted;
  at("layout").classList.toggle("panel-open", wanted);
  at("panel-toggle").ariaExpanded = wanted;
}

function mountBox(store) {
  const box = el("div.tour-body");
  const toggle = button("", () => (hidden.set(hidden.get() ? "" : "yes"), draw()), { class: "quiet" });
  const draw = () => {
    at("tour").hidden = !store.state.tour?.tasks;
    box.hidden = Boolean(hidden.get());
    toggle.textContent = `${box.hidden ? "Show" : "Hide"} the tour`;
    toggle.ariaExpanded = !box.hidden;
  };
  at("tour").append(box, toggle);
  mountTour(box, store);
  store.subscribe("tour state", draw);
  draw();
}
