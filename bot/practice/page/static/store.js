// What the person sees now, kept up to date by the server's events; the only module that talks to the server.

const WAIT_MS = 1000;
const KINDS = ["message", "gone", "channel", "view", "home", "incident", "tour", "inspector", "bot", "setup", "reset"];
let notes = 0;

/** The page's state for one person at a time. Kinds to subscribe to: the server's events, `state`, `online`, `*`. */
export class Store {
  state = null;
  online = true;
  #listeners = new Set();
  #source = null;
  #waiting = null;
  #turn = null;

  constructor(me) {
    this.me = me;
  }

  /** Calls `fn(data, kind)` for each event of these kinds from now on; the answer ends it. */
  subscribe(kinds, fn) {
    const listener = { kinds: kinds.split(" "), fn };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(kind, data) {
    for (const { kinds, fn } of [...this.#listeners]) {
      try {
        if (kinds.includes(kind) || kinds.includes("*")) fn(data, kind);
      } catch (failed) {
        console.error(failed); // one broken part must not stop the others
      }
    }
  }

  /** Listens first, then reads the state, so that nothing can fall between the two. */
  connect() {
    this.#source?.close();
    this.#turn = null;
    const source = (this.#source = new EventSource(`/page/events?as=${encodeURIComponent(this.me)}`));
    this.#waiting = [];
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.#came(source, kind, event));
    return new Promise((ready) => {
      source.onopen = () => this.read().then(ready);
      source.onerror = () => {
        if (source !== this.#source) return;
        this.#goes(false);
        this.#waiting = [];
        if (source.readyState === EventSource.CLOSED) setTimeout(() => source === this.#source && this.connect().then(ready), WAIT_MS);
      };
    });
  }

  /** A hidden tab stops listening: all tabs of a browser share six connections to a host. */
  listen(wanted) {
    if (wanted) return void (this.#source ?? this.connect());
    this.#source?.close();
    this.#source = null;
  }

  /** Reads everything anew, then applies what came meanwhile. */
  async read() {
    const turn = (this.#turn = {}); // only the newest reading counts: what came during an older one is in it
    this.#waiting ??= [];
    const state = await this.get("state");
    if (turn !== this.#turn) return;
    if (!state) {
      setTimeout(() => turn === this.#turn && this.read(), WAIT_MS);
      return this.#goes(false);
    }
    const before = this.state?.me === this.me ? this.state.channels : [];
    this.state = state;
    for (const channel of state.channels) keepOlder(channel, before.find((c) => c.id === channel.id));
    this.#goes(true);
    const came = this.#waiting;
    this.#waiting = null;
    this.#tell("state", state);
    for (const [kind, data, seq] of came) if (!(seq <= state.seq)) this.#apply(kind, data);
  }

  #goes(online) {
    if (online === this.online) return;
    this.online = online;
    this.#tell("online", online);
  }

  #came(source, kind, event) {
    if (source !== this.#source) return;
    const data = event.data ? JSON.parse(event.data) : null;
    if (this.#waiting) this.#waiting.push([kind, data, Number(event.lastEventId)]);
    else this.#apply(kind, data);
  }

  #apply(kind, data) {
    const { state } = this;
    if (kind === "reset") return void this.read();
    if (kind === "message") this.#put(data);
    else if (kind === "gone") this.#drop(data);
    else if (kind === "channel") this.#channel(data);
    else if (kind === "setup" && state.setup && !data) return void this.read();
    else if (kind !== "inspector") state[kind] = data;
    this.#tell(kind, data);
  }

  #put(message) {
    const channel = this.channel(message.channel);
    if (!channel) return void this.read();
    const { messages, aside = [] } = channel;
    const at = place(messages, message.ts);
    const beside = aside.findIndex((m) => m.ts === message.ts);
    if (beside >= 0) aside[beside] = message;
    if (messages[at]?.ts === message.ts) messages[at] = message;
    else if (at > 0 || !channel.more) messages.splice(at, 0, message); // else older than what is here: comes when asked for
  }

  #drop({ channel, ts }) {
    const messages = this.channel(channel)?.messages ?? [];
    const at = place(messages, ts);
    if (messages[at]?.ts === ts) messages.splice(at, 1);
  }

  #channel(data) {
    const channel = this.channel(data.id);
    if (channel) return void Object.assign(channel, data);
    this.state.channels.push({ messages: [], more: false, ...data });
    if (data.member) this.read();
  }

  channel(id) {
    return this.state?.channels.find((c) => c.id === id);
  }

  person(id) {
    return this.state?.people.find((p) => p.id === id) ?? { id, name: id, real_name: id === "USLACKBOT" ? "Slackbot" : id, title: "", bot: false };
  }

  names() {
    const byId = (all = []) => new Map(all.map((one) => [one.id, one]));
    const { people, channels, groups } = this.state;
    return { people: byId(people), channels: byId(channels), groups: byId(groups), me: this.me };
  }

  /** A message and its replies, as far as they are here. */
  thread(channel, ts) {
    const { messages, aside = [] } = channel;
    const own = messages.filter((m) => m.ts === ts || m.thread_ts === ts);
    return own[0]?.ts === ts ? own : [...aside.filter((m) => !own.some((o) => o.ts === m.ts)), ...own].sort(byTs);
  }

  /** Reads a thread whose beginning is older than what is here; it stays beside the channel's messages. */
  async readThread(channel, ts) {
    const found = await this.get("thread", { channel: channel.id, ts });
    channel.aside = found?.messages;
  }

  /** What the server answers, or null. */
  get(what, query) {
    return fetch(`/page/${what}?${new URLSearchParams({ as: this.me, ...query })}`).then((r) => (r.ok ? r.json() : null), () => null);
  }

  /** The channel's messages before the oldest one here; true if there were any. */
  async older(id) {
    const channel = this.channel(id);
    const first = channel.messages.find(isTop);
    const found = await this.get("older", { channel: id, before: first?.ts ?? "" });
    if (!found || this.channel(id) !== channel) return false;
    const have = new Set(channel.messages.map((m) => m.ts));
    channel.messages = [...found.messages.filter((m) => !have.has(m.ts)), ...channel.messages].sort(byTs);
    channel.more = found.more;
    return found.messages.length > 0;
  }

  /** Does something as the person; never throws: `{ok, error?, details?, ms?}`. What went wrong is for them alone. */
  async act(body) {
    const { me } = this;
    const answer = await this.post("/page/act", { as: me, ...body });
    return me === this.me ? answer : { ...answer, ok: true };
  }

  async post(path, body) {
    try {
      const headers = { "Content-Type": "application/json", "X-Practice": "page" };
      const sent = JSON.stringify(body);
      // Kept alive, so that a reload right after it does not take it back.
      const answer = await fetch(path, { method: "POST", headers, body: sent, keepalive: sent.length < 10_000 });
      const text = await answer.text();
      try {
        return JSON.parse(text);
      } catch {
        return { ok: answer.ok, error: text };
      }
    } catch {
      return { ok: false, error: "The practice Slack does not answer." };
    }
  }

  /** Something that only this person sees, as Slackbot says what went wrong. */
  note(id, text, details, thread_ts) {
    const last = this.channel(id).messages.at(-1)?.ts ?? String(Date.now() / 1000);
    const ts = `${last.split("~")[0]}~${String(++notes).padStart(4, "0")}`;
    const message = { ts, channel: id, user: "USLACKBOT", text, details, thread_ts, only_you: true, at: Date.now() };
    this.#put(message);
    this.#tell("message", message);
  }
}

const byTs = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

/** What was loaded before stays, if it reaches to what came now; and so do the notes. */
function keepOlder(channel, before) {
  channel.messages.sort(byTs);
  const first = channel.messages[0]?.ts;
  const joined = before && channel.more && before.messages.some((m) => m.ts === first);
  const stays = (before?.messages ?? []).filter((m) => m.at || (joined && m.ts < first));
  if (joined) channel.more = before.more;
  channel.messages = [...stays, ...channel.messages].sort(byTs);
}

// Where it is or would be; as most of what comes is new, from the end.
const place = (messages, ts) => messages.findLastIndex((m) => m.ts < ts) + 1;

/** Whether a message stands in the channel itself. */
export const isTop = (m) => !m.thread_ts || m.thread_ts === m.ts || m.broadcast;

/** What in a channel the person has not read: all of it, and how much is meant for them. */
export function unread(store, channel) {
  const { me } = store;
  const fresh = channel.messages.filter((m) => m.ts > channel.read && m.user !== me && !m.at && isTop(m));
  const mine = channel.kind === "im" ? fresh : fresh.filter((m) => m.text?.includes(`<@${me}>`));
  return { fresh: fresh.length, mine: mine.length };
}
