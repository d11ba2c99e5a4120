// The menus of Block Kit: what each kind of select offers, and the overflow menu.
import { button, el, halt } from "./dom.js";
import { words } from "./mrkdwn.js";
import { optionRow, picker, place } from "./picker.js";

const option = (each) => ({ value: each.value, text: words(each.text), about: words(each.description), url: each.url });

function groups(found) {
  const grouped = found?.option_groups?.map((group) => ({ label: words(group.label), options: group.options.map(option) }));
  return grouped ?? [{ options: (found?.options ?? found ?? []).map(option) }];
}

function channels(ctx, kinds) {
  const all = [...(ctx.channels?.values() ?? [])].filter((each) => kinds.includes(each.kind) && (each.member || each.kind === "public"));
  const name = (each) => (each.kind === "im" ? `@${ctx.people?.get(each.im_user)?.name ?? each.name}` : `#${each.name}`);
  return all.map((each) => ({ value: each.id, text: name(each) }));
}

const KINDS = {
  static: (_, element) => element,
  users: ({ people }) => [...(people?.values() ?? [])].filter((one) => !one.bot).map((one) => ({ value: one.id, text: one.name, description: one.real_name })),
  channels: (ctx) => channels(ctx, ["public"]),
  conversations: (ctx, element) => channels(ctx, element.filter?.include ?? ["public", "private", "im"]),
};

function source(element, ctx) {
  const [kind] = element.type.replace("multi_", "").split("_");
  if (KINDS[kind]) return { groups: groups(KINDS[kind](ctx, element)) };
  const ask = ctx.options ?? (async (_, text) => (text ? [{ value: text, text }] : []));
  return { load: async (text) => groups(await ask(element.action_id, text)), least: element.min_query_length ?? 3 };
}

/** Every *_select; (element, io) -> {node, field, read}. */
export function select(element, io) {
  const many = element.type.startsWith("multi_");
  const from = source(element, io.ctx);
  const begun = [element.initial_option ?? element.initial_options ?? []].flat();
  const known = [...(from.groups ?? []).flatMap((group) => group.options), ...(from.load ? begun.map(option) : [])];
  const here = element.default_to_current_conversation && io.fresh ? io.ctx.channel : null;
  const chosen = [io.value ?? here ?? []].flat();
  return picker({
    ...from,
    many,
    key: io.key,
    most: element.max_selected_items,
    clears: io.optional,
    label: io.label,
    placeholder: words(element.placeholder) || (many ? "Select options" : "Select an item"),
    chosen: chosen.map((value) => known.find((each) => each.value === value) ?? { value, text: String(value) }),
    changed: (values) => io.changed(many ? values : values[0] ?? null),
  });
}

export function overflow(element, io) {
  const close = (back) => {
    menu.hidePopover();
    if (back) field.focus();
  };
  const items = element.options.map(option).map((each) => {
    const go = () => {
      close(true);
      if (/^https?:/i.test(each.url ?? "")) window.open(each.url, "_blank", "noopener");
      io.changed(each.value);
    };
    return optionRow("button", { type: "button", role: "menuitem", tabindex: -1, onclick: go }, each);
  });
  const onkeydown = (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") return close();
    if (event.key === "Escape") close(true);
    else if (to !== undefined) items.at(to % items.length).focus();
    else return;
    halt(event);
  };
  const ontoggle = () => (field.ariaExpanded = menu.matches(":popover-open"));
  const menu = el("div.list", { role: "menu", popover: "auto", label: io.label, onkeydown, ontoggle }, items);
  const open = () => (place(menu, field), items[0].focus());
  const field = button("⋯", open, { class: "button", "data-key": io.key, "aria-haspopup": "menu", "aria-expanded": "false", label: io.label });
  return { node: el("span", field, menu), field, read: () => undefined };
}
