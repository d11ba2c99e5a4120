// Finding a channel by its name: Ctrl+K.

import { el } from "./dom.js";

/** Asks over the page where to go among `places` ([{id, name}]); `go(id)` is called with the first that fits. */
export function openFind(places, go) {
  const options = el("datalist", { id: "find-places" }, places.map((p) => el("option", { value: p.name })));
  const input = el("input", { type: "text", "aria-label": "Find a channel", autocomplete: "off", placeholder: "Where to?" });
  input.setAttribute("list", options.id);
  const chosen = () => {
    const typed = input.value.trim().toLowerCase();
    const found = places.find((p) => p.name.toLowerCase() === typed) ?? places.find((p) => p.name.toLowerCase().includes(typed));
    if (found) go(found.id);
  };
  const form = el("form", { method: "dialog", onsubmit: chosen }, input, options, el("button", { className: "primary" }, "Go"));
  const dialog = el("dialog", { className: "find-box", "aria-label": "Find a channel", onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
}
