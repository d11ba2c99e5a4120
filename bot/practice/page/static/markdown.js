// Ordinary Markdown, as it stands in Slack's `markdown` blocks.
import { el, fragment, pre } from "./dom.js";
import { common, decode, link, match, scan } from "./mrkdwn.js";

const PAIRS = [
  [/\*\*(?=\S)((?:(?!\*\*).)+)\*\*/y, "strong"],
  [/__(?=\S)((?:(?!__).)+)__/y, "strong"],
  [/~~(?=\S)((?:(?!~~).)+)~~/y, "s"],
  [/\*(?=[^\s*])([^*\n]+)\*/y, "em"],
  [/_(?=[^\s_])([^_\n]+)_(?![\p{L}\p{N}])/uy, "em"],
];
const LABELLED = /!?\[([^\]\n]*)\]\(([^\s()]*)(?:\s+"[^"\n]*")?\)/y;

function pair(text, at, ctx) {
  if (text[at] === "_" && /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  for (const [expression, tag] of PAIRS) {
    const found = match(expression, text, at, (parts) => el(tag, inline(parts[1], ctx)));
    if (found) return found;
  }
  return null;
}

function inline(text, ctx) {
  return scan(text, (all, at) => {
    const sign = all[at];
    if (sign === "\\") return match(/\\([!-/:-@[-`{-~])/y, all, at, (found) => found[1]);
    if (sign === "[" || sign === "!") return match(LABELLED, all, at, ([, label, address]) => link(decode(address), inline(label, ctx)));
    return "*_~".includes(sign) ? pair(all, at, ctx) : common(all, at, ctx);
  });
}

/** A table that scrolls in itself; `cell(tag, content, column)` draws one. */
export function grid(name, [head, ...rest], cell) {
  const row = (tag) => (cells) => el("tr", cells.map((content, n) => cell(tag, content, n)));
  return el("div.table", { role: "region", label: name, tabindex: 0 }, el("table", el("thead", row("th")(head)), el("tbody", rest.map(row("td")))));
}

function table(rows, ctx) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/);
  return grid("Table", rows.filter((_, n) => n !== 1).map(cells), (tag, text) => el(tag, inline(text.trim(), ctx)));
}

const ITEM = /^(\s*)(?:[-*+]|(\d+)[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;

function list(rows, ctx) {
  const found = rows.map((row) => ITEM.exec(row));
  const [, { length: deep }, start] = found[0];
  const made = el(start ? "ol" : "ul", { start });
  for (let at = 0, end; at < rows.length; at = end) {
    for (end = at + 1; end < rows.length && found[end][1].length > deep; ) end++;
    const [, , , tick, text] = found[at];
    made.append(el("li", tick && (tick === " " ? "☐ " : "☑ "), inline(text, ctx), end > at + 1 && list(rows.slice(at + 1, end), ctx)));
  }
  return made;
}

const RULE = /^\s*(-{3,}|\*{3,}|_{3,})\s*$/;
const isTable = (rows, at) => rows[at].includes("|") && /^[\s|:-]*-[\s|:-]*$/.test(rows[at + 1] ?? "");
const isQuote = (rows, at) => rows[at].startsWith(">");
const isItem = (rows, at) => ITEM.test(rows[at]) && !RULE.test(rows[at]);

const heading = ([row], ctx) => {
  const [, { length }, text] = /^(#+)\s+(.*?)\s*#*$/.exec(row);
  return el(`p.md-h${length}`, { role: "heading", "aria-level": Math.min(6, length + 2) }, inline(text, ctx));
};
const unquoted = (rows) => rows.map((row) => row.replace(/^> ?/, ""));
const fenced = (rows) => pre(rows.slice(1).join("\n").replace(/\n?```\s*$/, ""));

// What can begin at a line: [whether it does, whether the line `at` still belongs to it, how it is drawn].
const PIECES = [
  [(rows, at) => /^#{1,6}\s/.test(rows[at]), () => false, heading],
  [(rows, at) => rows[at].startsWith("```"), (rows, at, from) => at === from + 1 || !rows[at - 1].startsWith("```"), fenced],
  [(rows, at) => RULE.test(rows[at]), () => false, () => el("hr")],
  [isQuote, isQuote, (rows, ctx) => el("blockquote", body(unquoted(rows), ctx))],
  [isTable, (rows, at) => rows[at].includes("|"), table],
  [isItem, isItem, list],
];
const begun = (rows, at) => PIECES.find(([begins]) => begins(rows, at));
const PARAGRAPH = [null, (rows, at) => rows[at].trim() && !begun(rows, at), (rows, ctx) => el("p", inline(rows.join("\n"), ctx))];

function body(rows, ctx) {
  const made = fragment();
  for (let at = 0, end; at < rows.length; at = end) {
    const [, more, draw] = begun(rows, at) ?? PARAGRAPH;
    for (end = at + 1; end < rows.length && more(rows, end, at); ) end++;
    if (rows[at].trim()) made.append(draw(rows.slice(at, end), ctx));
  }
  return made;
}

export function drawMarkdown(text, ctx = {}) {
  const shallow = text.replace(/^((?:> ?){9})(?:> ?)+/gm, "$1"); // deeper quotes are of no use but to break the page
  return fragment(el("div.mk.md", body(shallow.split("\n"), ctx)));
}
