// One message as the person sees it, with what they can do to it.

import { drawAttachments, drawBlocks } from "./blocks.js";
import { drawMrkdwn, emoji } from "./mrkdwn.js";
import { button, clock, count, el, initials, when } from "./dom.js";

const BUSY_MS = 3000;
const TINTS = 6;

/** A person's or the app's picture. */
export function avatar(person) {
  const tint = [...person.id].reduce((sum, c) => sum + c.charCodeAt(0), 0) % TINTS;
  return el("span", { className: `avatar tint-${tint}`, "aria-hidden": "true" }, initials(person.real_name));
}

/** The text of a message without its marks, as a notification shows it. */
export function plain(ui, text) {
  return el("p", {}, drawMrkdwn(text ?? "", ui.store.names())).textContent.trim();
}

/** The whole message; `head`: with the name above it. */
export function drawMessage(ui, message, head, inThread) {
  const author = ui.store.person(message.user);
  const app = message.app || author.bot || message.user === "USLACKBOT";
  const props = { className: `message${head ? "" : " follows"}${message.only_you ? " private" : ""}`, "data-ts": message.ts, tabIndex: -1 };
  props["aria-label"] = `${author.real_name}, ${when(message).toLocaleTimeString("en-GB")}`;
  const said = el(
    "div",
    { className: "said" },
    message.only_you && el("p", { className: "only-you" }, "Only visible to you"),
    head && el("p", { className: "who" }, el("b", {}, author.real_name), app && el("span", { className: "badge" }, "APP"), clock(when(message))),
    message.pinned && el("p", { className: "only-you" }, "Pinned"),
    message.broadcast && broadcast(ui, message, inThread),
    body(ui, message),
    reactions(message),
    !inThread && message.reply_count > 0 && footer(ui, message),
  );
  return el("article", props, head ? avatar(author) : el("span", { className: "aside" }, clock(when(message))), said, tools(ui, message, inThread));
}

function broadcast(ui, message, inThread) {
  if (inThread) return el("p", { className: "only-you" }, "Also sent to the channel");
  const parent = ui.store.channel(message.channel).messages.find((m) => m.ts === message.thread_ts);
  const start = parent ? plain(ui, parent.text).slice(0, 60) : "";
  const open = button(start || "the thread", () => ui.openThread(message.channel, message.thread_ts), { className: "link" });
  return el("p", { className: "only-you" }, "replied to a thread: ", open);
}

function body(ui, message) {
  const ctx = context(ui, message);
  const made = el("div", { className: "body" });
  if (message.blocks?.length) made.append(drawBlocks(message.blocks, ctx));
  else if (message.text) made.append(drawMrkdwn(message.text, ctx));
  if (message.attachments?.length) made.append(drawAttachments(message.attachments, ctx));
  if (message.details?.length) made.append(el("ul", { className: "details" }, message.details.map((d) => el("li", {}, d))));
  if (message.edited) made.append(el("span", { className: "edited" }, " (edited)"));
  return made;
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
  return el("p", { className: "reactions" }, all.map((r) => el("span", {}, `${emoji(r.name)} ${r.count}`)));
}

function footer(ui, { channel, ts, reply_count, reply_users, latest_reply }) {
  const people = reply_users.slice(0, 4).map((id) => avatar(ui.store.person(id)));
  const words = [el("b", {}, count(reply_count, "reply", "replies")), el("span", { className: "muted" }, "last at ", clock(when({ ts: latest_reply })))];
  return el("button", { type: "button", className: "replies", "data-key": "@replies", onclick: () => ui.openThread(channel, ts) }, people, words);
}

function tools(ui, message, inThread) {
  if (inThread || message.only_you) return null;
  const open = () => ui.openThread(message.channel, message.thread_ts ?? message.ts, true);
  return el("div", { className: "tools" }, button("Reply", open, { "aria-label": "Reply in thread", "data-key": "@reply" }));
}
