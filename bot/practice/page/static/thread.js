// The thread beside the channel: the message, its replies, and a composer of its own.

import { button, el } from "./dom.js";
import { Composer } from "./composer.js";
import { Timeline } from "./timeline.js";

export class Thread {
  constructor(host, ui) {
    this.host = host;
    this.ui = ui;
    this.where = el("p.muted");
    const close = button("Close", () => ui.closeThread(), { class: "quiet", label: "Close the thread" });
    const list = el("div.column");
    host.append(el("header.bar", el("div", el("h2", "Thread"), this.where), close), list);
    this.timeline = new Timeline(list, ui, { label: "Messages in the thread" });
    this.composer = new Composer(list, ui, { id: "thread-composer", label: "Reply in the thread" });
  }

  show(channel, ts) {
    this.host.hidden = !ts;
    if (!ts) return;
    const place = this.ui.store.channel(channel);
    this.where.textContent = place ? this.ui.nameOf(place) : "";
    this.timeline.show(channel, ts);
    if (place && !place.messages.some((m) => m.ts === ts)) this.ui.store.readThread(place, ts).then(() => this.timeline.changed());
    this.composer.show(channel, ts);
  }
}
