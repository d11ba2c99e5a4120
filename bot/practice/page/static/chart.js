// A small line chart of measured values: gaps stay gaps, dashes where no customer is served, marks for what happened.

import { clockOf, el } from "./dom.js";

const HEIGHT = 92;
const LEFT = 34;
const TOP = 8;
const FLOOR = HEIGHT - 16;

function shape(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const line = (look, x1, y1, x2, y2) => shape("line", { class: look, x1, y1, x2, y2 });
const dot = (cx, cy, r) => shape("circle", { class: "dot", cx, cy, r });
const label = (x, y, anchor, text) => shape("text", { x, y, "text-anchor": anchor }, text);

/** A number as it is shown: `+39.8 %`, `no value`. */
export function say(value, unit, signed = false) {
  if (value === null || value === undefined) return "no value";
  return `${signed && value > 0 ? "+" : ""}${value.toFixed(Math.abs(value) >= 100 ? 0 : 1)} ${unit}`;
}

/** A chart of column `at` of the rows `[t, ...]`. `least`: the scale reaches at least so far. Has `node`, `update`. */
export class Chart {
  #view = { rows: [], marks: [], from: 0, to: 1, gap: 12 };
  #chosen = null;

  constructor({ name, title, unit, at, least, signed = false }) {
    Object.assign(this, { unit, at, least, signed });
    this.now = el("strong");
    this.readout = el("output.readout");
    this.plot = el("div.plot", {
      tabindex: 0,
      role: "group",
      "aria-roledescription": "line chart",
      label: `${title}. Arrow keys read the values.`,
      onpointermove: (event) => this.#point(event.clientX - this.plot.getBoundingClientRect().left),
      onpointerleave: () => this.#choose(null),
      onfocus: () => this.#choose(this.#seen().at(-1)?.[0]),
      onblur: () => this.#choose(null),
      onkeydown: (event) => this.#key(event),
    });
    this.node = el("figure.chart", { "data-chart": name }, el("figcaption", el("span", title), this.now), this.plot, this.readout);
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
    this.#choose(near?.[0]);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const rows = this.#seen();
    const here = rows.findIndex((row) => row[0] === this.#chosen);
    const next = Math.min(rows.length - 1, Math.max(0, (here < 0 ? rows.length - 1 : here) + step));
    this.#choose(rows[next]?.[0]);
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
    const upright = (look, t) => line(look, x(t), TOP - 4, x(t), FLOOR);
    const parts = [low, (low + high) / 2, high].flatMap((v) => [line("grid", LEFT, y(v), width, y(v)), label(LEFT - 4, y(v) + 3, "end", Math.round(v))]);
    if (low < 0) parts.push(line("zero", LEFT, y(0), width, y(0)));
    parts.push(label(LEFT, HEIGHT - 3, "start", clockOf(from).slice(0, 5)), label(width - 2, HEIGHT - 3, "end", "now"));
    parts.push(...marks.filter((mark) => mark.t >= from).map((mark) => upright(`mark ${mark.kind}`, mark.t)));
    for (const { points, on } of this.#pieces(rows)) {
      const path = points.map((row) => `${x(row[0]).toFixed(1)} ${y(row[this.at]).toFixed(1)}`);
      parts.push(points.length > 1 ? shape("path", { class: on ? "line" : "line off", d: `M${path.join("L")}` }) : dot(...path[0].split(" "), 1.5));
    }
    const row = rows.find((r) => r[0] === this.#chosen);
    if (row) parts.push(upright("cross", row[0]));
    if (row && row[this.at] !== null) parts.push(dot(x(row[0]), y(row[this.at]), 3.5));
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
