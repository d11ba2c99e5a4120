// The page: which parts there are, where the person is, and how one gets from one place to another.

import { at, button, el, kept } from "./dom.js";
import { Composer } from "./composer.js";
import { mountPanel, showPanel } from "./side_panel.js";
import { openFind } from "./find.js";
import { openPhone } from "./phone.js";
import { plain } from "./message.js";
import { showHome, showModal } from "./home.js";
import { Sidebar, dress } from "./sidebar.js";
import { Store, unread } from "./store.js";
import { Thread } from "./thread.js";
import { Timeline } from "./timeline.js";
import { listenForKeys } from "./keys.js";

const HOME = "home";

/** What the parts share: the store, the place, and the ways to go elsewhere. */
class Page {
  place = { channel: null, thread: null };
  #left = new Map();
  #drawn = "";
  #reading = false;
  #opener = null;

  constructor() {
    const asked = new URLSearchParams(location.search).get("as");
    this.who = kept(sessionStorage, "as", "U0ANA");
    if (asked) this.who.set(asked);
    this.store = new Store(this.who.get());
    this.sidebar = new Sidebar(at("side"), this);
    this.timeline = new Timeline(at("column"), this, { onSeen: (ts) => this.#seen(ts) });
    this.composer = new Composer(at("column"), this, { id: "composer", label: "Message" });
    this.thread = new Thread(at("thread"), this);
    this.#listen();
  }

  #listen() {
    const on = (kinds, fn) => this.store.subscribe(kinds, fn);
    on("state", () => this.#arrive());
    on("message gone", (m) => this.#changed(m));
    on("message", (m) => this.#announce(m));
    on("channel", () => (this.#side(), this.#head(), this.composer.refresh()));
    on("view", () => showModal(at("modal"), this));
    on("home", () => this.place.channel === HOME && showHome(at("home"), this));
    on("bot online setup", () => this.#banner());
    window.addEventListener("popstate", () => this.#follow());
    at("main").addEventListener("click", (event) => event.target.closest(".menu") || at("layout").classList.remove("side-open"));
    at("skip").addEventListener("click", (event) => (event.preventDefault(), this.#write()));
    document.addEventListener("click", (event) => this.#link(event));
    document.addEventListener("visibilitychange", () => this.timeline.changed());
    listenForKeys(this);
  }

  context() {
    return { ...this.store.names(), channel: this.place.channel, onChannel: (id) => this.go(id) };
  }

  app() {
    return this.store.state.people.find((p) => p.bot)?.real_name ?? "Rollbot";
  }

  dm() {
    return this.store.state.channels.find((c) => c.kind === "im");
  }

  nameOf(channel) {
    return channel.kind === "im" ? this.app() : `#${channel.name}`;
  }

  places() {
    const channels = this.store.state.channels.filter((c) => c.kind !== "im").map((c) => ({ id: c.id, name: this.nameOf(c) }));
    return [...channels, { id: this.dm()?.id ?? "dm", name: this.app() }, { id: HOME, name: `${this.app()} Home` }];
  }

  /** Opens a channel, the direct messages ("dm") or the Home tab ("home"). */
  async go(id, thread = null) {
    if (id === "dm") {
      const answer = await this.store.act({ act: "dm" });
      if (!this.dm()) await this.store.read();
      if (!answer.ok || !this.dm()) return;
      id = this.dm().id;
    }
    at("layout").classList.remove("side-open");
    this.#address("pushState", id, thread);
    this.#show(id, thread);
    if (id === HOME) this.store.act({ act: "home" });
    else if (!thread && !this.#narrow()) this.composer.input.focus();
  }

  openThread(channel, ts, write = false) {
    if (channel !== this.place.channel) return void this.go(channel, ts);
    if (ts !== this.place.thread) this.#address("pushState", channel, ts);
    this.#opener = document.activeElement;
    this.#show(channel, ts);
    if (write && !this.#narrow()) this.thread.composer.input.focus();
    else at("thread").focus();
  }

  closeThread() {
    this.#address("pushState");
    this.#show(this.place.channel, null);
    if (this.#opener?.isConnected) this.#opener.focus();
    else this.#write();
  }

  /** The page becomes another person's; the place stays if they may see it. */
  async become(user) {
    const direct = this.place.channel === this.dm()?.id;
    this.who.set(user);
    this.#left.clear();
    this.store.me = user;
    await this.store.connect();
    if (direct) return this.go("dm");
    this.#address("replaceState", this.place.channel, this.place.thread);
  }

  find() {
    openFind(this.places(), (id) => this.go(id));
  }

  /** After one has written something, one sees it. */
  sent(thread) {
    const list = thread ? this.thread.timeline : this.timeline;
    if (list.left()) list.toEnd();
  }

  /** A link to a message opens it here, as the same person. */
  #link(event) {
    const [, channel, s, us] = event.target.closest("a")?.href.match(/\/archives\/(\w+)\/p(\d+)(\d{6})$/) ?? [];
    if (!this.store.channel(channel)) return;
    event.preventDefault();
    this.go(channel, `${s}.${us}`);
  }

  refreshDraft() {
    if (this.place.channel !== HOME) this.composer.show(this.place.channel);
  }

  #narrow() {
    return matchMedia("(max-width: 52rem)").matches;
  }

  #address(how, channel = this.place.channel, thread = null) {
    history[how](null, "", `?as=${this.store.me}#${channel}${thread ? `/${thread}` : ""}`);
  }

  #write() {
    (this.place.channel === HOME ? at("home") : this.composer.input).focus();
  }

  #follow(anew = false) {
    const [channel, thread] = location.hash.slice(1).split("/");
    const known = channel === HOME || this.store.channel(channel);
    const first = this.store.state.channels.find((c) => c.member && c.kind !== "im")?.id ?? HOME;
    this.#show(known ? channel : first, known ? (thread ?? null) : null, anew);
  }

  /** The state was read anew: at the beginning, as another person, or after the connection was lost. */
  #arrive() {
    const fresh = !this.#drawn;
    this.#banner();
    this.#follow(true);
    showModal(at("modal"), this);
    if (this.place.channel === HOME && !this.store.state.home) this.store.act({ act: "home" });
    if (!fresh) return;
    mountPanel(this.store);
    this.#address("replaceState", this.place.channel, this.place.thread);
  }

  #show(channel, thread, anew = false) {
    const { place, store } = this;
    const same = place.channel === channel && this.#drawn === store.me;
    if (!same && place.channel && place.channel !== HOME) this.#left.set(place.channel, this.timeline.left());
    const sameThread = same && place.thread === thread;
    this.place = { channel, thread };
    const home = channel === HOME;
    at("home").hidden = !home;
    at("column").hidden = home;
    if (home) showHome(at("home"), this);
    else if (!same || anew) {
      this.timeline.show(channel, null, same ? this.timeline.left() : this.#left.get(channel), same);
      if (!same) this.composer.show(channel);
    }
    this.timeline.stay(() => {
      at("layout").classList.toggle("thread-open", Boolean(thread));
      if (!sameThread || !thread) this.thread.show(channel, thread);
      else this.thread.timeline.changed();
    });
    this.#drawn = store.me;
    this.composer.refresh();
    this.#side();
    this.#head();
  }

  #head() {
    const { channel: id } = this.place;
    const channel = this.store.channel(id);
    const title = el("div.title", el("h1", channel ? this.nameOf(channel) : this.app()), channel?.topic && el("p.muted", channel.topic));
    const menu = button("Menu", () => at("layout").classList.toggle("side-open"), { class: "quiet menu" });
    const phone = button("Phone", () => openPhone(this), { class: "quiet", label: "Phone view", disabled: id === HOME });
    const panel = button("Incident", () => showPanel(at("panel").hidden), { class: "quiet", id: "panel-toggle", "aria-expanded": `${!at("panel").hidden}`, "aria-controls": "panel" });
    at("head").replaceChildren(menu, title, el("div.tools-right", phone, panel));
  }

  /** What is unread where, in the sidebar and in the title. */
  #side() {
    this.sidebar.draw();
    const { store, place } = this;
    const fresh = store.state.channels.reduce((n, c) => n + unread(store, c).fresh, 0);
    const here = store.channel(place.channel);
    document.title = `${fresh ? `(${fresh}) ` : ""}${here ? this.nameOf(here) : "Home"} - Rollbot practice`;
  }

  #changed(message) {
    if (message.channel === this.place.channel) {
      this.timeline.changed();
      if (this.place.thread) this.thread.timeline.changed();
    }
    this.#side();
  }

  #announce(message) {
    const { channel, thread } = this.place;
    const here = message.channel === channel && (!message.thread_ts || message.thread_ts === message.ts || message.thread_ts === thread);
    if (!here || message.user === this.store.me || message.edited) return;
    at("live").textContent = `${this.store.person(message.user).real_name}: ${plain(this, message.text)}`;
  }

  /** Tells the server what was seen, one telling at a time. */
  async #seen(ts) {
    const channel = this.store.channel(this.place.channel);
    if (!channel || ts <= channel.read) return;
    channel.read = ts;
    this.#side();
    if (this.#reading) return;
    this.#reading = true;
    await this.store.act({ act: "read", channel: channel.id, ts });
    this.#reading = false;
    if (channel.read > ts) this.store.act({ act: "read", channel: channel.id, ts: channel.read });
  }

  #banner() {
    const { online } = this.store;
    const { setup, bot } = this.store.state ?? {};
    const gone = !setup && bot && !bot.alive && (bot.note ?? "The bot was killed. It comes back.");
    const words = online ? gone || "" : "Not connected. Trying again.";
    at("banner").hidden = !words;
    at("banner").textContent = words;
    at("setup").hidden = !setup;
    if (setup) drawSetup(at("setup"), setup);
  }
}

function drawSetup(host, { done = 0, total = 1, note = "", error }) {
  if (error) return host.replaceChildren(el("h2", "The set-up failed"), el("p", { role: "alert" }, error));
  const bar = el("progress", { max: total, value: done, label: "Setting up the practice" });
  host.replaceChildren(el("h2", "Setting up the practice platform"), bar, el("p.muted", { role: "status" }, note));
}

dress();
const page = new Page();
page.store.connect();
