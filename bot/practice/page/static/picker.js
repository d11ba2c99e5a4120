// A menu that is searched by typing, for one thing or many: every *_select of Block Kit.
import { button, el, halt, sign, uid } from "./dom.js";

const WAIT = 150; // ms after the last letter before others are asked for options

/** Opens a popover at its anchor, above it where there is more room, and keeps it there until it is closed. */
export function place(popover, anchor) {
  const put = () => {
    const at = anchor.getBoundingClientRect();
    const below = innerHeight - at.bottom - 8;
    const up = below < 160 && at.top > below;
    Object.assign(popover.style, {
      minWidth: `${Math.min(at.width, innerWidth - 16)}px`,
      maxHeight: `${Math.min(320, up ? at.top - 8 : below)}px`,
      left: `${Math.max(8, Math.min(at.left, innerWidth - popover.offsetWidth - 8))}px`,
      top: up ? "auto" : `${at.bottom + 4}px`,
      bottom: up ? `${innerHeight - at.top + 4}px` : "auto",
    });
  };
  const shown = new AbortController();
  const { signal } = shown;
  popover.showPopover();
  put();
  addEventListener("scroll", put, { capture: true, signal });
  addEventListener("resize", put, { signal });
  popover.addEventListener("toggle", () => popover.matches(":popover-open") || shown.abort(), { signal });
}

/** One thing in a list: its words, and a line about it. */
export const optionRow = (what, attrs, option) => el(`${what}.option`, attrs, el("span", option.text), option.about && el("small", option.about));

/**
 * A combobox. `spec`: {groups: [{label?, options: [{value, text, about?}]}] or load(text) -> Promise of such groups, chosen: [option],
 * many, most, least, clears, placeholder, label, key, changed(values)}. Answers {node, field, read}.
 */
export function picker(spec) {
  let { chosen } = spec;
  let rows = []; // what can be taken now
  let active = -1;
  let asked = 0;
  const list = el("div.list", { id: uid(), role: "listbox", popover: "manual", label: spec.label || "Options", "aria-multiselectable": spec.many && "true" });
  const field = el("input.pick", {
    ...{ id: uid(), type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", label: spec.label, "data-key": spec.key },
    ...{ "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id },
    ...{ onkeydown, onblur: left, oninput: () => open(field.value), onclick: () => (isOpen() ? close() : (field.select(), open())) },
  });
  const tokens = el("span.tokens");
  const isOpen = () => list.matches(":popover-open");
  const values = () => chosen.map((option) => option.value);
  const holds = (option) => values().includes(option.value);
  let before = String(values());

  function settle() {
    field.placeholder = spec.many && chosen.length ? "" : spec.placeholder;
    field.value = spec.many ? "" : chosen[0]?.text ?? "";
  }

  function told() {
    if (String(values()) === before) return;
    before = String(values());
    spec.changed(values());
  }

  function token(option) {
    const take = () => (choose(option), told(), field.focus());
    return el("span.token", option.text, button("×", take, { class: "quiet", label: `Remove ${option.text}` }));
  }

  function choose(option) {
    if (!spec.many) chosen = [option];
    else if (holds(option)) chosen = chosen.filter((each) => each.value !== option.value);
    else if (chosen.length < (spec.most ?? Infinity)) chosen = [...chosen, option];
    // Only here: a token that has the focus must not be replaced because the field lost it.
    if (spec.many) tokens.replaceChildren(...chosen.map(token));
    settle();
  }

  function activate(n) {
    rows[active]?.classList.remove("active");
    active = n;
    rows[n]?.classList.add("active");
    rows[n]?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", rows[n]?.id ?? "");
  }

  function row(option) {
    const made = optionRow("div", { role: "option", id: uid(), "aria-selected": String(holds(option)), onclick: () => taken(option) }, option);
    made.option = option;
    rows.push(made);
    return made;
  }

  function say(text) {
    rows = [];
    list.replaceChildren(el("div.option.none", { role: "option", "aria-disabled": "true" }, text));
    activate(-1);
  }

  function show(groups) {
    rows = [];
    const full = groups.filter((group) => group.options.length);
    if (!full.length) return say("Nothing found");
    const named = ({ label, options }) => el("div", { role: "group", label }, sign("small.bk-group", label), options.map(row));
    list.replaceChildren(...full.flatMap((group) => (group.label ? named(group) : group.options.map(row))));
    activate(Math.max(0, rows.findIndex((each) => holds(each.option))));
  }

  function fill(text) {
    const fits = (option) => `${option.text} ${option.about ?? ""}`.toLowerCase().includes(text.trim().toLowerCase());
    if (spec.groups) return show(spec.groups.map((group) => ({ ...group, options: group.options.filter(fits) })));
    const mine = ++asked;
    if (text.length < (spec.least ?? 0)) return say(`Type ${spec.least} or more letters`);
    if (!rows.length) say("Looking…");
    setTimeout(async () => {
      if (mine !== asked) return;
      const groups = await spec.load(text).catch(() => null);
      if (mine === asked) groups ? show(groups) : say("Couldn't load the options");
    }, text ? WAIT : 0);
  }

  function open(text = "") {
    if (!isOpen()) place(list, node);
    field.ariaExpanded = true;
    fill(text);
  }

  function close() {
    if (isOpen()) list.hidePopover();
    field.ariaExpanded = false;
    asked++;
    settle();
    activate(-1);
    told();
  }

  function taken(option) {
    choose(option);
    spec.many ? open() : close();
  }

  function left() {
    if (!spec.many && spec.clears && !field.value) chosen = [];
    close();
  }

  const step = (by) => (isOpen() ? activate((active + by + rows.length) % (rows.length || 1)) : open());
  const keys = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (rows[active] && isOpen() ? taken(rows[active].option) : left()),
    Escape: close,
    Backspace: () => spec.many && !field.value && chosen.length && (choose(chosen.at(-1)), told()),
  };
  function onkeydown(event) {
    const meant = event.key.startsWith("Arrow") || (isOpen() && ["Enter", "Escape"].includes(event.key));
    if (Object.hasOwn(keys, event.key)) keys[event.key]();
    if (!meant) return;
    halt(event);
  }
  for (const part of [list, tokens]) part.addEventListener("pointerdown", (event) => event.preventDefault());
  if (spec.many) tokens.append(...chosen.map(token));
  settle();
  const node = el("div.picker", tokens, field, list);
  return { node, field, read: () => (spec.many ? values() : values()[0] ?? null) };
}
