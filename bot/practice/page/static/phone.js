// The channel as a phone shows it: locked, where only a message's text is seen; and on a small screen.

import { button, choice, clock, el, when } from "./dom.js";
import { Composer } from "./composer.js";
import { plain } from "./message.js";
import { Timeline } from "./timeline.js";
import { isTop } from "./store.js";

const MOST = 20;

/** Opens the view over the page; it follows the channel until it is closed. */
export function openPhone(ui) {
  const screen = el("div.screen");
  let timeline = null;
  const show = (n) => {
    screen.replaceChildren();
    screen.classList.toggle("locked", !n);
    timeline = n ? small(screen, ui) : null;
    if (!n) lock(screen, ui);
  };
  const end = ui.store.subscribe("*", () => (timeline ? timeline.changed() : lock(screen, ui)));
  const onclose = () => {
    end();
    dialog.remove();
    ui.refreshDraft();
  };
  const close = button("Close", () => dialog.close(), { class: "quiet" });
  const bar = el("div.bar", choice("Screen", ["Locked", "Small screen"], show), close);
  const dialog = el("dialog.phone", { label: "Phone view", onclose }, bar, screen);
  document.body.append(dialog);
  show(0);
  dialog.showModal();
}

function small(screen, ui) {
  const { channel } = ui.place;
  const column = el("div.column");
  screen.append(el("h2.bar", ui.nameOf(ui.store.channel(channel))), column);
  const timeline = new Timeline(column, ui, { label: "Messages on the phone" });
  timeline.show(channel);
  new Composer(column, ui, { id: "phone-composer", label: "Write on the phone" }).show(channel);
  return timeline;
}

/** Edits, private words and replies that do not name one make no notification. */
function lock(screen, ui) {
  const channel = ui.store.channel(ui.place.channel);
  const { me } = ui.store;
  const told = channel.messages.filter((m) => m.user !== me && !m.only_you && (isTop(m) || m.text.includes(me))).slice(-MOST).reverse();
  const where = channel.kind === "im" ? "" : ` in ${ui.nameOf(channel)}`;
  const cards = told.map((m) => {
    const who = el("p.who", el("b", ui.store.person(m.user).real_name + where), clock(when(m)));
    return el("li", who, el("p.text", plain(ui, m.text)));
  });
  screen.replaceChildren(
    el("p.now", clock(new Date())),
    cards.length ? el("ul", { label: "Notifications" }, cards) : el("p.note", "No notifications from this channel."),
  );
}
