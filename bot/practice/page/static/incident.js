// The incident: what is measured on the real platform, what is live, and what can be broken.

import { Chart, say } from "./chart.js";
import { button, choice, clockOf, el } from "./dom.js";

const CHARTS = [
  { name: "bias", title: "ETAs too long by", unit: "%", at: 1, least: 20, signed: true },
  { name: "nulls", title: "Missing values", unit: "%", at: 3, least: 10 },
  { name: "p99", title: "Time to answer, p99 of 30 s", unit: "ms", at: 4, least: 100 },
];
const SPANS = [5, 30];
const LIVE = { flag: "Flag", serves: "Served model", model: "Champion", definition: "Definition", pipeline: "Pipeline" };
const SHORT_S = 60;

/** Builds the panel in `host` and keeps it up to date. */
export function mountIncident(host, store) {
  const charts = CHARTS.map((spec) => new Chart(spec));
  const live = el("dl.live");
  const acts = el("ul.acts");
  const rows = el("tbody");
  const happened = el("ol.happened");
  const table = el("details", { ontoggle: () => draw() }, el("summary", "As a table, and what happened"), tableOf(rows), happened);
  const drawn = new Map();
  let minutes = SPANS[0];

  const spans = choice("How much to show", SPANS.map((n) => `${n} min`), (n) => ((minutes = SPANS[n]), draw()));
  host.append(
    el("section.measured", { label: "Measured" },
      el("div.spans", spans), live, charts.map((chart) => chart.node),
      el("p.muted.key", "Asked of the real servers for 100 drivers every 2 s. Dashed: the flag is off, so no customer is served this."),
      table),
    el("section.breaking", { "aria-labelledby": "breaking" }, el("h2", { id: "breaking" }, "Break something"), acts),
  );

  const draw = () => {
    const { acts: all, series = [], marks = [], every = 2, live: now = {} } = store.state?.incident ?? {};
    host.classList.toggle("empty", !all);
    if (!all) return;
    const to = Math.max(Date.now() / 1000, series.at(-1)?.[0] ?? 0);
    const from = Math.max(to - minutes * 60, Math.min(series[0]?.[0] ?? to, to - SHORT_S));
    for (const chart of charts) chart.update({ rows: series, marks, from, to, gap: 6 * every });
    drawLive(live, now);
    if (table.open) drawTable(rows, series);
    if (table.open) happened.replaceChildren(...marks.slice(-30).reverse().map((m) => el("li", { class: m.kind }, `${clockOf(m.t)} ${m.text}`)));
    for (const act of all) {
      if (!drawn.has(act.name)) drawn.set(act.name, makeAct(act, store, acts));
      drawn.get(act.name)(act, act.state === "done" || (act.name === "pipeline" && now.pipeline === "stopped"));
    }
  };
  store.subscribe("incident state", draw);
  acts.addEventListener("failed", draw);
  draw();
}

function tableOf(rows) {
  const heads = ["Time", "ETAs", "Off by", "Missing", "p99"].map((text) => el("th", { scope: "col" }, text));
  return el("table", el("caption.hidden", "The newest measurements, newest first"), el("thead", el("tr", heads)), rows);
}

function drawTable(rows, series) {
  const shown = series.slice(-8).reverse().map(([t, bias, mae, nulls, p99]) => {
    const cells = [say(bias, "%", true), say(mae, "min"), say(nulls, "%"), say(p99, "ms")];
    return el("tr", el("th", { scope: "row" }, clockOf(t)), cells.map((text) => el("td", text)));
  });
  rows.replaceChildren(...shown);
}

function drawLive(list, live) {
  const parts = Object.entries(LIVE).map(([name, title]) => {
    const value = live[name] ?? "unknown";
    return el("div", el("dt", title), el("dd", { class: /^(v13|stopped)$/.test(value) && "bad" }, value));
  });
  list.replaceChildren(...parts);
}

/** One row: the button, what it does, what came of it. Returns what brings it up to date. */
function makeAct(first, store, list) {
  const note = el("p.came", { role: "status" });
  const says = el("p.muted", first.says);
  let failed = "";
  let over = 0;
  const post = async (body) => {
    const pressed = Date.now() / 1000;
    const answer = await store.post("/page/incident", body);
    failed = answer.ok || over > pressed ? "" : (answer.error ?? "It did not work."); // or another's press
    note.dispatchEvent(new Event("failed", { bubbles: true }));
  };
  const press = button(first.title, () => post({ do: first.name }));
  const undo = button(first.undo || "-", () => post({ do: "undo", act: first.name }), { class: "undo", hidden: true });
  list.append(el("li", el("div.pair", press, undo), says, note));
  return (act, inEffect) => {
    if (undo === document.activeElement && !inEffect) press.focus();
    undo.hidden = !act.undo || !(inEffect || (act.state === "running" && !undo.hidden));
    const busy = act.state === "running";
    over = act.at;
    const error = act.error || failed;
    if (busy) failed = "";
    for (const one of [press, undo]) {
      one.classList.toggle("busy", busy);
      one.ariaDisabled = busy;
    }
    const back = act.back === "can't be undone" ? "It can't be undone." : `To take it back: ${act.back}.`;
    says.textContent = act.undo ? act.says : `${act.says} ${back}`;
    note.classList.toggle("bad", error && !busy);
    const came = { available: "", running: "At work …", done: `Done ${clockOf(act.at)}: ${act.result}.`, undone: `Taken back ${clockOf(act.at)}: ${act.result}.` }[act.state];
    const text = busy || !error ? came : `Not done: ${error}`;
    if (note.textContent !== text) note.textContent = text;
  };
}
