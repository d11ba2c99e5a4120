// Slack's own markup, and the pieces it shares with Markdown. What is written becomes text nodes only.
import { drawDate } from "./dates.js";
import { button, el, fragment, pre } from "./dom.js";

export { drawMarkdown } from "./markdown.js";

const ENTITIES = { lt: "<", gt: ">", amp: "&" };
const WORD = /[\p{L}\p{N}]/u;
const MARKS = { "*": "strong", _: "em", "~": "s" };
const EMOJI = { white_check_mark: "✅", x: "❌", warning: "⚠️", rotating_light: "🚨", eyes: "👀", tada: "🎉", "+1": "👍", "-1": "👎", thumbsup: "👍" };
const NAMED = /:([a-z0-9_+'-]+):/y;

/** The three entities Slack knows, as characters. */
export const decode = (text) => text.replace(/&(lt|gt|amp);/g, (_, name) => ENTITIES[name]);

/** The sign of an emoji, or its `:name:`. */
export const emoji = (name) => EMOJI[name] ?? `:${name}:`;

/** The words of a plain_text object or a string, as a string. */
export function words(object) {
  const text = decode(object?.text ?? object ?? "");
  return object?.emoji === false ? text : text.replace(new RegExp(NAMED, "g"), (_, name) => emoji(name));
}

/** A link, if its address is one that can do no harm; else its label as text. */
export function link(address, label) {
  if (!/^(https?:\/\/|mailto:|tel:)/i.test(address)) return fragment(label || address);
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label || address);
}

export function mention(id, ctx, label) {
  const person = ctx.people?.get(id);
  return el(`span.mk-mention${id === ctx.me ? ".own" : ""}`, { title: person?.real_name }, `@${person?.name ?? (label || id)}`);
}

/** A channel's name; a button where the page can open it (`ctx.onChannel`). */
export function channelName(id, ctx, label) {
  const known = ctx.channels?.get(id);
  const name = `#${known?.name ?? (label || id)}`;
  return known && ctx.onChannel ? button(name, () => ctx.onChannel(id), { class: "mk-mention" }) : el("span.mk-mention", name);
}

export function groupName(id, ctx, label) {
  const handle = ctx.groups?.get(id)?.handle;
  return el("span.mk-mention", handle ? `@${handle}` : label || id);
}

export const wide = (range) => el("span.mk-mention.own", `@${range}`);

function token(whole, ctx) {
  const [, kind, id, label] = /^([@#!]?)([^|]*)(?:\|(.*))?$/s.exec(whole).map((part) => decode(part ?? ""));
  if (kind === "@") return mention(id, ctx, label);
  if (kind === "#") return channelName(id, ctx, label);
  if (kind === "") return link(id, label);
  const [name, first, format, address] = id.split("^");
  if (name === "subteam") return groupName(first, ctx, label);
  if (name !== "date") return /^(here|channel|everyone)$/.test(name) ? wide(name) : el("span.mk-mention", label || `<!${id}>`);
  const date = drawDate(Number(first), format, label);
  return address ? link(address, date) : date;
}

/** A sticky expression at `at`, made into a node: `{node, end}`, or nothing. */
export function match(expression, text, at, draw) {
  expression.lastIndex = at;
  const found = expression.exec(text);
  return found && { node: draw?.(found), end: at + found[0].length };
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

/** What both kinds of markup have: `code`, Slack's `<...>`, and addresses written out. */
export function common(text, at, ctx, bare = true) {
  const sign = text[at];
  if (sign === "`") return match(/`([^`\n]+)`/y, text, at, (found) => el("code", decode(found[1])));
  if (sign === "<") return match(/<([^<>\n]+)>/y, text, at, (found) => token(found[1], ctx));
  if (sign !== "h" || !bare || WORD.test(text[at - 1] ?? "")) return null;
  return match(/https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)\]'"]/y, text, at, (found) => link(decode(found[0])));
}

function closing(text, from, mark) {
  for (let at = from; at < text.length && text[at] !== "\n"; at++) {
    const skip = match(/`[^`\n]+`|<[^<>\n]+>/y, text, at);
    if (skip) at = skip.end - 1;
    else if (text[at] === mark && at > from && !/\s/.test(text[at - 1]) && !WORD.test(text[at + 1] ?? "")) return at;
  }
  return -1;
}

function marked(text, at, ctx, rules) {
  const mark = text[at];
  const before = text[at - 1] ?? " ";
  if (WORD.test(before) || before === mark || /\s/.test(text[at + 1] ?? " ")) return null;
  const end = closing(text, at + 1, mark);
  return end < 0 ? null : { node: el(MARKS[mark], inline(text.slice(at + 1, end), ctx, rules)), end: end + 1 };
}

function inline(text, ctx, rules) {
  return scan(text, (all, at) => {
    if (MARKS[all[at]]) return marked(all, at, ctx, rules);
    if (all[at] === ":") return match(NAMED, all, at, (found) => emoji(found[1]));
    return common(all, at, ctx, !rules.verbatim);
  });
}

const QUOTE = /^(?:>|&gt;) ?/;
const ITEM = /^\s*(?:[-•◦▪]|\d+[.)]) /;

function lines(text, ctx, rules) {
  const made = fragment();
  let place = made;
  let open = false; // whether what stands last in `place` needs a line break before more of it
  for (const line of text.split("\n")) {
    const quoted = QUOTE.test(line);
    if (quoted !== (place !== made)) {
      place = quoted ? el("blockquote") : made;
      if (quoted) made.append(place);
      open = false;
    }
    const item = ITEM.test(line);
    const drawn = inline(line.replace(QUOTE, ""), ctx, rules);
    if (open && !item) place.append("\n");
    place.append(item ? el("span.mk-item", drawn) : drawn);
    open = !item;
  }
  return made;
}

/** Slack's mrkdwn as it is read. `rules.verbatim`: addresses that are only written out are no links. */
export function drawMrkdwn(text, ctx = {}, rules = {}) {
  const parts = text.split(/\n?```\n?([^]+?)\n?```\n?/);
  const drawn = parts.map((part, n) => {
    if (n % 2) return pre(decode(part.replace(/<([^<>|\n]+)\|?[^<>\n]*>/g, "$1")));
    return (part || parts.length === 1) && lines(part, ctx, rules);
  });
  return fragment(el("span.mk", drawn));
}

/** A text object of either type, or a string. */
export function drawText(object, ctx = {}) {
  if (object?.type === "mrkdwn") return drawMrkdwn(object.text, ctx, object);
  return fragment(el("span.mk", words(object)));
}
