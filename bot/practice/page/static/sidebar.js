// The left side: channels, direct messages, the app, who one is, and how the page looks.

import { button, el, keyed, kept } from "./dom.js";
import { unread } from "./store.js";

const THEMES = ["system", "light", "dark"];
const theme = kept(localStorage, "theme", "system");

/** Puts the chosen look on the page; called before anything is drawn. */
export function dress() {
  document.documentElement.dataset.theme = theme.get();
}

/** The sidebar; `draw()` brings it up to date. */
export class Sidebar {
  constructor(host, ui) {
    this.ui = ui;
    this.team = el("p", { className: "team" });
    this.channels = el("ul", { className: "places" });
    this.direct = el("ul", { className: "places" });
    this.apps = el("ul", { className: "places" });
    this.who = el("select", { id: "act-as", onchange: () => ui.become(this.who.value) });
    host.append(
      this.team,
      button("Find a channel", () => ui.find(), { className: "quiet find", "aria-keyshortcuts": "Control+K Meta+K", title: "Ctrl+K" }),
      el("div", { className: "grow" }, section("Channels", this.channels), section("Direct messages", this.direct), section("Apps", this.apps)),
      el("div", { className: "foot" }, el("label", { htmlFor: "act-as" }, "Act as"), this.who, this.#look()),
    );
  }

  #look() {
    const pick = el("select", { id: "theme", onchange: () => (theme.set(pick.value), dress()) }, THEMES.map((t) => el("option", { value: t, selected: t === theme.get() }, t[0].toUpperCase() + t.slice(1))));
    return el("div", { className: "look" }, el("label", { htmlFor: "theme" }, "Theme"), pick);
  }

  draw() {
    const { state, me } = this.ui.store;
    this.team.textContent = state.team?.name ?? "Practice";
    keyed(this.who, state.people.filter((p) => !p.bot).map((p) => option(p)));
    this.who.value = me;
    const own = state.channels.filter((c) => c.kind !== "im");
    keyed(this.channels, own.map((c) => this.#place(c.id, this.ui.nameOf(c), unread(this.ui.store, c), c.member)));
    const dm = this.ui.dm();
    const app = this.ui.app()?.real_name ?? "Rollbot";
    keyed(this.direct, [this.#place(dm?.id ?? "dm", app, dm ? unread(this.ui.store, dm) : { fresh: 0, mine: 0 }, true)]);
    keyed(this.apps, [this.#place("home", `${app} Home`, { fresh: 0, mine: 0 }, true)]);
  }

  #place(id, name, { fresh, mine }, member) {
    const here = this.ui.place.channel === id;
    const draw = () => {
      const words = [el("span", { className: "name" }, name)];
      if (fresh) words.push(el("span", { className: "hidden" }, `, ${fresh} unread`));
      if (mine) words.push(el("span", { className: "count", "aria-hidden": "true" }, String(mine)));
      const classes = ["place", fresh && "unread", here && "here", !member && "outside"].filter(Boolean).join(" ");
      const go = el("button", { type: "button", className: classes, "data-channel": id, onclick: () => this.ui.go(id) }, words);
      if (here) go.setAttribute("aria-current", "page");
      return el("li", {}, go);
    };
    return { key: id, sig: [name, fresh, mine, here, member], draw };
  }
}

function section(title, list) {
  return el("section", { "aria-label": title }, el("h2", {}, title), list);
}

function option(person) {
  const draw = () => el("option", { value: person.id }, person.title ? `${person.real_name}, ${person.title}` : person.real_name);
  return { key: person.id, sig: [person.real_name, person.title], draw };
}
