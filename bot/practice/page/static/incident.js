// The incident: what is measured on the real platform, what is live, and what can be broken.

import { Chart, clockOf, say } from "./chart.js";
import { button, el } from "./dom.js";

const CHARTS = [
  { name: "bias", title: "ETAs too long by", unit: "%", at: 1, least: 20, signed: true },
  { name: "nulls", title: "Missing values", unit: "%", at: 3, least: 10 },
  { name: "p99", title: "Time to answer, p99 of 30 s", unit: "ms", at: 4, least: 100 },
];
const SPANS = [[5, "5 min"], [30, "30 min"]];
const LIVE = { flag: "Flag", serves: "Served model", model: "Champion", definition: "Definition", pipeline: "Pipeline" };
const SHORT_S = 60;

/** Builds the panel in `host` and keeps it up to date. */
export function mountIncident(host, store) {
  const charts = CHARTS.map((spec) => new Chart(spec));
  const live = el("dl", { className: "live" });
  const acts = el("ul", { className: "acts" });
  const rows = el("tbody", {});
  const happened = el("ol", { className: "happened" });
  const drawn = new Map();
  let minutes = SPANS[0][0];

  const spans = SPANS.map(([n, text]) => button(text, () => ((minutes = n), draw()), { "aria-pressed": String(n === minutes) }));
  host.append(
    el("section", { className: "measured", "aria-label": "Measured" },
      el("div", { className: "spans", role: "group", "aria-label": "How much to show" }, ...spans),
      live, ...charts.map((chart) => chart.node),
      el("p", { className: "muted key" }, "Asked of the real servers for 100 drivers every 2 s. Dashed: the flag is off, so no customer is served this."),
      el("details", {}, el("summary", {}, "As a table, and what happened"), table(rows), happened)),
    el("section", { className: "breaking", "aria-labelledby": "breaking" }, el("h2", { id: "breaking" }, "Break something"), acts),
  );

  const draw = () => {
    const state = store.state?.incident ?? {};
    host.classList.toggle("empty", !state.acts);
    if (!state.acts) return;
    const series = state.series ?? [];
    const to = Math.max(Date.now() / 1000, series.at(-1)?.[0] ?? 0);
    const from = Math.max(to - minutes * 60, Math.min(series[0]?.[0] ?? to, to - SHORT_S));
    for (const chart of charts) chart.update({ rows: series, marks: state.marks ?? [], from, to, gap: 6 * (state.every ?? 2) });
    spans.forEach((one, n) => one.setAttribute("aria-pressed", String(SPANS[n][0] === minutes)));
    drawLive(live, state.live ?? {});
    drawTable(rows, series);
    drawMarks(happened, state.marks ?? []);
    for (const act of state.acts) {
      if (!drawn.has(act.name)) drawn.set(act.name, makeAct(act, store, acts));
      drawn.get(act.name)(act, act.state === "done" || (act.name === "pipeline" && state.live?.pipeline === "stopped"));
    }
  };
  store.subscribe("incident", draw);
  store.subscribe("state", draw);
  acts.addEventListener("failed", draw);
  rows.closest("details").addEventListener("toggle", draw);
  draw();
}

function table(rows) {
  const heads = ["Time", "ETAs", "Off by", "Missing", "p99"].map((text) => el("th", { scope: "col" }, text));
  return el("table", {}, el("caption", { className: "hidden" }, "The newest measurements, newest first"), el("thead", {}, el("tr", {}, ...heads)), rows);
}

function drawTable(rows, series) {
  if (!rows.closest("details").open) return;
  const shown = series.slice(-8).reverse().map(([t, bias, mae, nulls, p99]) => {
    const cells = [say(bias, "%", true), say(mae, "min"), say(nulls, "%"), say(p99, "ms")];
    return el("tr", {}, el("th", { scope: "row" }, clockOf(t)), ...cells.map((text) => el("td", {}, text)));
  });
  rows.replaceChildren(...shown);
}

function drawMarks(list, marks) {
  if (!list.closest("details").open) return;
  list.replaceChildren(...marks.slice(-30).reverse().map((m) => el("li", { className: m.kind }, `${clockOf(m.t)} ${m.text}`)));
}

function drawLive(list, live) {
  const parts = Object.entries(LIVE).map(([name, title]) => {
    const value = live[name] ?? "unknown";
    const bad = value === "v13" || value === "stopped";
    return el("div", {}, el("dt", {}, title), el("dd", { className: bad ? "bad" : "" }, value));
  });
  list.replaceChildren(...parts);
}

/** One row: the button, what it does, what came of it. Returns what brings it up to date. */
function makeAct(first, store, list) {
  const note = el("p", { className: "came", role: "status" });
  const says = el("p", { className: "muted" }, first.says);
  let failed = "";
  const post = async (body) => {
    const answer = await store.post("/page/incident", body);
    failed = answer.ok ? "" : (answer.error ?? "It did not work.");
    note.dispatchEvent(new Event("failed", { bubbles: true }));
  };
  const press = button(first.title, () => post({ do: first.name }));
  const undo = button(first.undo || "-", () => post({ do: "undo", act: first.name }), { className: "undo", hidden: true });
  list.append(el("li", {}, el("div", { className: "pair" }, press, undo), says, note));
  const update = (act, inEffect) => {
    if (undo === document.activeElement && !inEffect) press.focus();
    undo.hidden = !act.undo || !(inEffect || (act.state === "running" && !undo.hidden));
    const busy = act.state === "running";
    const error = act.error || failed;
    if (busy) failed = "";
    for (const one of [press, undo]) {
      one.classList.toggle("busy", busy);
      one.setAttribute("aria-disabled", String(busy));
    }
    says.textContent = act.undo ? act.says : `${act.says} To take it back: ${act.back}.`.replace("To take it back: can't be undone.", "It can't be undone.");
    note.className = error && !busy ? "came bad" : "came";
    const came = { available: "", running: "At work …", done: `Done ${clockOf(act.at)}: ${act.result}.`, undone: `Taken back ${clockOf(act.at)}: ${act.result}.` }[act.state];
    const text = busy || !error ? came : `Not done: ${error}`;
    if (note.textContent !== text) note.textContent = text;
  };
  return update;
}
