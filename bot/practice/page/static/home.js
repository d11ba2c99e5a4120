// The app's Home tab, as the app last published it for this person; and what both kinds of view do when pressed.

import { el } from "./dom.js";
import { drawHome } from "./views.js";

/** Fills `host` with the Home tab. */
export function showHome(host, ui) {
  const view = ui.store.state.home;
  if (!view) return void host.replaceChildren(el("p", { className: "note" }, "Nothing here yet. The app fills this page when it is opened."));
  put(host, drawHome(view, viewContext(host, ui, view)));
}

/** Puts a view in `host`; it is the element that stands there already if it looks the same. */
export function put(host, made) {
  if (made !== host.firstElementChild) host.replaceChildren(made);
}

/** What a view's controls do; what went wrong is said in the view, once. */
export function viewContext(host, ui, view) {
  const act = async (body) => {
    const answer = await ui.store.act({ view: view.id, ...body });
    host.querySelector(".trouble")?.remove();
    if (!answer.ok && body.act !== "submit") (host.querySelector(".bk-body") ?? host.firstElementChild)?.prepend(trouble(answer));
    return answer;
  };
  return {
    ...ui.context(),
    values: view.values,
    errors: view.errors,
    options: (action_id, text) => ui.store.act({ act: "options", view: view.id, action_id, text }),
    onAction: ({ action_id, value, element }) => act({ act: element.type.endsWith("button") ? "click_view" : "fill", action_id, value }),
    onFill: (action_id, value) => act({ act: "fill", action_id, value }),
    onSubmit: (values) => act({ act: "submit", values }),
    onClose: (everything) => act({ act: "close", everything: Boolean(everything) }),
  };
}

function trouble({ error, details = [] }) {
  return el("div", { className: "trouble", role: "alert" }, el("p", {}, error), details.map((d) => el("p", {}, d)));
}
