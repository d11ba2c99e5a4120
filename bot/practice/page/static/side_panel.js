// The panel on the right, with the incident and the inspector, and the tour's box: parts that others mount.

import { button, el, kept } from "./dom.js";

const TABS = [
  ["incident", "Incident", () => import("./incident.js").then((m) => m.mountIncident)],
  ["inspector", "Inspector", () => import("./inspector.js").then((m) => m.mountInspector)],
];
const chosen = kept(sessionStorage, "panel", "");
const panel = () => document.getElementById("panel");

/** Builds the panel and the tour once; a part that isn't there is left out. */
export function mountPanel(page) {
  const tabs = el("div", { className: "tabs", role: "tablist", "aria-label": "Panel" });
  const bodies = TABS.map(([name, title, load]) => tab(page, tabs, name, title, load));
  panel().append(el("div", { className: "bar" }, tabs, button("Close", () => togglePanel(), { className: "quiet", "aria-label": "Close the panel" })), ...bodies);
  tabs.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = [...tabs.children].find((t) => t.tabIndex < 0);
    other.click();
    other.focus();
  });
  const wide = matchMedia("(min-width: 75rem)").matches;
  choose(TABS.some(([name]) => name === chosen.get()) ? chosen.get() : "incident");
  open(chosen.get() ? chosen.get() !== "closed" : wide, false);
  mountTour(page);
}

function tab(page, tabs, name, title, load) {
  const body = el("div", { id: `panel-${name}`, className: "panel-body", role: "tabpanel", "aria-labelledby": `tab-${name}`, tabIndex: 0 });
  const pick = () => {
    choose(name);
    chosen.set(name);
  };
  tabs.append(el("button", { type: "button", id: `tab-${name}`, role: "tab", "aria-controls": body.id, onclick: pick }, title));
  load().then((mount) => mount(body, page.store), () => body.append(el("p", { className: "note" }, "Not here.")));
  return body;
}

function choose(name) {
  for (const [other] of TABS) {
    const here = other === name;
    const picked = document.getElementById(`tab-${other}`);
    picked.setAttribute("aria-selected", String(here));
    picked.tabIndex = here ? 0 : -1;
    document.getElementById(`panel-${other}`).hidden = !here;
  }
}

/** Opens the panel, or closes it. */
export function togglePanel() {
  open(panel().hidden, true);
}

function open(wanted, remember) {
  panel().hidden = !wanted;
  document.getElementById("layout").classList.toggle("panel-open", wanted);
  document.getElementById("panel-toggle")?.setAttribute("aria-expanded", String(wanted));
  if (!remember) return;
  chosen.set(wanted ? TABS.find(([name]) => !document.getElementById(`panel-${name}`).hidden)[0] : "closed");
  (wanted ? panel() : document.getElementById("panel-toggle"))?.focus();
}

function mountTour(page) {
  const host = document.getElementById("tour");
  const box = el("div", { className: "tour-body" });
  const hidden = kept(sessionStorage, "tour");
  const body = button("", () => (hidden.set(hidden.get() ? "" : "hidden"), draw()), { className: "quiet" });
  const draw = () => {
    box.hidden = hidden.get() === "hidden";
    body.textContent = box.hidden ? "Show the tour" : "Hide the tour";
    body.setAttribute("aria-expanded", String(!box.hidden));
  };
  host.append(box, body);
  draw();
  const shown = () => (host.hidden = !page.store.state.tour || !Object.keys(page.store.state.tour).length);
  import("./tour.js").then(({ mountTour: mount }) => {
    mount(box, page.store);
    shown();
    for (const kind of ["tour", "state"]) page.store.subscribe(kind, shown);
  }, () => {});
}
