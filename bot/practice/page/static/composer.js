// Where one writes: messages, and commands with hints from the bot's own usage while typing.

import { button, el, halt, kept } from "./dom.js";

const MOST_HINTS = 8;

/** A composer for a channel or a thread, with a draft of its own for each that outlives a reload. */
export class Composer {
  #active = -1;
  #hints = [];
  #sent = "";

  constructor(host, ui, { id, label }) {
    this.ui = ui;
    this.store = ui.store;
    this.list = el("ul.hints", { id: `${id}-hints`, role: "listbox", label: "Commands", hidden: true });
    this.input = el("textarea", {
      id,
      rows: 1,
      role: "combobox",
      label,
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#show([]),
      onfocus: () => this.#suggest(),
    });
    this.send = button("Send", () => this.#send(), { class: "primary" });
    this.closed = el("p.note", { hidden: true });
    this.box = el("form.composer", { onsubmit: (e) => e.preventDefault() }, this.list, this.input, this.send);
    host.append(this.box, this.closed);
  }

  /** From now on it writes there. */
  show(channel, thread = null) {
    this.channel = channel;
    this.thread = thread;
    this.draft = kept(sessionStorage, `draft:${this.store.me}:${channel}:${thread ?? ""}`);
    this.input.value = this.draft.get();
    this.#show([]);
    this.#fit();
    this.refresh();
  }

  /** Whether one may write here, and what it is called. */
  refresh() {
    const channel = this.store.channel(this.channel);
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
    const { commands, shortcuts = [] } = this.store.state;
    if (!typed.startsWith("/") || typed.includes("\n") || this.thread) return this.#show([]);
    const short = shortcuts.filter((s) => s.name.toLowerCase().startsWith(typed.slice(1)));
    const started = short.map(({ name, callback_id }) => ({ command: "", usage: name, says: "A shortcut", callback_id }));
    this.#show([...matching(commands, typed).slice(0, MOST_HINTS), ...started]);
  }

  #show(hints) {
    this.#hints = hints;
    this.list.hidden = !hints.length;
    this.list.replaceChildren(...hints.map((hint, n) => this.#option(hint, n)));
    this.input.ariaExpanded = hints.length > 0;
    this.#choose(-1);
  }

  #option(hint, n) {
    const onmousedown = (event) => (event.preventDefault(), this.#complete(n));
    const words = [el("b", `${hint.command} ${hint.usage}`.trim()), el("span.muted", hint.says)];
    return el("li", { id: `${this.list.id}-${n}`, role: "option", onmousedown }, words);
  }

  #choose(n) {
    this.#active = n;
    [...this.list.children].forEach((option, at) => {
      option.ariaSelected = at === n;
      if (at === n) option.scrollIntoView({ block: "nearest" });
    });
    this.input.setAttribute("aria-activedescendant", this.list.children[n]?.id ?? "");
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
    const { key } = event;
    const open = this.#hints.length;
    const best = Math.max(0, this.#active);
    const step = event.altKey ? undefined : { ArrowDown: this.#active + 1, ArrowUp: best - 1 + open }[key];
    if (open && step >= 0) this.#choose(step % open);
    else if (open && key === "Tab" && !event.shiftKey && this.#adds()) this.#complete(best);
    else if (open && key === "Escape") this.#show([]);
    else if (key === "Enter" && !event.shiftKey) open && (this.#active >= 0 || !this.#whole()) ? this.#complete(best) : this.#send();
    else if (key === "ArrowUp" && !this.input.value && this.#sent) {
      this.input.value = this.#sent;
      this.#typed();
    } else return;
    halt(event);
  }

  /** Whether Tab would add anything; if not, it goes on to the next control. */
  #adds() {
    return this.#active >= 0 || completed(this.#hints[0]).trim().length > this.input.value.trim().length;
  }

  #whole(text = this.input.value) {
    const first = text.trim().split(/\s/)[0];
    return this.store.state.commands.some((c) => c.command === first);
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
    else if (thread) this.#note(channel, thread, `${command} is not supported in threads. Type it in the channel.`);
    else if (!this.#whole(text)) this.#note(channel, thread, `${command} is not a valid command.`);
    else this.#tell({ act: "slash", channel, command, text: text.slice(command.length).trim() });
  }

  /** Does it; what goes wrong is said there, to this person only, and what they wrote comes back if nothing was sent. */
  async #tell(body) {
    const { channel, thread } = this;
    const typed = this.#sent;
    const answer = await this.store.act(body);
    if (answer.ok) return;
    this.#note(channel, thread, answer.error, answer.details);
    if (!answer.ms && !this.input.value && this.channel === channel && this.thread === thread) {
      this.input.value = body.act === "shortcut" ? "" : typed;
      this.#typed();
    }
  }

  #note(channel, thread, error = "That did not work.", details) {
    this.store.note(channel, error, details, thread ?? undefined);
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
  const [words] = /^([a-z][a-z-]*(\s+|$))*/.exec(hint.usage);
  return `${`${hint.command} ${words}`.trim()} `;
}
