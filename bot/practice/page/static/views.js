// Modals and the Home tab. A view that is drawn again keeps what was typed and where the focus was.
import { drawBlocks } from "./blocks.js";
import { isBusy, whileBusy } from "./elements.js";
import { problemOf } from "./inputs.js";
import { button, fragment, giveFocus, make, onceShown, uid, whereFocus } from "./make.js";
import { words } from "./mrkdwn.js";

const MOST_REMEMBERED = 20;
const typed = new Map(); // view id -> what was filled in there, by block and action

function draftsOf(id) {
  const held = typed.get(id) ?? new Map();
  typed.delete(id);
  typed.set(id, held);
  if (typed.size > MOST_REMEMBERED) typed.delete(typed.keys().next().value);
  return held;
}

// The last drawing of the same view: its focus, how far it was scrolled, which errors it showed.
function lastDrawn(id) {
  const old = [...document.querySelectorAll("[data-view]")].find((node) => node.dataset.view === id);
  return old && { old, mark: whereFocus(old), top: old.querySelector(".bk-body")?.scrollTop };
}

function body(view, ctx, inputs) {
  const drafts = draftsOf(view.id);
  const drawn = fragment(drawBlocks(view.blocks, { ...ctx, drafts, values: view.values, errors: view.errors, inputs }));
  const keys = [...drawn.querySelectorAll("[data-key]")].map((node) => node.dataset.key);
  for (const key of drafts.keys()) if (!keys.some((each) => each === key || each.startsWith(`${key}/`))) drafts.delete(key);
  return drawn;
}

function gather(inputs) {
  const names = inputs.map(({ element }) => element.action_id);
  const named = ({ block, element }) => (names.indexOf(element.action_id) === names.lastIndexOf(element.action_id) ? element.action_id : block.block_id);
  return Object.fromEntries(inputs.map((each) => [named(each), each.control.read()]).filter(([, value]) => value !== undefined));
}

const focusOn = ({ control }) => (control.focus ?? control.field).focus();

function allRight(inputs) {
  const wrong = inputs.filter(({ block, control, complain }) => {
    const problem = problemOf(control, !block.optional);
    complain(problem);
    return problem;
  });
  if (wrong.length) focusOn(wrong[0]);
  return !wrong.length;
}

function begin(dialog, view, inputs, last) {
  const around = dialog.querySelector(".bk-body");
  if (!dialog.open) dialog.showModal();
  around.scrollTop = last?.top ?? 0;
  const wrong = inputs.find(({ block }) => view.errors?.[block.block_id]);
  if (wrong && last?.old.errors !== dialog.errors) return focusOn(wrong);
  if (last && giveFocus(dialog, last.mark)) return;
  const first = inputs.find(({ element }) => element.focus_on_load) ?? inputs[0];
  first && !last ? focusOn(first) : around.focus({ preventScroll: true });
}

// What a person has filled in is not part of it: that stands in the fields already.
const looks = (view) => JSON.stringify([view.blocks, view.title, view.submit, view.close, view.errors, view.depth]);

/**
 * A modal as a <dialog> that opens once it is in the document. `ctx` as for blocks, and: onSubmit(values), which may answer
 * {ok, error, details} to be shown, onClose(everything), onFill(action_id, value). A view that looks as it is drawn already is answered with that drawing.
 */
export function drawModal(view, ctx) {
  const last = lastDrawn(view.id);
  if (last?.old.looks === looks(view)) return last.old;
  const inputs = [];
  const title = uid();
  const close = (everything) => () => ctx.onClose?.(everything);
  const submit = view.submit && make("button.bk-button.primary", { type: "submit", "data-key": "@submit" }, words(view.submit));
  const cancel = button("bk-button", { "data-key": "@cancel", onclick: close(false) }, words(view.close) || (submit ? "Cancel" : "Close"));
  const cross = button("quiet", { "data-key": "@close", "aria-label": "Close this dialog", onclick: close(true) }, "×");
  const wrong = make("div", { role: "alert" });
  const onsubmit = async (event) => {
    event.preventDefault();
    if (!submit || isBusy(submit) || !allRight(inputs)) return;
    wrong.replaceChildren();
    const answer = await whileBusy(submit, ctx.onSubmit?.(gather(inputs)));
    if (answer?.ok === false) wrong.append(...[answer.error, ...(answer.details ?? [])].map((text) => make("p.trouble", text)));
  };
  const form = make(
    "form",
    { novalidate: true, onsubmit },
    make("header", make("h2", { id: title }, words(view.title)), cross),
    make("div.bk-body", { tabindex: 0, role: "group", "aria-labelledby": title }, body(view, ctx, inputs)),
    wrong,
    make("footer", view.depth > 1 && make("small", `Dialog ${view.depth} of at most 3`), cancel, submit),
  );
  const dialog = make("dialog.bk-modal", { "aria-labelledby": title, "data-view": view.id }, form);
  Object.assign(dialog, { looks: looks(view), errors: JSON.stringify(view.errors) });
  const escape = (event) => {
    if (event.target !== dialog && event.key !== "Escape") return;
    event.preventDefault();
    ctx.onClose?.(false);
  };
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && escape(event));
  dialog.addEventListener("cancel", escape); // a gesture that means "back"
  onceShown(dialog, () => begin(dialog, view, inputs, last));
  return dialog;
}

/** The Home tab of the app for one person. */
export function drawHome(view, ctx) {
  const last = lastDrawn(view.id);
  const home = make("section", { "aria-label": "Home", "data-view": view.id }, body(view, ctx, []));
  if (last?.mark) onceShown(home, () => giveFocus(home, last.mark));
  return home;
}
