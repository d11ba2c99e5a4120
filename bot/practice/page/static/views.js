// Modals and the Home tab. A view that is drawn again keeps what was typed and where the focus was.
import { drawBlocks } from "./blocks.js";
import { whileBusy } from "./elements.js";
import { problemOf } from "./inputs.js";
import { fragment, giveFocus, make, onceShown, uid, whereFocus } from "./make.js";
import { words } from "./mrkdwn.js";

const MOST_REMEMBERED = 20;
const drafts = new Map(); // view id -> what was typed there, by block and action

function draftsOf(id) {
  const held = drafts.get(id) ?? new Map();
  drafts.delete(id);
  drafts.set(id, held);
  if (drafts.size > MOST_REMEMBERED) drafts.delete(drafts.keys().next().value);
  return held;
}

/** Takes up where the last drawing of the same view is: its focus and how far it was scrolled. */
function lastDrawn(id) {
  const old = [...document.querySelectorAll("[data-view]")].find((node) => node.dataset.view === id);
  return old && { old, mark: whereFocus(old), top: (old.querySelector(".bk-body") ?? old).scrollTop, errors: old.errorsShown };
}

function body(view, ctx, inputs) {
  const held = draftsOf(view.id);
  const inner = { ...ctx, drafts: held, values: view.values ?? {}, errors: view.errors ?? {}, inputs };
  const drawn = fragment(drawBlocks(view.blocks, inner));
  const keys = [...drawn.querySelectorAll("[data-key]")].map((node) => node.dataset.key);
  for (const key of held.keys()) if (!keys.some((each) => each === key || each.startsWith(`${key}/`))) held.delete(key);
  return drawn;
}

function gather(inputs) {
  const names = inputs.map((each) => each.element.action_id);
  const values = {};
  for (const { block, element, control } of inputs) {
    const twice = names.filter((name) => name === element.action_id).length > 1;
    const value = control.read();
    if (value !== undefined) values[twice ? block.block_id : element.action_id] = value;
  }
  return values;
}

const focusOn = (input) => (input.control.focus ?? input.control.field).focus();

function allRight(inputs) {
  const wrong = inputs.filter((input) => {
    const problem = problemOf(input.control, input.required);
    input.complain(problem);
    return problem;
  });
  if (wrong.length) focusOn(wrong[0]);
  return !wrong.length;
}

function begin(dialog, inputs, last, errors) {
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".bk-body").scrollTop = last?.top ?? 0;
  const wrong = inputs.find((input) => errors[input.block.block_id]);
  if (wrong && last?.errors !== dialog.errorsShown) return focusOn(wrong);
  if (last && giveFocus(dialog, last.mark)) return;
  const first = inputs.find((input) => input.element.focus_on_load) ?? inputs[0];
  if (first && !last) return focusOn(first);
  dialog.querySelector(".bk-body").focus({ preventScroll: true });
}

/**
 * A modal as a <dialog> that opens once it is in the document. `ctx` as for blocks, and: onSubmit(values), onClose(everything),
 * onAction(press), onFill(action_id, value). A view that looks as it is drawn already is answered with that drawing.
 */
export function drawModal(view, ctx) {
  const drawnFrom = shape(view);
  const last = lastDrawn(view.id);
  if (last?.old.drawnFrom === drawnFrom) return last.old;
  const inputs = [];
  const title = uid("title");
  const drawn = body(view, ctx, inputs);
  const submit = view.submit && make("button", { type: "submit", class: "bk-button primary", "data-key": "@submit" }, words(view.submit));
  const close = (everything) => () => ctx.onClose?.(everything);
  const cancel = make("button", { type: "button", class: "bk-button", "data-key": "@cancel", onclick: close(false) }, words(view.close ?? "") || (submit ? "Cancel" : "Close"));
  const cross = make("button", { type: "button", class: "bk-cross", "data-key": "@close", "aria-label": "Close this dialog", onclick: close(true) }, "×");

  async function send(event) {
    event.preventDefault();
    if (!submit || submit.getAttribute("aria-disabled") === "true" || !allRight(inputs)) return;
    await whileBusy(submit, ctx.onSubmit?.(gather(inputs)));
  }

  const form = make(
    "form",
    { novalidate: true, method: "dialog", onsubmit: send },
    make("header", { class: "bk-head" }, make("h2", { id: title }, words(view.title)), cross),
    make("div", { class: "bk-body", tabindex: "0", role: "group", "aria-labelledby": title }, drawn),
    make("footer", { class: "bk-ends" }, view.depth > 1 ? make("span", { class: "bk-about" }, `Dialog ${view.depth} of at most 3`) : null, cancel, submit),
  );
  const dialog = make("dialog", { class: "bk-modal", "aria-labelledby": title, "data-view": view.id }, form);
  dialog.errorsShown = JSON.stringify(view.errors ?? {});
  dialog.drawnFrom = drawnFrom;
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    ctx.onClose?.(false);
  });
  // Not reached by the keyboard above: a gesture that means "back".
  dialog.addEventListener("cancel", (event) => {
    if (event.target !== dialog) return;
    event.preventDefault();
    ctx.onClose?.(false);
  });
  onceShown(dialog, () => begin(dialog, inputs, last, view.errors ?? {}));
  return dialog;
}

/** The Home tab of the app for one person. */
export function drawHome(view, ctx) {
  const last = lastDrawn(view.id);
  const home = make("section", { class: "bk-home", "aria-label": "Home", "data-view": view.id }, body(view, ctx, []));
  if (last) onceShown(home, () => giveFocus(home, last.mark));
  return home;
}

// What a person has filled in is not part of it: that stands in the fields already.
const shape = (view) => JSON.stringify([view.id, view.blocks, view.title, view.submit, view.close, view.errors, view.depth]);
