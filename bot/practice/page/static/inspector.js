// What goes between Slack and the bot, and ways to make that hard.

import { button, clockOf, el, sign } from "./dom.js";

const KEPT = 400;
const TROUBLES = [
  ["drop_socket", "Drop the socket", "Cuts every Socket Mode connection without a word."],
  ["inject_429", "Refuse the next call", "The bot's next call is answered 429, Retry-After 1."],
  ["redeliver", "Redeliver the last event", "The last request is sent once more, byte for byte."],
  ["kill_worker", "Kill the bot", "As when a machine loses power. It comes back by itself."],
];
const WAYS = [["", "Both ways"], ["to_bot", "To the bot"], ["from_bot", "From the bot"]];

/** Builds the inspector in `host` and keeps it up to date. */
export function mountInspector(host, store) {
  let entries = [];
  let more = false;
  const said = el("p.came", { role: "status" });
  const word = el("input", { type: "search", id: "inspector-word", placeholder: "Filter", oninput: () => draw() });
  const way = el("select", { id: "inspector-way", onchange: () => draw() }, WAYS.map(([value, text]) => el("option", { value }, text)));
  const faults = el("input", { type: "checkbox", id: "inspector-faults", onchange: () => draw() });
  const list = el("ol.entries", { label: "Requests and answers, newest first" });
  const count = el("p.muted");
  const older = button("Older", () => read(entries.at(-1)?.n));

  const trouble = async (name, title) => {
    const answer = await store.act({ act: "inspector", do: name });
    said.classList.toggle("bad", !answer.ok);
    said.textContent = answer.ok ? `${title}: done.` : (answer.error ?? "It did not work.");
  };
  const troubles = TROUBLES.map(([name, title, says]) => button(title, () => trouble(name, title), { title: says }));
  host.append(
    el("div.troubles", { role: "group", label: "Make it hard" }, troubles), said,
    el("div.filters",
      el("label.hidden", { for: word.id }, "Filter"), word,
      el("label.hidden", { for: way.id }, "Direction"), way,
      el("label", { for: faults.id }, faults, " only what failed")),
    count, list, older);

  const read = async (before) => {
    const found = await store.get("inspector", before && { before });
    if (!found) return;
    entries = before ? [...entries, ...found.entries] : found.entries;
    more = found.more;
    draw();
  };
  const fits = (entry) => {
    const text = word.value.trim().toLowerCase();
    if (way.value && entry.dir !== way.value) return false;
    if (faults.checked && entry.ok && !entry.lint?.length) return false;
    return !text || `${entry.what} ${entry.status} ${JSON.stringify(entry.payload)}`.toLowerCase().includes(text);
  };
  const draw = () => {
    const have = new Map([...list.children].map((item) => [item.n, item]));
    const shown = entries.filter(fits);
    list.replaceChildren(...shown.map((entry) => have.get(entry.n) ?? row(entry)));
    count.textContent = `${shown.length} of ${entries.length} entries`;
    older.hidden = !more || entries.length >= KEPT;
  };
  store.subscribe("inspector", (entry) => {
    if (entries[0]?.n >= entry.n) return;
    entries = [entry, ...entries].slice(0, KEPT);
    if (fits(entry)) list.prepend(row(entry));
    while (list.children.length > KEPT) list.lastElementChild.remove();
    count.textContent = `${list.children.length} of ${entries.length} entries`;
  });
  store.subscribe("state", () => read());
  read();
}

function row(entry) {
  const marks = [!entry.ok && entry.status, entry.retry && `retry ${entry.retry}`, entry.again && "again", entry.lint?.length && `lint ${entry.lint.length}`];
  const [arrow, way] = entry.dir === "to_bot" ? ["→", "to the bot"] : ["←", "from the bot"];
  const summary = el("summary",
    el("time", clockOf(entry.at)), sign("span", arrow), el("span.hidden", way),
    el("span.what", entry.what),
    el(entry.ok ? "span.muted" : "span.bad", marks.filter(Boolean).join(" ")),
    el("span.ms", `${entry.ms < 10 ? entry.ms.toFixed(1) : Math.round(entry.ms)} ms`));
  const ontoggle = () => details.children.length === 1 && details.append(...opened(entry));
  const details = el("details", { ontoggle }, summary);
  return Object.assign(el("li", details), { n: entry.n });
}

function opened(entry) {
  const sent = entry.dir === "to_bot" ? ["What the bot was sent", "What it acked"] : ["What the bot sent", "What it was answered"];
  const lint = (entry.lint ?? []).map((f) => el("li", `${f.pointer}: ${f.message} (${f.code})`));
  return [
    el("p.muted", `Status ${entry.status}, ${entry.ms.toFixed(2)} ms.`),
    lint.length ? el("ul.bad", lint) : "",
    ...json(sent[0], entry.payload), ...json(sent[1], entry.answer),
  ];
}

const json = (title, value) => [
  el("div", title),
  el("pre", { tabindex: 0, role: "region", label: title }, JSON.stringify(value, null, 2) ?? "null"),
];
