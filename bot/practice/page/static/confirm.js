// "Are you sure?", as an element's `confirm` object words it.
import { make, uid } from "./make.js";
import { drawText, words } from "./mrkdwn.js";

/** Asks in a dialog; whether the person said yes. Escape is no. */
export function confirm(asked, ctx = {}) {
  const title = uid("sure");
  const text = uid("sure");
  let yes = false;
  const answer = (said) => () => {
    yes = said;
    dialog.close();
  };
  const look = asked.style === "danger" ? "danger" : "primary";
  const no = make("button", { type: "button", class: "bk-button", onclick: answer(false) }, words(asked.deny) || "Cancel");
  const sure = make("button", { type: "button", class: `bk-button ${look}`, onclick: answer(true) }, words(asked.confirm) || "Yes");
  const dialog = make(
    "dialog",
    { class: "bk-confirm", role: "alertdialog", "aria-labelledby": title, "aria-describedby": text },
    make("h2", { id: title }, words(asked.title) || "Are you sure?"),
    make("div", { id: text, class: "bk-confirm-text" }, drawText(asked.text ?? "", ctx)),
    make("div", { class: "bk-ends" }, no, sure),
  );
  document.body.append(dialog);
  dialog.showModal();
  (look === "danger" ? no : sure).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(yes);
    });
  });
}
