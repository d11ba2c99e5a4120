// Everything in a block that can be pressed, picked or filled in.
import { confirm } from "./confirm.js";
import { INPUTS } from "./inputs.js";
import { box, el } from "./dom.js";
import { drawText, words } from "./mrkdwn.js";
import { overflow, select } from "./selects.js";

const HELD = { __proto__: null, ...INPUTS, overflow };
for (const kind of ["static", "external", "users", "conversations", "channels"]) HELD[`${kind}_select`] = HELD[`multi_${kind}_select`] = select;
const UNNAMED = { overflow: "More actions", datepicker: "Date", timepicker: "Time", datetimepicker: "Date and time" };

// What tells an element from all others of its message or view, also after it was drawn again.
const keyOf = (block, element) => `${block.block_id ?? ""}/${element.action_id ?? ""}`;

function bare(held, name) {
  if (name.endsWith("_option")) return held[name]?.value ?? null;
  if (name.endsWith("_options")) return (held[name] ?? []).map((option) => option.value);
  return held[name] ?? null;
}

// What stands in it: what was typed here, else what the workspace knows, else what it begins with.
function valueOf(block, element, ctx, key) {
  if (ctx.drafts?.has(key)) return { value: ctx.drafts.get(key) };
  const state = ctx.values?.[block.block_id]?.[element.action_id];
  const held = state ?? element;
  const name = Object.keys(held).find((each) => (state ? each !== "type" : each.startsWith("initial_")));
  const value = name ? bare(held, name) : null;
  return { value, fresh: value === null };
}

/** Shows that `node` is at work until `promise` is settled; pressing it does nothing meanwhile. Answers what it does. */
export async function whileBusy(node, promise) {
  node.ariaDisabled = true;
  try {
    return await promise;
  } finally {
    node.ariaDisabled = null;
  }
}

/** Whether it is at work, so that a press means nothing. */
export const isBusy = (node) => node.ariaDisabled === "true";

async function press(event, node, block, element, value, ctx) {
  if (isBusy(node)) return event.preventDefault();
  if (element.confirm) {
    event.preventDefault();
    if (!(await confirm(element.confirm, ctx))) return;
    if (node.href) open(node.href, "_blank", "noopener");
  }
  whileBusy(node, ctx.onAction?.({ action_id: element.action_id, block_id: block.block_id, value, element }));
}

function pressable(block, element, ctx, { text, value, accessibility_label: label } = element) {
  const href = /^(https?|mailto):/i.test(element.url ?? "") ? element.url : null;
  const key = keyOf(block, element);
  const style = /^(primary|danger)$/.test(element.style) ? `.${element.style}` : "";
  const attrs = href ? { href, target: "_blank", rel: "noopener noreferrer" } : { type: "button" };
  const busy = (ctx.busy?.has(element.action_id) || ctx.busy?.has(key)) && "true";
  const onclick = (event) => press(event, node, block, element, value, ctx);
  const identity = { "data-key": `${key}/${value ?? ""}`, "data-action-id": element.action_id };
  const node = el(`${href ? "a" : "button"}.button${style}`, { ...attrs, ...identity, label, "aria-disabled": busy, onclick }, words(text));
  return node;
}

const shown = (_, element, ctx) => drawText(element, ctx);

const PRESSED = {
  __proto__: null,
  button: pressable,
  workflow_button: pressable,
  icon_button: pressable,
  feedback_buttons: (block, element, ctx) => [element.positive_button, element.negative_button].map((each) => each && pressable(block, element, ctx, each)),
  // Pictures are never loaded from elsewhere.
  image: (_, { alt_text }) => el("span.image", { role: "img", label: alt_text || "Picture" }, alt_text || "Picture"),
  plain_text: shown,
  mrkdwn: shown,
};

/** A control that holds a value: {node, field, read, ...}; null if nothing of this type does. `input`: in that block. */
export function control(block, element, ctx, input, label) {
  const key = keyOf(block, element);
  const dispatch = !input || Boolean(block.dispatch_action);
  const more = { block_id: block.block_id, element };
  const tell = (value) => (ctx.onFill ? ctx.onFill(element.action_id, value, more) : ctx.onAction?.({ action_id: element.action_id, value, ...more }));
  const keep = (value) => ctx.drafts?.set(key, value);
  const changed = async (value) => {
    // Who says no finds it as it was before.
    if (element.confirm && !(await confirm(element.confirm, ctx))) return made.node.replaceWith(control(block, element, ctx, input, label).node);
    if (element.type !== "overflow") keep(value);
    if (dispatch) await tell(value);
  };
  const made = HELD[element.type]?.(element, { ctx, key, label, dispatch, tell, keep, changed, optional: Boolean(block.optional), ...valueOf(block, element, ctx, key) });
  if (made) made.field.dataset.actionId = element.action_id;
  return made;
}

/** Any element but those of input blocks; `beside`: the text that it stands beside, which names what has no name. */
export function drawElement(block, element, ctx, beside) {
  const name = words(element.placeholder) || beside || UNNAMED[element.type] || "Choices";
  return PRESSED[element.type]?.(block, element, ctx) ?? control(block, element, ctx, false, name)?.node ?? box(`Unknown element: ${element.type}`, "", element);
}
