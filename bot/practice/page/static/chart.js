// A small line chart of measured values: gaps stay gaps, dashes where no customer is served, marks for what happened.

import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 92;
const LEFT = 34;
const TOP = 8;
const FLOOR = HEIGHT - 16;

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Hours, minutes and seconds of a time in seconds. */
export function clockOf(t) {
  return new Date(t * 1000).toLocaleTimeString("en-GB");
}

/** A number as it is shown: `+39.8 %`, `no value`. */
export function say(value, unit, signed = false) {
  if (value === null || value === undefined) return "no value";
  const digits = Math.abs(value) >= 100 ? 0 : 1;
  return `${signed && value > 0 ? "+" : ""}${value.toFixed(digits)} ${unit}`;
}

/** A chart of column `at` of the rows `[t, ...]`. `least`: the scale reaches at least so far. Has `node`, `update`. */
export class Chart {
  #view = { rows: [], marks: [], from: 0, to: 1, gap: 12 };
  #chosen = null;

  constructor({ name, title, unit, at, least, signed = false }) {
    Object.assign(this, { unit, at, least, signed });
    this.now = el("strong", {});
    this.readout = el("output", { className: "readout" });
    this.plot = el("div", { className: "plot", tabIndex: 0, role: "group", "aria-roledescription": "line chart", "aria-label": `${title}. Arrow keys read the values.` });
    this.node = el("figure", { className: "chart", "data-chart": name }, el("figcaption", {}, el("span", {}, title), this.now), this.plot, this.readout);
    this.plot.addEventListener("pointermove", (event) => this.#point(event.clientX - this.plot.getBoundingClientRect().left));
    this.plot.addEventListener("pointerleave", () => this.#choose(null));
    this.plot.addEventListener("focus", () => this.#choose(this.#seen().at(-1)?.[0] ?? null));
    this.plot.addEventListener("blur", () => this.#choose(null));
    this.plot.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(this.plot);
  }

  /** Shows these rows from one time to another; a longer silence than `gap` seconds is a gap. */
  update(view) {
    this.#view = view;
    const last = view.rows.at(-1);
    this.now.textContent = last ? say(last[this.at], this.unit, this.signed) : "";
    this.#draw();
  }

  #seen() {
    return this.#view.rows.filter((row) => row[0] >= this.#view.from);
  }

  #point(x) {
    const { from, to } = this.#view;
    const t = from + ((x - LEFT) / Math.max(1, this.plot.clientWidth - LEFT)) * (to - from);
    const near = this.#seen().reduce((best, row) => (!best || Math.abs(row[0] - t) < Math.abs(best[0] - t) ? row : best), null);
    this.#choose(near?.[0] ?? null);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const rows = this.#seen();
    const here = rows.findIndex((row) => row[0] === this.#chosen);
    const next = Math.min(rows.length - 1, Math.max(0, (here < 0 ? rows.length - 1 : here) + step));
    this.#choose(rows[next]?.[0] ?? null);
  }

  #choose(t) {
    this.#chosen = t;
    const row = this.#view.rows.find((r) => r[0] === t);
    const near = row ? this.#view.marks.filter((m) => Math.abs(m.t - t) <= 2).map((m) => m.text) : [];
    const away = row && !row[5] ? ["flag off"] : [];
    this.readout.textContent = row ? [clockOf(t), say(row[this.at], this.unit, this.signed), ...away, ...near].join(" · ") : "";
    this.#draw();
  }

  #draw() {
    const width = this.plot.clientWidth;
    if (!width) return;
    const { from, to, marks } = this.#view;
    const rows = this.#seen();
    const values = rows.map((row) => row[this.at]).filter((v) => v !== null);
    const high = Math.max(this.least, ...values) * 1.05;
    const low = Math.min(0, ...values) * 1.05;
    const x = (t) => LEFT + ((t - from) / Math.max(1, to - from)) * (width - LEFT - 4);
    const y = (v) => FLOOR - ((v - low) / (high - low)) * (FLOOR - TOP);
    const parts = [];
    for (const v of [low, (low + high) / 2, high]) {
      const text = shape("text", { x: LEFT - 4, y: y(v) + 3, "text-anchor": "end" }, String(Math.round(v)));
      parts.push(shape("line", { class: "grid", x1: LEFT, x2: width, y1: y(v), y2: y(v) }), text);
    }
    if (low < 0) parts.push(shape("line", { class: "zero", x1: LEFT, x2: width, y1: y(0), y2: y(0) }));
    parts.push(shape("text", { x: LEFT, y: HEIGHT - 3 }, clockOf(from).slice(0, 5)), shape("text", { x: width - 2, y: HEIGHT - 3, "text-anchor": "end" }, "now"));
    for (const mark of marks) {
      if (mark.t < from) continue;
      parts.push(shape("line", { class: `mark ${mark.kind}`, x1: x(mark.t), x2: x(mark.t), y1: TOP - 4, y2: FLOOR }));
    }
    for (const { points, on } of this.#pieces(rows)) {
      const path = points.map((row, n) => `${n ? "L" : "M"}${x(row[0]).toFixed(1)} ${y(row[this.at]).toFixed(1)}`).join("");
      if (points.length > 1) parts.push(shape("path", { class: on ? "line" : "line off", d: path }));
      else parts.push(shape("circle", { class: "dot", cx: x(points[0][0]), cy: y(points[0][this.at]), r: 1.5 }));
    }
    const row = rows.find((r) => r[0] === this.#chosen);
    if (row) {
      parts.push(shape("line", { class: "cross", x1: x(row[0]), x2: x(row[0]), y1: TOP - 4, y2: FLOOR }));
      if (row[this.at] !== null) parts.push(shape("circle", { class: "dot", cx: x(row[0]), cy: y(row[this.at]), r: 3.5 }));
    }
    this.plot.replaceChildren(shape("svg", { width, height: HEIGHT, "aria-hidden": "true" }, ...parts));
  }

  /** The rows as unbroken pieces, each served to customers or not. */
  #pieces(rows) {
    const pieces = [];
    let open = null;
    let last = null;
    for (const row of rows) {
      if (row[this.at] === null) {
        open = null;
        continue;
      }
      const on = Boolean(row[5]);
      if (!open || row[0] - last[0] > this.#view.gap) pieces.push((open = { points: [row], on }));
      else if (open.on !== on) pieces.push((open = { points: [last, row], on }));
      else open.points.push(row);
      last = row;
    }
    return pieces;
  }
}
