// "Are you sure?", as an element's `confirm` object words it.
import { button, make, uid } from "./make.js";
import { drawText, words } from "./mrkdwn.js";

/** Asks in a dialog; whether the person said yes. Escape is no. */
export function confirm(asked, ctx = {}) {
  const [title, text] = [uid(), uid()];
  const danger = asked.style === "danger";
  const no = button("bk-button", { onclick: () => dialog.close() }, words(asked.deny) || "Cancel");
  const yes = button(`bk-button.${danger ? "danger" : "primary"}`, { onclick: () => dialog.close("yes") }, words(asked.confirm) || "Yes");
  const dialog = make(
    "dialog.bk-modal.bk-confirm",
    { role: "alertdialog", "aria-labelledby": title, "aria-describedby": text },
    make("h2", { id: title }, words(asked.title) || "Are you sure?"),
    make("div", { id: text }, drawText(asked.text, ctx)),
    make("footer", no, yes),
  );
  document.body.append(dialog);
  dialog.showModal();
  (danger ? no : yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
