// One message as the person sees it, with what they can do to it.

import { drawAttachments, drawBlocks } from "./blocks.js";
import { drawMrkdwn, emoji } from "./mrkdwn.js";
import { button, clock, count, el, sign, when } from "./dom.js";

const BUSY_MS = 3000;

// A person's or the app's picture: up to two letters of the name.
function avatar({ id, real_name }) {
  const hue = [...id].reduce((sum, c) => sum + 40 * c.charCodeAt(0), 0);
  const words = real_name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words.at(-1)[0] : real_name.slice(0, 2);
  const drawn = sign("span.avatar", letters.toUpperCase());
  drawn.style.backgroundColor = `hsl(${hue % 360} 40% 33%)`;
  return drawn;
}

/** The text of a message without its marks, as a notification shows it. */
export const plain = (ui, text) => el("p", drawMrkdwn(text ?? "", ui.store.names())).textContent.trim();

/** The whole message; `head`: with the name above it. */
export function drawMessage(ui, message, head, inThread) {
  const author = ui.store.person(message.user);
  const app = message.app || author.bot || message.user === "USLACKBOT";
  const at = when(message);
  const attrs = { "data-ts": message.ts, tabindex: -1, label: `${author.real_name}, ${at.toLocaleTimeString("en-GB")}` };
  const said = el(
    "div.said",
    message.only_you && el("p.only-you", "Only visible to you"),
    head && el("p.who", el("b", author.real_name), app && el("span.badge", "APP"), clock(at)),
    message.pinned && el("p.only-you", "Pinned"),
    message.broadcast && broadcast(ui, message, inThread),
    body(ui, message),
    reactions(message),
    !inThread && message.reply_count > 0 && footer(ui, message),
  );
  return el(`article.message${message.only_you ? ".private" : ""}`, attrs, head ? avatar(author) : el("span.aside", clock(at)), said, tools(ui, message, inThread));
}

function broadcast(ui, message, inThread) {
  if (inThread) return el("p.only-you", "Also sent to the channel");
  const parent = ui.store.channel(message.channel).messages.find((m) => m.ts === message.thread_ts);
  const start = parent ? plain(ui, parent.text) : "";
  const open = button(start || "the thread", () => ui.openThread(message.channel, message.thread_ts), { class: "link cut" });
  return el("p.only-you", el("span", "replied to"), open);
}

function body(ui, message) {
  const ctx = context(ui, message);
  return el(
    "div.body",
    message.blocks?.length ? drawBlocks(message.blocks, ctx) : message.text && drawMrkdwn(message.text, ctx),
    drawAttachments(message.attachments, ctx),
    message.details?.length > 0 && el("ul.details", message.details.map((d) => el("li", d))),
    message.edited && el("span.edited", " (edited)"),
  );
}

function context(ui, { channel, ts, thread_ts, values }) {
  const answered = thread_ts === ts ? undefined : thread_ts;
  return {
    ...ui.context(),
    values,
    onAction: async ({ action_id, value, element }) => {
      const until = new Promise((over) => setTimeout(over, BUSY_MS));
      const answer = await ui.store.act({ act: element.type.endsWith("button") ? "click" : "select", channel, ts, action_id, value });
      if (answer.ok) return until; // or until the message is drawn anew
      return ui.store.note(channel, answer.error, answer.details, answered);
    },
  };
}

function reactions({ reactions: all }) {
  if (!all?.length) return null;
  return el("p.reactions", all.map((r) => el("span", `${emoji(r.name)} ${r.count}`)));
}

function footer(ui, { channel, ts, reply_count, reply_users, latest_reply }) {
  const people = reply_users.slice(0, 4).map((id) => avatar(ui.store.person(id)));
  const words = [el("b", count(reply_count, "reply", "replies")), el("span.muted", "last at ", clock(when({ ts: latest_reply })))];
  return button([people, words], () => ui.openThread(channel, ts), { class: "replies", "data-key": "@replies" });
}

function tools(ui, message, inThread) {
  if (inThread || message.only_you) return null;
  const open = () => ui.openThread(message.channel, message.thread_ts ?? message.ts, true);
  return el("div.tools", button("Reply", open, { label: "Reply in thread", "data-key": "@reply" }));
}
