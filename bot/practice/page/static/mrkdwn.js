// Slack's own markup, and the pieces it shares with Markdown. What is written becomes text nodes only.
import { fragment, make } from "./make.js";
import { drawDate } from "./dates.js";

export { drawMarkdown } from "./markdown.js";

const ENTITIES = { lt: "<", gt: ">", amp: "&" };
const WORD = /[\p{L}\p{N}]/u;
const WIDE = { here: "@here", channel: "@channel", everyone: "@everyone" };
const MARKS = { "*": "strong", _: "em", "~": "s" };
const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rotating_light: "🚨", eyes: "👀", tada: "🎉",
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", rewind: "⏪", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  fire: "🔥", question: "❓", exclamation: "❗", no_entry: "⛔", lock: "🔒", bell: "🔔", pushpin: "📌", heart: "❤️",
  information_source: "ℹ️", arrow_right: "➡️", large_green_circle: "🟢", red_circle: "🔴", large_yellow_circle: "🟡",
};

/** The three entities Slack knows, as characters. */
export const decode = (text) => text.replace(/&(lt|gt|amp);/g, (_, name) => ENTITIES[name]);

/** The sign of an emoji, or its `:name:`. */
export const emoji = (name) => EMOJI[name.split("::")[0]] ?? `:${name}:`;

/** A link, if its address is one that can do no harm; else its label as text. */
export function link(address, label) {
  const harmless = /^(https?:\/\/|mailto:|tel:)/i.test(address);
  if (!harmless) return fragment(label || address);
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label || address);
}

/** A person's name as a mention; it stands out if it is the reader's own. */
export function mention(id, ctx, label = "") {
  const person = ctx.people?.get(id);
  const own = id === ctx.me ? " own" : "";
  return make("span", { class: `mk-mention${own}`, title: person?.real_name }, `@${person?.name ?? (label || id)}`);
}

/** A channel's name; a button where the page can open it. */
export function channelName(id, ctx, label = "") {
  const name = `#${ctx.channels?.get(id)?.name ?? (label || id)}`;
  if (!ctx.onChannel || !ctx.channels?.has(id)) return make("span", { class: "mk-mention" }, name);
  return make("button", { type: "button", class: "mk-mention", onclick: () => ctx.onChannel(id) }, name);
}

/** A user group's handle. */
export function groupName(id, ctx, label = "") {
  const handle = ctx.groups?.get(id)?.handle;
  return make("span", { class: "mk-mention" }, handle ? `@${handle}` : label || id);
}

/** @here, @channel or @everyone. */
export const wide = (range) => make("span", { class: "mk-mention own" }, WIDE[range] ?? `@${range}`);

function token(whole, ctx) {
  const [, kind, id, , label] = /^([@#!]?)([^|]*)(\|(.*))?$/s.exec(whole).map((part) => decode(part ?? ""));
  if (kind === "@") return mention(id, ctx, label);
  if (kind === "#") return channelName(id, ctx, label);
  if (kind === "") return link(id, label);
  const [name, ...more] = id.split("^");
  if (name === "subteam") return groupName(more[0], ctx, label);
  if (name === "date") return drawDate(Number(more[0]), more[1] ?? "", label, more[2], link);
  return WIDE[name] ? wide(name) : make("span", { class: "mk-mention" }, label || `<${kind}${id}>`);
}

/** One of Slack's `<...>` at `at`: a mention, a link or a date. */
export function angle(text, at, ctx) {
  const found = match(/<([^<>\n]+)>/y, text, at);
  return found && { node: token(found[1], ctx), end: at + found[0].length };
}

/** An address written out in the text at `at`. */
export function bare(text, at) {
  if (at > 0 && WORD.test(text[at - 1])) return null;
  const found = match(/https?:\/\/[^\s<>|]+/y, text, at);
  if (!found) return null;
  const address = found[0].replace(/[.,;:!?)\]'"]+$/, "");
  return { node: link(decode(address)), end: at + address.length };
}

/** `code` at `at`; nothing in it means anything. */
export function code(text, at) {
  const found = match(/`([^`\n]+)`/y, text, at);
  return found && { node: make("code", {}, decode(found[1])), end: at + found[0].length };
}

/** A sticky expression at `at`. */
export function match(expression, text, at) {
  expression.lastIndex = at;
  return expression.exec(text);
}

/** Goes through `text` once; `special(text, at)` says what begins there: `{node, end}` or nothing. */
export function scan(text, special) {
  const made = fragment();
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const found = special(text, at);
    if (found) {
      made.append(decode(plain), found.node);
      plain = "";
      at = found.end;
    } else plain += text[at++];
  }
  made.append(decode(plain));
  return made;
}

function closing(text, from, mark) {
  for (let at = from; at < text.length && text[at] !== "\n"; at++) {
    const skip = match(/`[^`\n]+`|<[^<>\n]+>/y, text, at);
    if (skip) at += skip[0].length - 1;
    else if (text[at] === mark && at > from && !/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? "")) return at;
  }
  return -1;
}

function marked(text, at, ctx, rules) {
  const mark = text[at];
  if ((at > 0 && (WORD.test(text[at - 1]) || text[at - 1] === mark)) || /\s/.test(text[at + 1] ?? " ")) return null;
  const end = closing(text, at + 1, mark);
  return end < 0 ? null : { node: make(MARKS[mark], {}, inline(text.slice(at + 1, end), ctx, rules)), end: end + 1 };
}

function inline(text, ctx, rules) {
  return scan(text, (all, at) => {
    const sign = all[at];
    if (sign === "`") return code(all, at);
    if (sign === "<") return angle(all, at, ctx);
    if (MARKS[sign]) return marked(all, at, ctx, rules);
    if (sign === "h" && !rules.verbatim) return bare(all, at);
    const found = sign === ":" && match(/:([a-z0-9_+'-]+):/y, all, at);
    return found && EMOJI[found[1]] ? { node: EMOJI[found[1]], end: at + found[0].length } : null;
  });
}

const QUOTE = /^(?:>|&gt;) ?/;
const ITEM = /^\s*(?:[-•◦▪]|\d+[.)]) /;

function lines(text, ctx, rules) {
  const made = fragment();
  let held = [];
  let quoted = false;
  const flush = () => {
    const drawn = fragment(...held.flatMap((line, n) => [n > 0 && !held[n - 1].item && !line.item && "\n", line.node]));
    if (held.length) made.append(quoted ? make("blockquote", {}, drawn) : drawn);
    held = [];
  };
  for (const line of text.split("\n")) {
    if (QUOTE.test(line) !== quoted) flush();
    quoted = QUOTE.test(line);
    const node = inline(quoted ? line.replace(QUOTE, "") : line, ctx, rules);
    const item = ITEM.test(line);
    held.push({ item, node: item ? make("span", { class: "mk-item" }, node) : node });
  }
  flush();
  return made;
}

/** Slack's mrkdwn as it is read. `rules.verbatim`: addresses that are only written out are no links. */
export function drawMrkdwn(text, ctx = {}, rules = {}) {
  const whole = make("span", { class: "mk" });
  let from = 0;
  for (const found of text.matchAll(/```\n?([\s\S]+?)\n?```\n?/g)) {
    const before = text.slice(from, found.index).replace(/\n$/, "");
    if (before) whole.append(lines(before, ctx, rules));
    whole.append(make("pre", { class: "bk-pre", tabindex: "0" }, decode(found[1].replace(/<([^<>|\n]+)\|?[^<>\n]*>/g, "$1"))));
    from = found.index + found[0].length;
  }
  if (from < text.length || from === 0) whole.append(lines(text.slice(from), ctx, rules));
  return fragment(whole);
}

/** A text object of either type. */
export function drawText(object, ctx = {}) {
  if (typeof object === "string") return drawText({ type: "plain_text", text: object }, ctx);
  if (object?.type === "mrkdwn") return drawMrkdwn(object.text, ctx, { verbatim: object.verbatim });
  return fragment(make("span", { class: "mk" }, words(object)));
}

/** The words of a plain_text object or a string, as a string. */
export function words(object) {
  const text = decode(typeof object === "string" ? object : object?.text ?? "");
  return object?.emoji === false ? text : text.replace(/:([a-z0-9_+'-]+):/g, (all, name) => EMOJI[name] ?? all);
}
