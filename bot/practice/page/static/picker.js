// A menu that is searched by typing, for one thing or many: every *_select of Block Kit.
import { fragment, make, uid } from "./make.js";

const WAIT = 150; // ms after the last letter before others are asked for options

/** Keeps a popover at its anchor, above it where there is more room, until it is closed. */
export function place(popover, anchor) {
  const put = () => {
    const at = anchor.getBoundingClientRect();
    const below = innerHeight - at.bottom - 8;
    const up = below < 160 && at.top > below;
    const width = Math.min(Math.max(at.width, 192), innerWidth - 16);
    popover.style.width = `${popover.matches(".bk-menu") ? "" : width}px`;
    popover.style.maxHeight = `${Math.min(320, up ? at.top - 8 : below)}px`;
    popover.style.left = `${Math.max(8, Math.min(at.left, innerWidth - Math.max(popover.offsetWidth, 64) - 8))}px`;
    popover.style.top = up ? "auto" : `${at.bottom + 4}px`;
    popover.style.bottom = up ? `${innerHeight - at.top + 4}px` : "auto";
  };
  popover.showPopover();
  put();
  addEventListener("scroll", put, true);
  addEventListener("resize", put);
  popover.addEventListener("toggle", function closed() {
    if (popover.matches(":popover-open")) return;
    removeEventListener("scroll", put, true);
    removeEventListener("resize", put);
    popover.removeEventListener("toggle", closed);
  });
}

const fitting = (groups, text) => {
  const wanted = text.trim().toLowerCase();
  const fits = (option) => `${option.text} ${option.about ?? ""}`.toLowerCase().includes(wanted);
  return groups.map((group) => ({ ...group, options: group.options.filter(fits) })).filter((g) => g.options.length);
};

/**
 * A combobox. `spec`: {groups: [{label?, options: [{value, text, about?}]}] or load(text) -> Promise of such groups,
 * chosen: [option], many, most, least, clears, placeholder, label, changed(values)}. Answers {node, field, read}.
 */
export function picker(spec) {
  const state = { chosen: [...spec.chosen], shown: [], active: -1, asked: 0, timer: 0, before: "" };
  const list = make("div", { class: "bk-list", id: uid("list"), role: "listbox", popover: "manual", "aria-label": spec.label || "Options", "aria-multiselectable": spec.many && "true" });
  const field = make("input", { type: "text", class: "bk-pick", role: "combobox", id: uid("pick"), autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id });
  const tokens = make("span", { class: "bk-tokens" });
  const node = make("div", { class: "bk-picker" }, tokens, field, list);
  const isOpen = () => list.matches(":popover-open");
  const values = () => state.chosen.map((option) => option.value);

  function token(option) {
    const take = () => (choose(option), told(), field.focus());
    return make("span", { class: "bk-token" }, option.text, make("button", { type: "button", "aria-label": `Remove ${option.text}`, onclick: take }, "×"));
  }

  function settle() {
    field.placeholder = spec.many && state.chosen.length ? "" : spec.placeholder;
    field.value = spec.many ? "" : state.chosen[0]?.text ?? "";
  }

  // Only when something was chosen: a token that has the focus must not be replaced because the field lost it.
  const retoken = () => spec.many && tokens.replaceChildren(...state.chosen.map(token));

  function told() {
    const now = JSON.stringify(values());
    if (now === state.before) return;
    state.before = now;
    spec.changed(values());
  }

  function choose(option) {
    const has = values().includes(option.value);
    if (!spec.many) state.chosen = [option];
    else if (has) state.chosen = state.chosen.filter((each) => each.value !== option.value);
    else if (state.chosen.length < (spec.most ?? Infinity)) state.chosen.push(option);
    retoken();
    settle();
  }

  function row(option) {
    const about = option.about && make("span", { class: "bk-about" }, option.about);
    const picked = String(values().includes(option.value));
    const take = () => taken(state.shown.indexOf(made));
    const made = make("div", { role: "option", id: uid("option"), class: "bk-option", "aria-selected": picked, onclick: take }, make("span", {}, option.text), about);
    made.option = option;
    state.shown.push(made);
    return made;
  }

  function say(text) {
    state.shown = [];
    list.replaceChildren(make("div", { role: "option", "aria-disabled": "true", "aria-selected": "false", class: "bk-option none" }, text));
    activate(-1);
  }

  function show(groups) {
    state.shown = [];
    if (!groups.some((group) => group.options.length)) return say("Nothing found");
    list.replaceChildren(
      ...groups.map((group) => {
        const rows = group.options.map(row);
        const name = group.label && make("div", { class: "bk-group", "aria-hidden": "true" }, group.label);
        return group.label ? make("div", { role: "group", "aria-label": group.label }, name, rows) : fragment(rows);
      }),
    );
    activate(Math.max(0, state.shown.findIndex((each) => values().includes(each.option.value))));
  }

  function activate(n) {
    state.shown[state.active]?.classList.remove("active");
    state.active = n;
    const at = state.shown[n];
    at?.classList.add("active");
    at?.scrollIntoView({ block: "nearest" });
    if (at) field.setAttribute("aria-activedescendant", at.id);
    else field.removeAttribute("aria-activedescendant");
  }

  function fill(text) {
    if (spec.groups) return show(fitting(spec.groups, text));
    if (text.length < (spec.least ?? 0)) return say(`Type ${spec.least} or more letters`);
    const asked = ++state.asked;
    if (!state.shown.length) say("Looking…");
    clearTimeout(state.timer);
    state.timer = setTimeout(async () => {
      const groups = await spec.load(text).catch(() => null);
      if (asked === state.asked) groups ? show(groups) : say("Couldn't load the options");
    }, text ? WAIT : 0);
  }

  function open(text = "") {
    if (!isOpen()) {
      place(list, node);
      field.setAttribute("aria-expanded", "true");
    }
    fill(text);
  }

  function close() {
    if (isOpen()) list.hidePopover();
    field.setAttribute("aria-expanded", "false");
    activate(-1);
    state.asked++;
  }

  function taken(n) {
    const option = state.shown[n]?.option;
    if (!option) return;
    choose(option);
    if (spec.many) return open();
    close();
    told();
  }

  function left() {
    const emptied = !spec.many && spec.clears && field.value === "" && state.chosen.length;
    if (emptied) state.chosen = [];
    close();
    settle();
    told();
  }

  const step = (by) => (isOpen() ? activate((state.active + by + state.shown.length) % (state.shown.length || 1)) : open());
  const keys = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (isOpen() && state.active >= 0 ? taken(state.active) : left()),
    Escape: () => isOpen() && (close(), settle(), told()),
    Backspace: () => spec.many && !field.value && state.chosen.length && (choose(state.chosen.at(-1)), told()),
  };
  field.addEventListener("keydown", (event) => {
    const wasOpen = isOpen();
    keys[event.key]?.();
    if (event.key.startsWith("Arrow") || (wasOpen && ["Enter", "Escape"].includes(event.key))) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  field.addEventListener("input", () => open(field.value));
  field.addEventListener("click", () => (isOpen() ? close() : (field.select(), open())));
  field.addEventListener("blur", left);
  for (const part of [list, tokens]) part.addEventListener("pointerdown", (event) => event.preventDefault());
  retoken();
  settle();
  state.before = JSON.stringify(values());
  return { node, field, read: () => (spec.many ? values() : values()[0] ?? null) };
}
