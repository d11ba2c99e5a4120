// A scrolling list of messages that keeps its place: only some hundred are drawn at a time, however many there are.

import { button, count, day, el, keyed, sign, when } from "./dom.js";
import { isTop } from "./store.js";
import { drawMessage } from "./message.js";

const MOST = 240;
const STEP = 60;
const NEAR = 400;
const TOGETHER_S = 300;

/** Shows one channel or, with a `thread`, its parent and replies. `onSeen(ts)` hears of the newest message seen. */
export class Timeline {
  #from = 0;
  #to = Infinity;
  #busy = false;
  #stick = true;
  #queued = 0;
  #known = 0;
  #moved = 0;

  constructor(host, ui, { onSeen = () => {}, label = "Messages" } = {}) {
    this.ui = ui;
    this.store = ui.store;
    this.onSeen = onSeen;
    this.list = el("div.messages");
    this.scroller = el("div.scroller", { tabindex: 0, role: "region", label, onscroll: () => this.#scrolled() }, this.list);
    this.jump = button("Latest", () => this.toEnd(), { class: "jump", hidden: true });
    host.append(this.scroller, this.jump);
    const resized = new ResizeObserver(() => this.#stick && this.#bottom());
    for (const part of [this.scroller, this.list]) resized.observe(part);
  }

  /** A channel or thread, where it was `left`, else at its end; `again`: the same one, whose new line stays. */
  show(channel, thread = null, left = null, again = false) {
    this.channel = channel;
    this.thread = thread;
    this.newFrom = null;
    if (!again) this.mark = thread ? null : this.store.channel(channel)?.read ?? null;
    this.list.replaceChildren();
    const all = this.#all();
    this.#known = all.length;
    this.#end(all);
    const at = left ? all.findIndex((m) => m.ts >= left.ts) : -1;
    if (at >= 0) {
      this.#from = Math.max(0, at - STEP);
      this.#to = at + STEP >= all.length ? Infinity : at + STEP;
      this.#stick = false;
    }
    this.draw();
    if (!this.#stick) this.#hold(left);
  }

  /** Where one is, for coming back; null at the end. */
  left() {
    return this.#stick ? null : this.#anchor();
  }

  /** Draws soon what has changed; many changes at once are drawn together. */
  changed() {
    this.#queued ||= setTimeout(() => this.draw(), 16);
  }

  /** Does something that changes how wide the list is, and stays at the same message. */
  stay(change) {
    const anchor = this.left();
    change();
    if (anchor) this.#hold(anchor);
  }

  toEnd() {
    this.#end(this.#all());
    this.draw();
    this.scroller.focus({ preventScroll: true });
  }

  #end(all) {
    this.#to = Infinity;
    this.#from = Math.max(0, all.length - STEP);
    this.#stick = true;
  }

  #all() {
    const channel = this.store.channel(this.channel);
    if (!channel) return [];
    return this.thread ? this.store.thread(channel, this.thread) : channel.messages.filter(isTop);
  }

  draw() {
    clearTimeout(this.#queued);
    this.#queued = 0;
    const all = this.#all();
    this.#follow(all);
    const shown = all.slice(this.#from, this.#to);
    const anchor = this.#stick ? null : this.#anchor();
    keyed(this.list, this.#items(shown, all));
    if (this.#stick) this.#bottom();
    else if (anchor) this.#hold(anchor);
    this.#tellSeen(all);
  }

  /** Moves the window along at the end; elsewhere what is drawn stays what it was. */
  #follow(all) {
    if (this.#to >= this.#known) this.#to = Infinity;
    this.#known = all.length;
    if (this.#to < all.length) return;
    if (all.length - this.#from <= MOST) return;
    if (this.#stick) this.#from = all.length - STEP;
    else this.#to = this.#from + MOST;
  }

  #items(shown, all) {
    const channel = this.store.channel(this.channel);
    const items = [];
    if (this.#from > 0 || (channel?.more && !this.thread)) items.push(note("more", "Earlier messages are loaded as you scroll"));
    else if (channel && !this.thread) items.push(note("start", `This is the start of ${this.ui.nameOf(channel)}.`));
    const fresh = this.mark !== null && all.find((m) => m.ts > this.mark && m.user !== this.store.me && !m.at);
    let before = null;
    for (const m of shown) {
      const today = day(when(m));
      const newDay = !this.thread && (!before || day(when(before)) !== today);
      if (newDay) items.push(divider(`day-${m.ts}`, today, "day"));
      if (m === fresh) items.push(divider("new", "New", "new"));
      const head = newDay || m === fresh || !before || before.ts === this.thread || !together(before, m);
      const parent = m.broadcast && channel.messages.find((one) => one.ts === m.thread_ts)?.text;
      items.push({ key: m.ts, sig: [m, head, parent], draw: () => drawMessage(this.ui, m, head, Boolean(this.thread)) });
      if (this.thread && m.ts === this.thread && all.length > 1) items.push(divider("count", count(all.length - 1, "reply", "replies"), "day"));
      before = m;
    }
    return items;
  }

  #tellSeen(all) {
    const end = this.#stick && this.#to >= all.length;
    this.jump.hidden = end;
    const last = all.findLast((m) => !m.at);
    if (end) {
      this.newFrom = null;
      if (last && document.visibilityState === "visible") {
        if (this.mark !== null && !this.list.querySelector(".new")) this.mark = last.ts;
        this.onSeen(last.ts);
      }
    } else {
      this.newFrom ??= all.length;
      const fresh = all.length - this.newFrom;
      this.jump.textContent = fresh > 0 ? count(fresh, "new message") : "Latest";
    }
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const all = this.#all();
    // What grows above the end must not unstick it; only going up does.
    const end = this.#to >= all.length && scrollHeight - scrollTop - clientHeight < 40;
    this.#stick = end || (this.#stick && scrollTop >= this.#moved);
    if (!this.#busy && scrollTop < NEAR && this.#moved !== scrollTop) this.#upwards(all);
    else if (scrollHeight - scrollTop - clientHeight < NEAR && this.#to < all.length) this.#downwards(all);
    this.#moved = this.scroller.scrollTop;
    this.#tellSeen(all);
  }

  async #upwards(all) {
    if (this.#from === 0) {
      const { channel } = this;
      if (this.thread || !this.store.channel(channel)?.more) return;
      this.#busy = true;
      const size = all.length;
      const to = this.#to;
      await this.store.older(channel);
      this.#busy = false;
      if (this.channel !== channel || this.thread) return;
      const more = this.#all().length - size;
      this.#from = more;
      this.#to = to + more;
      this.#known += more;
      if (this.newFrom !== null) this.newFrom += more;
    }
    const from = this.#from;
    this.#from = Math.max(0, from - STEP);
    if (from === this.#from) return;
    const size = this.#all().length;
    this.#to = Math.min(this.#to, this.#from + MOST);
    if (this.#to >= size) this.#to = Infinity;
    this.draw();
  }

  #downwards(all) {
    this.#to = Math.min(all.length, this.#to + STEP);
    this.#from = Math.max(this.#from, this.#to - MOST);
    if (this.#to === all.length) this.#to = Infinity;
    this.draw();
  }

  /** The first message in sight and how far down it stands. */
  #anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    const row = [...this.list.children].find((r) => r.dataset.ts && r.getBoundingClientRect().bottom > top);
    return row ? { ts: row.dataset.ts, top: row.getBoundingClientRect().top - top } : null;
  }

  #hold({ ts, top }) {
    const row = [...this.list.children].find((r) => r.dataset.ts === ts);
    if (row) this.scroller.scrollTop += row.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - top;
  }

  #bottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

function together(a, b) {
  const near = parseFloat(b.ts) - parseFloat(a.ts) < TOGETHER_S;
  return a.user === b.user && near && !b.only_you && !a.only_you && !b.broadcast && !b.pinned;
}

const divider = (key, text, kind) => ({ key, sig: [text], draw: () => el(`div.divider.${kind}`, { role: "separator", label: text }, sign("span", text)) });

const note = (key, text) => ({ key, sig: [text], draw: () => el("p.note", text) });
