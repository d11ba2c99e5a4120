// The panel on the right, with the incident and the inspector, and the tour's box: parts that others mount.

import { mountIncident } from "./incident.js";
import { mountInspector } from "./inspector.js";
import { mountTour } from "./tour.js";
import { button, el, kept } from "./dom.js";

const PARTS = { Incident: mountIncident, Inspector: mountInspector };
const chosen = kept(sessionStorage, "panel");
const closed = kept(sessionStorage, "panel-closed");
const hidden = kept(sessionStorage, "tour-hidden");
const at = (id) => document.getElementById(id);

/** Builds the panel and the tour's box once. */
export function mountPanel(store) {
  const names = Object.keys(PARTS);
  const tabs = names.map((name) => button(name, () => choose(name)));
  const bodies = names.map((name) => el("section", { id: `panel-${name.toLowerCase()}`, className: "panel-body", "aria-label": name, tabIndex: 0 }));
  const choose = (wanted) => {
    chosen.set(wanted);
    names.forEach((name, n) => {
      tabs[n].setAttribute("aria-pressed", String(name === wanted));
      bodies[n].hidden = name !== wanted;
    });
  };
  const close = button("Close", () => showPanel(false), { className: "quiet", "aria-label": "Close the panel" });
  at("panel").append(el("div", { className: "bar" }, el("div", { className: "tabs", role: "group", "aria-label": "Panel" }, tabs), close), ...bodies);
  names.forEach((name, n) => PARTS[name](bodies[n], store));
  choose(chosen.get() || names[0]);
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
  at("panel-toggle").setAttribute("aria-expanded", String(wanted));
}

function mountBox(store) {
  const box = el("div", { className: "tour-body" });
  const toggle = button("", () => (hidden.set(hidden.get() ? "" : "yes"), draw()), { className: "quiet" });
  const draw = () => {
    at("tour").hidden = !store.state.tour?.tasks;
    box.hidden = Boolean(hidden.get());
    toggle.textContent = box.hidden ? "Show the tour" : "Hide the tour";
    toggle.setAttribute("aria-expanded", String(!box.hidden));
  };
  at("tour").append(box, toggle);
  mountTour(box, store);
  for (const kind of ["tour", "state"]) store.subscribe(kind, draw);
  draw();
}
