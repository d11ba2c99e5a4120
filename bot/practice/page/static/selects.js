// The menus of Block Kit: what each kind of select offers, and the overflow menu.
import { make, uid } from "./make.js";
import { words } from "./mrkdwn.js";
import { picker, place } from "./picker.js";

const option = (each) => ({ value: each.value, text: words(each.text), about: each.description && words(each.description) });

function groups(found) {
  if (Array.isArray(found)) return [{ options: found.map(option) }];
  const many = found?.option_groups?.map((group) => ({ label: words(group.label), options: group.options.map(option) }));
  return many ?? [{ options: (found?.options ?? []).map(option) }];
}

function people(ctx) {
  const all = [...(ctx.people?.values() ?? [])].filter((person) => !person.bot);
  return [{ options: all.map((person) => ({ value: person.id, text: person.name, about: person.real_name })) }];
}

function channels(ctx, element) {
  const kinds = element.type.endsWith("channels_select") ? ["public"] : element.filter?.include ?? ["public", "private", "im"];
  const all = [...(ctx.channels?.values() ?? [])].filter((each) => kinds.includes(each.kind) && (each.member || each.kind === "public"));
  const name = (each) => (each.kind === "im" ? `@${ctx.people?.get(each.im_user)?.name ?? each.name}` : `#${each.name}`);
  return [{ options: all.map((each) => ({ value: each.id, text: name(each) })) }];
}

function source(element, io) {
  const kind = element.type.replace("multi_", "");
  if (kind === "users_select") return { groups: people(io.ctx) };
  if (kind !== "external_select") return { groups: kind === "static_select" ? groups(element) : channels(io.ctx, element) };
  const typed = async (text) => (text ? [{ value: text, text: { text } }] : []);
  const ask = io.ctx.options ?? ((_, text) => typed(text));
  return { load: async (text) => groups(await ask(element.action_id, text)), least: element.min_query_length ?? 3 };
}

function beginning(element, io) {
  const here = element.default_to_current_conversation && io.fresh ? io.ctx.channel : null;
  return [io.value ?? here ?? []].flat();
}

/** Every *_select; (element, io) -> {node, field, read}. */
export function select(element, io) {
  const many = element.type.startsWith("multi_");
  const from = source(element, io);
  const begun = [element.initial_option ?? element.initial_options ?? []].flat().map(option);
  const known = [...(from.groups ?? []).flatMap((group) => group.options), ...begun];
  const label = io.label ?? (io.labelled ? null : words(element.placeholder ?? "") || "Choose");
  const spec = {
    ...from,
    many,
    most: element.max_selected_items,
    clears: io.optional,
    label,
    placeholder: words(element.placeholder ?? "") || (many ? "Select options" : "Select an item"),
    chosen: beginning(element, io).map((value) => known.find((each) => each.value === value) ?? { value, text: String(value) }),
    changed: (values) => io.changed(many ? values : values[0] ?? null),
  };
  const made = picker(spec);
  made.field.dataset.key = io.key;
  if (label) made.field.setAttribute("aria-label", label);
  return made;
}

/** A button with a menu behind it. */
export function overflow(element, io) {
  const close = (back) => {
    menu.hidePopover();
    if (back) field.focus();
  };
  const go = (each) => () => {
    close(true);
    if (/^https?:/i.test(each.url ?? "")) open(each.url, "_blank", "noopener");
    io.changed(each.value);
  };
  const items = element.options.map((each) =>
    make("button", { type: "button", role: "menuitem", tabindex: "-1", class: "bk-option", onclick: go(each) }, make("span", {}, words(each.text)), each.description && make("span", { class: "bk-about" }, words(each.description))),
  );
  const menu = make("div", { class: "bk-list bk-menu", role: "menu", id: uid("menu"), popover: "auto", "aria-label": "More actions" }, items);
  const field = make("button", { type: "button", class: "bk-button bk-more", "data-key": io.key, "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": io.label ?? "More actions", onclick: () => (menu.matches(":popover-open") ? close() : (place(menu, field), items[0].focus())) }, "⋯");
  menu.addEventListener("toggle", () => field.setAttribute("aria-expanded", String(menu.matches(":popover-open"))));
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) items.at(to % items.length).focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") return close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { node: make("span", { class: "bk-overflow" }, field, menu), field, read: () => undefined };
}
