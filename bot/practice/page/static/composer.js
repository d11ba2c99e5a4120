// Where one writes: messages, and commands with hints from the bot's own usage while typing.

import { button, el, kept } from "./dom.js";

const MOST_HINTS = 8;

/** A composer for a channel or a thread, with a draft of its own for each that outlives a reload. */
export class Composer {
  #active = -1;
  #hints = [];
  #sent = "";

  constructor(host, ui, { id, label }) {
    this.ui = ui;
    this.list = el("ul", { className: "hints", id: `${id}-hints`, role: "listbox", "aria-label": "Commands", hidden: true });
    this.input = el("textarea", {
      id,
      rows: 1,
      role: "combobox",
      "aria-label": label,
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#show([]),
      onfocus: () => this.#suggest(),
    });
    this.send = button("Send", () => this.#send(), { className: "primary" });
    this.closed = el("p", { className: "note", hidden: true });
    this.box = el("form", { className: "composer", onsubmit: (e) => e.preventDefault() }, this.list, this.input, this.send);
    host.append(this.box, this.closed);
  }

  /** From now on it writes there. */
  show(channel, thread = null) {
    const { store } = this.ui;
    this.channel = channel;
    this.thread = thread;
    this.draft = kept(sessionStorage, `draft:${store.me}:${channel}:${thread ?? ""}`);
    this.input.value = this.draft.get();
    this.#show([]);
    this.#fit();
    this.refresh();
  }

  /** Whether one may write here, and what it is called. */
  refresh() {
    const channel = this.ui.store.channel(this.channel);
    if (!channel) return;
    const open = channel.member && !channel.read_only;
    this.box.hidden = !open;
    this.closed.hidden = open;
    this.closed.textContent = channel.member ? "Sending messages to this app has been turned off." : "You are not in this channel.";
    this.input.placeholder = this.thread ? "Reply..." : `Message ${this.ui.nameOf(channel)}`;
  }

  #fit() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 200)}px`;
    this.send.disabled = !this.input.value.trim();
  }

  #typed() {
    this.draft.set(this.input.value);
    this.#fit();
    this.#suggest();
  }

  #suggest() {
    const typed = this.input.value.toLowerCase();
    const { commands, shortcuts = [] } = this.ui.store.state;
    if (!typed.startsWith("/") || typed.includes("\n") || this.thread) return this.#show([]);
    const short = shortcuts.filter((s) => s.name.toLowerCase().startsWith(typed.slice(1)));
    const started = short.map((s) => ({ command: "", usage: s.name, says: "A shortcut", callback_id: s.callback_id }));
    this.#show([...matching(commands, typed).slice(0, MOST_HINTS), ...started]);
  }

  #show(hints) {
    this.#hints = hints;
    this.list.hidden = !hints.length;
    this.list.replaceChildren(...hints.map((hint, n) => this.#option(hint, n)));
    this.input.setAttribute("aria-expanded", String(hints.length > 0));
    this.#choose(-1);
  }

  #option(hint, n) {
    const words = [el("b", {}, `${hint.command} ${hint.usage}`.trim()), el("span", { className: "muted" }, hint.says)];
    const take = (event) => {
      event.preventDefault();
      this.#complete(n);
    };
    return el("li", { id: `${this.list.id}-${n}`, role: "option", "aria-selected": "false", onmousedown: take }, words);
  }

  #choose(n) {
    this.#active = n;
    [...this.list.children].forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === n));
      if (at === n) option.scrollIntoView({ block: "nearest" });
    });
    if (n >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${n}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  #complete(n) {
    const hint = this.#hints[n];
    if (!hint) return;
    this.input.value = hint.callback_id ? "" : completed(hint);
    this.#typed();
    this.input.focus();
    if (hint.callback_id) this.#tell({ act: "shortcut", callback_id: hint.callback_id });
  }

  #key(event) {
    if (event.isComposing) return;
    const open = this.#hints.length;
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (open && moves[event.key] && !event.altKey) this.#choose((Math.max(this.#active, event.key === "ArrowUp" ? 0 : -1) + moves[event.key] + open) % open);
    else if (open && event.key === "Tab" && !event.shiftKey && this.#adds()) this.#complete(Math.max(0, this.#active));
    else if (open && event.key === "Escape") this.#show([]);
    else if (event.key === "Enter" && !event.shiftKey) {
      if (open && (this.#active >= 0 || !this.#whole())) this.#complete(Math.max(0, this.#active));
      else this.#send();
    } else if (event.key === "ArrowUp" && !this.input.value && this.#sent) {
      this.input.value = this.#sent;
      this.#typed();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Whether Tab would add anything; if not, it goes on to the next control. */
  #adds() {
    return this.#active >= 0 || completed(this.#hints[0]).trim().length > this.input.value.trim().length;
  }

  #whole(text = this.input.value) {
    const first = text.trim().split(/\s/)[0];
    return this.ui.store.state.commands.some((c) => c.command === first);
  }

  #send() {
    const text = this.input.value.trim();
    if (!text) return;
    const { channel, thread } = this;
    this.#sent = text;
    this.input.value = "";
    this.#typed();
    this.ui.sent(thread);
    const [command] = text.split(/\s/, 1);
    if (!text.startsWith("/")) this.#tell({ act: "say", channel, text, thread_ts: thread ?? undefined });
    else if (thread) this.#note(channel, thread, { error: `${command} is not supported in threads. Type it in the channel.` });
    else if (!this.#whole(text)) this.#note(channel, thread, { error: `${command} is not a valid command.` });
    else this.#tell({ act: "slash", channel, command, text: text.slice(command.length).trim() });
  }

  /** Does it; what goes wrong is said there, to this person only, and what they wrote comes back if nothing was sent. */
  async #tell(body) {
    const { channel, thread } = this;
    const typed = this.#sent;
    const answer = await this.ui.store.act(body);
    if (answer.ok) return;
    this.#note(channel, thread, answer);
    if (!answer.ms && !this.input.value && this.channel === channel && this.thread === thread) {
      this.input.value = body.act === "shortcut" ? "" : typed;
      this.#typed();
    }
  }

  #note(channel, thread, { error, details }) {
    this.ui.store.note(channel, error ?? "That did not work.", details, thread ?? undefined);
  }
}

/** The hints that go on from what is typed: by the command, then by the first word after it. */
function matching(hints, typed) {
  const [command, word, ...rest] = typed.toLowerCase().split(/\s+/);
  if (word === undefined) return hints.filter((h) => h.command.startsWith(command));
  const here = hints.filter((h) => h.command === command);
  const first = (h) => completed(h).split(" ")[1] ?? "";
  const found = here.filter((h) => first(h) && (rest.length ? first(h) === word : first(h).startsWith(word)));
  return found.length ? found : here.filter((h) => !first(h));
}

/** What a hint fills in: the command and the words of its usage that are typed as they stand. */
function completed(hint) {
  const words = hint.usage.split(/\s+/);
  const end = words.findIndex((w) => !/^[a-z][a-z-]*$/.test(w));
  return [hint.command, ...words.slice(0, end < 0 ? words.length : end), ""].filter((w, n, all) => w || n === all.length - 1).join(" ");
}
