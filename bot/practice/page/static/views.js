// Modals and the Home tab. A view that is drawn again keeps what was typed and where the focus was.
import { drawBlocks } from "./blocks.js";
import { isBusy, whileBusy } from "./elements.js";
import { problemOf } from "./inputs.js";
import { button, el, fragment, giveFocus, onceShown, uid, whereFocus } from "./dom.js";
import { words } from "./mrkdwn.js";

const MOST_REMEMBERED = 20;
// What was filled in, by view, block and action; a reload keeps it.
const typed = new Map(JSON.parse(sessionStorage.typed ?? "[]").map(([id, held]) => [id, new Map(held)]));
addEventListener("pagehide", () => (sessionStorage.typed = JSON.stringify([...typed].map(([id, held]) => [id, [...held]]))));

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
  const alone = (id) => inputs.filter(({ element }) => element.action_id === id).length === 1;
  const named = ({ block, element: { action_id } }) => (alone(action_id) ? action_id : block.block_id);
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

/** A modal as a <dialog> that opens once it is in the document; the one that is there if the view looks the same. */
export function drawModal(view, ctx) {
  const last = lastDrawn(view.id);
  if (last?.old.looks === looks(view)) return last.old;
  const inputs = [];
  const title = uid();
  const close = (everything) => () => ctx.onClose?.(everything);
  const submit = view.submit && el("button.button.primary", { type: "submit", "data-key": "@submit" }, words(view.submit));
  const cancel = button(words(view.close) || (submit ? "Cancel" : "Close"), close(false), { class: "button", "data-key": "@cancel" });
  const cross = button("×", close(true), { class: "quiet", "data-key": "@close", label: "Close this dialog" });
  const wrong = el("div", { role: "alert" });
  const onsubmit = async (event) => {
    event.preventDefault();
    if (!submit || isBusy(submit) || !allRight(inputs)) return;
    wrong.replaceChildren();
    const answer = await whileBusy(submit, ctx.onSubmit?.(gather(inputs)));
    if (answer?.ok === false) wrong.append(...[answer.error, ...(answer.details ?? [])].map((text) => el("p.trouble", text)));
  };
  const form = el(
    "form",
    { novalidate: true, onsubmit },
    el("header", el("h2", { id: title }, words(view.title)), cross),
    el("div.bk-body", { tabindex: 0, role: "group", "aria-labelledby": title }, body(view, ctx, inputs)),
    wrong,
    el("footer", view.depth > 1 && el("small", `Dialog ${view.depth} of at most 3`), cancel, submit),
  );
  const escape = (event) => {
    if (event.target !== dialog && event.key !== "Escape") return;
    event.preventDefault();
    ctx.onClose?.(false);
  };
  const onkeydown = (event) => event.key === "Escape" && escape(event);
  // Cancelled by a gesture that means "back", too.
  const dialog = el("dialog.modal", { "aria-labelledby": title, "data-view": view.id, onkeydown, oncancel: escape }, form);
  Object.assign(dialog, { looks: looks(view), errors: JSON.stringify(view.errors) });
  onceShown(dialog, () => begin(dialog, view, inputs, last));
  return dialog;
}

/** The Home tab of the app for one person. */
export function drawHome(view, ctx) {
  const last = lastDrawn(view.id);
  const home = el("section", { label: "Home", "data-view": view.id }, body(view, ctx, []));
  if (last?.mark) onceShown(home, () => giveFocus(home, last.mark));
  return home;
}
