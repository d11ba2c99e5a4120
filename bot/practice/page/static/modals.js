// The modal in front of the person: one element for one view, redrawn when the app changes it.

import { put, viewContext } from "./home.js";
import { drawModal } from "./views.js";

let opener = null;

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
