// Ordinary Markdown, as it stands in Slack's `markdown` blocks.
import { fragment, make } from "./make.js";
import { angle, bare, code, decode, link, match, scan } from "./mrkdwn.js";

const PAIRS = [
  [/\*\*(?=\S)((?:(?!\*\*).)+?)\*\*/y, "strong"],
  [/__(?=\S)((?:(?!__).)+?)__/y, "strong"],
  [/~~(?=\S)((?:(?!~~).)+?)~~/y, "s"],
  [/\*(?=[^\s*])([^*\n]+?)\*/y, "em"],
  [/_(?=[^\s_])([^_\n]+?)_(?![\p{L}\p{N}])/uy, "em"],
];

function pair(text, at, ctx) {
  if (text[at] === "_" && /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  for (const [expression, tag] of PAIRS) {
    const found = match(expression, text, at);
    if (found) return { node: make(tag, {}, inline(found[1], ctx)), end: at + found[0].length };
  }
  return null;
}

function labelled(text, at, ctx) {
  const found = match(/!?\[([^\]\n]*)\]\(([^\s()]*(?:\([^\s()]*\)[^\s()]*)*)(?:\s+"[^"\n]*")?\)/y, text, at);
  if (!found) return null;
  const picture = text[at] === "!";
  const label = picture ? `Picture: ${decode(found[1])}` : inline(found[1], ctx);
  return { node: link(decode(found[2]), label), end: at + found[0].length };
}

function inline(text, ctx) {
  return scan(text, (all, at) => {
    const sign = all[at];
    if (sign === "\\" && /[!-/:-@[-`{-~]/.test(all[at + 1] ?? "")) return { node: all[at + 1], end: at + 2 };
    if (sign === "`") return code(all, at);
    if (sign === "<") return angle(all, at, ctx);
    if (sign === "[" || (sign === "!" && all[at + 1] === "[")) return labelled(all, at, ctx);
    if ("*_~".includes(sign)) return pair(all, at, ctx);
    return sign === "h" ? bare(all, at) : null;
  });
}

const ITEM = /^(\s*)(?:([-*+])|(\d+)[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(rows, ctx) {
  const [head, , ...body] = rows.map(cells);
  const row = (tag, all) => make("tr", {}, all.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, inline(cell, ctx))));
  const whole = make("table", {}, make("thead", {}, row("th", head)), make("tbody", {}, body.map((all) => row("td", all))));
  return make("div", { class: "bk-table", role: "region", "aria-label": "Table", tabindex: "0" }, whole);
}

function list(rows, ctx) {
  const found = rows.map((row) => ITEM.exec(row));
  const deep = found[0][1].length;
  const ordered = found[0][3] !== undefined;
  const made = make(ordered ? "ol" : "ul", ordered && found[0][3] !== "1" ? { start: found[0][3] } : {});
  for (let at = 0; at < rows.length; ) {
    let end = at + 1;
    while (end < rows.length && found[end][1].length > deep) end++;
    const [, , , , box, text] = found[at];
    const check = box !== undefined && (box === " " ? "☐ " : "☑ ");
    made.append(make("li", {}, check, inline(text, ctx), end > at + 1 && list(rows.slice(at + 1, end), ctx)));
    at = end;
  }
  return made;
}

function until(rows, at, fits) {
  let end = at + 1;
  while (end < rows.length && fits(rows[end])) end++;
  return end;
}

const isTable = (rows, at) => rows[at].includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(rows[at + 1] ?? "") && rows[at + 1].includes("-");
const begins = (rows, at) => /^(#{1,6}\s|```|>|\s*(-{3,}|\*{3,}|_{3,})\s*$)/.test(rows[at]) || ITEM.test(rows[at]) || isTable(rows, at);

function piece(rows, at, ctx) {
  const line = rows[at];
  const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
  if (!line.trim()) return [null, at + 1];
  if (line.startsWith("```")) {
    const end = until(rows, at, (row) => !row.startsWith("```"));
    return [make("pre", { class: "bk-pre", tabindex: "0" }, rows.slice(at + 1, end).join("\n")), end + 1];
  }
  if (heading) return [make("p", { class: `md-h md-h${heading[1].length}`, role: "heading", "aria-level": Math.min(6, heading[1].length + 2) }, inline(heading[2], ctx)), at + 1];
  if (/^\s*(-{3,}|\*{3,}|_{3,})\s*$/.test(line)) return [make("hr"), at + 1];
  if (line.startsWith(">")) {
    const end = until(rows, at, (row) => row.startsWith(">"));
    return [make("blockquote", {}, body(rows.slice(at, end).map((row) => row.replace(/^> ?/, "")), ctx)), end];
  }
  if (isTable(rows, at)) {
    const end = until(rows, at + 1, (row) => row.includes("|"));
    return [table(rows.slice(at, end), ctx), end];
  }
  if (ITEM.test(line)) {
    const end = until(rows, at, (row) => ITEM.test(row));
    return [list(rows.slice(at, end), ctx), end];
  }
  let end = at + 1;
  while (end < rows.length && rows[end].trim() && !begins(rows, end)) end++;
  return [make("p", {}, inline(rows.slice(at, end).join("\n"), ctx)), end];
}

function body(rows, ctx) {
  const made = fragment();
  for (let at = 0; at < rows.length; ) {
    const [node, end] = piece(rows, at, ctx);
    if (node) made.append(node);
    at = end;
  }
  return made;
}

/** Markdown as it is read: headings, lists, tables, code, links. */
export function drawMarkdown(text, ctx = {}) {
  return fragment(make("div", { class: "mk md" }, body(text.split("\n"), ctx)));
}
