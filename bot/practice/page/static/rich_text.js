// rich_text blocks: what people type in Slack, and what some apps send.
import { drawDate } from "./dates.js";
import { box, el, fragment, pre } from "./dom.js";
import { channelName, emoji, groupName, link, mention, wide } from "./mrkdwn.js";

const STYLES = { code: "code", bold: "strong", italic: "em", strike: "s", underline: "u" };

function color(part) {
  const swatch = el("span.mk-swatch");
  if (/^#[0-9a-f]{3,8}$/i.test(part.value)) swatch.style.backgroundColor = part.value;
  return fragment(swatch, part.value);
}

const sign = (hex) => (/^[0-9a-f-]+$/i.test(hex ?? "") ? String.fromCodePoint(...hex.split("-").map((one) => parseInt(one, 16))) : null);

const INLINE = {
  __proto__: null,
  text: (part) => part.text,
  link: (part) => link(part.url, part.text),
  emoji: (part) => sign(part.unicode) ?? emoji(part.name),
  user: (part, ctx) => mention(part.user_id, ctx),
  usergroup: (part, ctx) => groupName(part.usergroup_id, ctx),
  channel: (part, ctx) => channelName(part.channel_id, ctx),
  team: (part) => el("span.mk-mention", part.team_id),
  broadcast: (part) => wide(part.range),
  date: (part) => drawDate(part.timestamp, part.format, part.fallback),
  color,
};

function inline(parts, ctx) {
  return (parts ?? []).map((part) => {
    const drawn = INLINE[part.type]?.(part, ctx) ?? el("code", JSON.stringify(part));
    return Object.keys(STYLES).reduce((inner, name) => (part.style?.[name] ? el(STYLES[name], inner) : inner), drawn);
  });
}

function list(block, ctx) {
  const ordered = block.style === "ordered";
  const made = el(ordered ? "ol" : "ul", { start: ordered && block.offset ? block.offset + 1 : null });
  made.style.marginInlineStart = `${1.5 * (block.indent ?? 0)}rem`;
  for (const item of block.elements) made.append(el("li", piece(item, ctx)));
  return made;
}

const PIECES = {
  __proto__: null,
  rich_text_section: (block, ctx) => el("div", inline(block.elements, ctx)),
  rich_text_list: list,
  rich_text_quote: (block, ctx) => el("blockquote", inline(block.elements, ctx)),
  rich_text_preformatted: (block, ctx) => pre(inline(block.elements, ctx)),
};

const piece = (block, ctx) => PIECES[block.type]?.(block, ctx) ?? box(`Unknown text: ${block.type}`, "", block);

export const drawRichText = (block, ctx = {}) => el("div.mk.rt", (block.elements ?? []).map((part) => piece(part, ctx)));
