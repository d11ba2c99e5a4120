// The channel as a phone shows it: locked, where only a message's text is seen; and on a small screen.

import { button, clock, el, when } from "./dom.js";
import { Composer } from "./composer.js";
import { plain } from "./message.js";
import { Timeline } from "./timeline.js";

const MOST = 20;

/** Opens the view over the page; it follows the channel until it is closed. */
export function openPhone(ui) {
  const { store } = ui;
  const screen = el("div", { className: "screen" });
  const tabs = ["Locked", "Small screen"].map((name, n) => button(name, () => show(n), { "aria-pressed": "false" }));
  const dialog = el("dialog", { className: "phone", "aria-label": "Phone view" });
  const close = button("Close", () => dialog.close(), { className: "quiet" });
  dialog.append(el("div", { className: "bar" }, el("div", { className: "tabs", role: "group", "aria-label": "Screen" }, tabs), close), screen);
  let timeline = null;
  let shown = 0;
  const show = (n) => {
    shown = n;
    tabs.forEach((tab, at) => tab.setAttribute("aria-pressed", String(at === n)));
    timeline = null;
    screen.replaceChildren();
    screen.classList.toggle("locked", n === 0);
    if (n === 0) lock(screen, ui);
    else timeline = small(screen, ui);
  };
  const end = store.subscribe("*", () => {
    if (timeline) timeline.changed();
    else if (shown === 0) lock(screen, ui);
  });
  dialog.addEventListener("close", () => {
    end();
    dialog.remove();
    ui.refreshDraft();
  });
  document.body.append(dialog);
  show(0);
  dialog.showModal();
}

function small(screen, ui) {
  const { channel } = ui.place;
  const column = el("div", { className: "column" });
  screen.append(el("h2", { className: "bar" }, ui.nameOf(ui.store.channel(channel))), column);
  const timeline = new Timeline(column, ui, { label: "Messages on the phone" });
  timeline.show(channel);
  new Composer(column, ui, { id: "phone-composer", label: "Write on the phone" }).show(channel);
  return timeline;
}

/** Edits and what only one person sees make no notification. */
function lock(screen, ui) {
  const channel = ui.store.channel(ui.place.channel);
  const told = channel.messages.filter((m) => m.user !== ui.store.me && !m.only_you).slice(-MOST).reverse();
  const cards = told.map((m) => {
    const author = ui.store.person(m.user).real_name;
    const where = channel.kind === "im" ? "" : ` in ${ui.nameOf(channel)}`;
    return el("li", {}, el("p", { className: "who" }, el("b", {}, author + where), clock(when(m))), el("p", { className: "text" }, plain(ui, m.text)));
  });
  const now = new Date();
  screen.replaceChildren(
    el("p", { className: "now" }, clock(now)),
    cards.length ? el("ul", { "aria-label": "Notifications" }, cards) : el("p", { className: "note" }, "No notifications from this channel."),
  );
}
