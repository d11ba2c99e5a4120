// "Are you sure?", as an element's `confirm` object words it.
import { button, el, uid } from "./dom.js";
import { drawText, words } from "./mrkdwn.js";

/** Asks in a dialog; whether the person said yes. Escape is no. */
export function confirm(asked, ctx = {}) {
  const [title, text] = [uid(), uid()];
  const danger = asked.style === "danger";
  const answer = (said, look, otherwise) => button(words(said) || otherwise, () => dialog.close(look), { class: `button ${look}` });
  const no = answer(asked.deny, "", "Cancel");
  const yes = answer(asked.confirm, danger ? "danger" : "primary", "Yes");
  const dialog = el(
    "dialog.modal.confirm",
    { role: "alertdialog", "aria-labelledby": title, "aria-describedby": text },
    el("h2", { id: title }, words(asked.title) || "Are you sure?"),
    el("div", { id: text }, drawText(asked.text, ctx)),
    el("footer", no, yes),
  );
  document.body.append(dialog);
  dialog.showModal();
  (danger ? no : yes).focus();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      resolve(Boolean(dialog.returnValue));
    };
  });
}
