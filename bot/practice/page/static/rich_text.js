// rich_text blocks: what people type in Slack, and what some apps send.
import { drawDate } from "./dates.js";
import { box, fragment, make } from "./make.js";
import { channelName, emoji, groupName, link, mention, wide } from "./mrkdwn.js";

const STYLES = { code: "code", bold: "strong", italic: "em", strike: "s", underline: "u", highlight: "mark" };

function styled(node, style = {}) {
  return Object.entries(STYLES).reduce((inner, [name, tag]) => (style[name] ? make(tag, {}, inner) : inner), node);
}

function color(part) {
  const swatch = make("span", { class: "mk-swatch", "aria-hidden": "true" });
  if (/^#[0-9a-f]{3,8}$/i.test(part.value)) swatch.style.backgroundColor = part.value;
  return make("span", {}, swatch, part.value);
}

const INLINE = {
  text: (part) => part.text,
  link: (part) => link(part.url, part.text),
  emoji: (part) =>
    /^[0-9a-f-]+$/i.test(part.unicode ?? "")
      ? String.fromCodePoint(...part.unicode.split("-").map((hex) => parseInt(hex, 16)))
      : emoji(part.name),
  user: (part, ctx) => mention(part.user_id, ctx),
  usergroup: (part, ctx) => groupName(part.usergroup_id, ctx),
  channel: (part, ctx) => channelName(part.channel_id, ctx),
  team: (part) => make("span", { class: "mk-mention" }, part.team_id),
  broadcast: (part) => wide(part.range),
  date: (part) => drawDate(part.timestamp, part.format, part.fallback, part.url, link),
  color,
};

function inline(parts, ctx) {
  return fragment(
    (parts ?? []).map((part) => {
      const draw = INLINE[part.type];
      return draw ? styled(draw(part, ctx), part.style) : make("code", {}, JSON.stringify(part));
    }),
  );
}

function list(block, ctx) {
  const tag = block.style === "ordered" ? "ol" : "ul";
  const start = block.offset ? block.offset + 1 : null;
  const looks = `rt-indent${Math.min(block.indent ?? 0, 5)}${block.border ? " rt-border" : ""}`;
  return make(tag, { class: looks, start }, block.elements.map((item) => make("li", {}, piece(item, ctx))));
}

const PIECES = {
  rich_text_section: (block, ctx) => make("div", {}, inline(block.elements, ctx)),
  rich_text_list: list,
  rich_text_quote: (block, ctx) => make("blockquote", {}, inline(block.elements, ctx)),
  rich_text_preformatted: (block, ctx) => make("pre", { class: "bk-pre", tabindex: "0" }, inline(block.elements, ctx)),
};

function piece(block, ctx) {
  return PIECES[block.type]?.(block, ctx) ?? box(`Unknown text: ${block.type}`, "", block);
}

/** A rich_text block, or the rich text within a task or a table's cell. */
export function drawRichText(block, ctx = {}) {
  return make("div", { class: "mk rt" }, (block.elements ?? []).map((part) => piece(part, ctx)));
}
