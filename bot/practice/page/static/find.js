// Finding a channel by its name: Ctrl+K.

import { el } from "./dom.js";

/** Asks over the page where to go among `places` ([{id, name}]); `go(id)` is called with the first that fits. */
export function openFind(places, go) {
  const options = el("datalist", { id: "find-places" }, places.map((p) => el("option", { value: p.name })));
  const input = el("input", { type: "text", list: options.id, label: "Find a channel", autocomplete: "off", placeholder: "Where to?" });
  const onsubmit = () => {
    const typed = input.value.trim().toLowerCase();
    const find = (fits) => places.find((p) => fits(p.name.toLowerCase()));
    const found = find((name) => name === typed) ?? find((name) => name.includes(typed));
    if (found) go(found.id);
  };
  const form = el("form", { method: "dialog", onsubmit }, input, options, el("button.primary", "Go"));
  const dialog = el("dialog.find-box", { label: "Find a channel", onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
}
