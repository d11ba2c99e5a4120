// The left side: channels, direct messages, the app, who one is, and how the page looks.

import { button, el, kept, keyed, sign } from "./dom.js";
import { unread } from "./store.js";

const THEMES = ["system", "light", "dark"];
const theme = kept(localStorage, "theme", "system");

/** Puts the chosen look on the page; called before anything is drawn. */
export function dress() {
  document.documentElement.dataset.theme = theme.get();
}

export class Sidebar {
  constructor(host, ui) {
    this.ui = ui;
    this.team = el("p.team");
    [this.channels, this.direct, this.apps] = [el("ul"), el("ul"), el("ul")];
    this.who = el("select", { id: "act-as", onchange: () => ui.become(this.who.value) });
    host.append(
      this.team,
      button("Find a channel", () => ui.find(), { class: "quiet find", "aria-keyshortcuts": "Control+K Meta+K", title: "Ctrl+K" }),
      el("div.grow", section("Channels", this.channels), section("Direct messages", this.direct), section("Apps", this.apps)),
      el("div.foot", el("label", { for: "act-as" }, "Act as"), this.who, this.#look()),
    );
  }

  #look() {
    const options = THEMES.map((t) => el("option", { value: t, selected: t === theme.get() }, t[0].toUpperCase() + t.slice(1)));
    const pick = el("select", { id: "theme", onchange: () => (theme.set(pick.value), dress()) }, options);
    return el("div.look", el("label", { for: "theme" }, "Theme"), pick);
  }

  draw() {
    const { state, me } = this.ui.store;
    this.team.textContent = state.team?.name ?? "Practice";
    keyed(this.who, state.people.filter((p) => !p.bot).map(option));
    this.who.value = me;
    const own = state.channels.filter((c) => c.kind !== "im");
    keyed(this.channels, own.map((c) => this.#place(c.id, this.ui.nameOf(c), unread(this.ui.store, c), c.member)));
    const dm = this.ui.dm();
    const app = this.ui.app();
    keyed(this.direct, [this.#place(dm?.id ?? "dm", app, dm && unread(this.ui.store, dm))]);
    keyed(this.apps, [this.#place("home", `${app} Home`)]);
  }

  #place(id, name, { fresh, mine } = {}, member = true) {
    const here = this.ui.place.channel === id;
    const draw = () => {
      const words = [el("span.name", name)];
      if (fresh) words.push(el("span.hidden", `, ${fresh} unread`));
      if (mine) words.push(sign("span.count", mine));
      const classes = `place${fresh ? " unread" : ""}${here ? " here" : ""}${member ? "" : " outside"}`;
      return el("li", button(words, () => this.ui.go(id), { class: classes, "data-channel": id, "aria-current": here && "page" }));
    };
    return { key: id, sig: [name, fresh, mine, here, member], draw };
  }
}

const section = (title, list) => el("section", { label: title }, el("h2", title), list);

function option(person) {
  const draw = () => el("option", { value: person.id }, person.title ? `${person.real_name}, ${person.title}` : person.real_name);
  return { key: person.id, sig: [person.real_name, person.title], draw };
}
