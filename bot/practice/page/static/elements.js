// Everything in a block that can be pressed, picked or filled in.
import { confirm } from "./confirm.js";
import { bareValue, INPUTS } from "./inputs.js";
import { box, make } from "./make.js";
import { drawText, words } from "./mrkdwn.js";
import { overflow, select } from "./selects.js";

const HELD = { ...INPUTS, overflow };
for (const kind of ["static", "external", "users", "conversations", "channels"]) {
  HELD[`${kind}_select`] = HELD[`multi_${kind}_select`] = select;
}

/** What tells an element from all others of its message or view, also after it was drawn again. */
export const keyOf = (block, element) => `${block.block_id ?? ""}/${element.action_id ?? ""}`;

function begun(object) {
  const name = Object.keys(object).find((each) => each.startsWith("initial_"));
  return name ? bareValue(name.replace("initial_value", "value"), object[name]) : null;
}

function valueOf(block, element, ctx) {
  const key = keyOf(block, element);
  if (ctx.drafts?.has(key)) return { value: ctx.drafts.get(key), fresh: false };
  const state = ctx.values?.[block.block_id]?.[element.action_id];
  if (!state) return { value: begun(element), fresh: true };
  const name = Object.keys(state).find((each) => each !== "type");
  const value = bareValue(name, state[name]);
  return { value, fresh: value === null };
}

/** Shows that `node` is at work until `promise` is settled; pressing it does nothing meanwhile. */
export async function whileBusy(node, promise) {
  const mark = (on) => (on ? node.setAttribute("aria-disabled", "true") : node.removeAttribute("aria-disabled"));
  if (!promise?.then) return promise;
  mark(true);
  node.classList.add("busy");
  try {
    return await promise;
  } finally {
    mark(false);
    node.classList.remove("busy");
  }
}

const isBusy = (ctx, block, element) => ctx.busy?.has(element.action_id) || ctx.busy?.has(keyOf(block, element));

async function press(event, node, block, element, value, ctx) {
  if (node.getAttribute("aria-disabled") === "true") return event.preventDefault();
  if (element.confirm) {
    event.preventDefault();
    if (!(await confirm(element.confirm, ctx))) return;
    if (node.href) open(node.href, "_blank", "noopener");
  }
  const told = ctx.onAction?.({ action_id: element.action_id, block_id: block.block_id, value, element });
  await whileBusy(node, told);
}

function pressable(block, element, ctx, looks = {}) {
  const address = /^(https?|mailto):/i.test(element.url ?? "") ? element.url : null;
  const busy = isBusy(ctx, block, element);
  const style = ["primary", "danger"].includes(element.style) ? ` ${element.style}` : "";
  const value = looks.value ?? element.value;
  const node = make(
    address ? "a" : "button",
    {
      type: address ? null : "button",
      href: address,
      target: address && "_blank",
      rel: address && "noopener noreferrer",
      class: `bk-button${style}${busy ? " busy" : ""}`,
      "aria-label": looks.label ?? element.accessibility_label,
      "aria-disabled": busy && "true",
      "data-key": `${keyOf(block, element)}/${value ?? ""}`,
      "data-action-id": element.action_id,
      onclick: (event) => press(event, node, block, element, value, ctx),
    },
    looks.text ?? words(element.text),
  );
  return node;
}

function feedback(block, element, ctx) {
  const both = [element.positive_button, element.negative_button].filter(Boolean);
  const one = (each) => pressable(block, element, ctx, { text: words(each.text), value: each.value, label: each.accessibility_label });
  return make("span", { class: "bk-feedback", role: "group", "aria-label": "Feedback" }, both.map(one));
}

/** A picture that stands in other blocks: its description, as pictures are never loaded from elsewhere. */
export const picture = (element) => make("span", { class: "bk-image", role: "img", "aria-label": element.alt_text || "Picture" }, element.alt_text || "Picture");

const PRESSED = {
  button: pressable,
  workflow_button: pressable,
  icon_button: pressable,
  feedback_buttons: feedback,
  image: (_, element) => picture(element),
  plain_text: (_, element, ctx) => drawText(element, ctx),
  mrkdwn: (_, element, ctx) => drawText(element, ctx),
};

function wires(block, element, ctx, at, again) {
  const key = keyOf(block, element);
  const { value, fresh } = valueOf(block, element, ctx);
  const dispatch = !at.input || Boolean(block.dispatch_action);
  const more = { block_id: block.block_id, element };
  const tell = (now) => (ctx.onFill ? ctx.onFill(element.action_id, now, more) : ctx.onAction?.({ action_id: element.action_id, value: now, ...more }));
  const keep = (now) => ctx.drafts?.set(key, now);
  const changed = async (now) => {
    if (element.confirm && !(await confirm(element.confirm, ctx))) return again();
    if (element.type !== "overflow") keep(now);
    if (dispatch) await tell(now);
  };
  return { ctx, key, value, fresh, dispatch, tell, keep, changed, optional: Boolean(block.optional), ...at };
}

/** A control that holds a value: {node, field, read, ...}; null if nothing of this type does. */
export function control(block, element, ctx, at = {}) {
  const draw = Object.hasOwn(HELD, element.type) ? HELD[element.type] : null;
  if (!draw) return null;
  const again = () => made.node.replaceWith(control(block, element, ctx, at).node);
  const made = draw(element, wires(block, element, ctx, at, again));
  made.field.dataset.actionId = element.action_id;
  return made;
}

/** Any element of an actions, section, card or context_actions block. `label` names what has no words of its own. */
export function drawElement(block, element, ctx, label = undefined) {
  const draw = Object.hasOwn(PRESSED, element.type) ? PRESSED[element.type] : null;
  if (draw) return draw(block, element, ctx);
  const made = control(block, element, ctx, { label });
  return made ? made.node : box(`Unknown element: ${element.type}`, "", element);
}
