// The app's views as the page shows them: its Home tab, and the modal in front of the person.

import { el } from "./dom.js";
import { drawHome, drawModal } from "./views.js";

let opener = null;

export function showHome(host, ui) {
  const view = ui.store.state.home;
  put(host, view ? drawHome(view, viewContext(host, ui, view)) : el("p.note", "Nothing here yet. The app fills this page when it is opened."));
}

/** Shows the state's view in `host`, or nothing; the focus goes back to where it was when the last one closes. */
export function showModal(host, ui) {
  const { view } = ui.store.state;
  const old = host.firstElementChild;
  if (view) {
    if (!old) opener = document.activeElement;
    return put(host, drawModal(view, viewContext(host, ui, view)));
  }
  host.replaceChildren();
  if (old && opener?.isConnected) opener.focus();
}

// A view that looks the same is the element that stands there already.
function put(host, made) {
  if (made !== host.firstElementChild) host.replaceChildren(made);
}

// What a view's controls do; what went wrong is said in the view, once.
function viewContext(host, ui, view) {
  const act = async (name, body) => {
    const answer = await ui.store.act({ act: name, view: view.id, ...body });
    host.querySelector(".trouble")?.remove();
    if (!answer.ok && name !== "submit") {
      const said = [answer.error, ...(answer.details ?? [])].map((text) => el("p", text));
      (host.querySelector(".bk-body") ?? host.firstElementChild)?.prepend(el("div.trouble", { role: "alert" }, said));
    }
    return answer;
  };
  return {
    ...ui.context(),
    values: view.values,
    errors: view.errors,
    options: (action_id, text) => ui.store.act({ act: "options", view: view.id, action_id, text }),
    onAction: ({ action_id, value, element }) => act(element.type.endsWith("button") ? "click_view" : "fill", { action_id, value }),
    onFill: (action_id, value) => act("fill", { action_id, value }),
    onSubmit: (values) => act("submit", { values }),
    onClose: (everything) => act("close", { everything }),
  };
}
