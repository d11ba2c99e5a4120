// Finding a channel by its name: Ctrl+K.

import { el } from "./dom.js";

/** Opens the list of `places` ([{id, name}]) over the page; `go(id)` is called with what is chosen. */
export function openFind(places, go) {
  const list = el("ul", { id: "find-list", className: "places", role: "listbox", "aria-label": "Places" });
  const input = el("input", { type: "text", role: "combobox", "aria-label": "Find a channel", "aria-controls": "find-list", "aria-expanded": "true", autocomplete: "off", placeholder: "Where to?" });
  const dialog = el("dialog", { className: "find-box", "aria-label": "Find a channel" }, input, list);
  let found = places;
  let active = 0;
  const choose = (id) => {
    dialog.close();
    go(id);
  };
  const draw = () => {
    const options = found.map((p, n) => el("li", { id: `find-${n}`, role: "option", "aria-selected": String(n === active), onclick: () => choose(p.id) }, p.name));
    list.replaceChildren(...options);
    if (found.length) input.setAttribute("aria-activedescendant", `find-${active}`);
    else input.removeAttribute("aria-activedescendant");
  };
  input.addEventListener("input", () => {
    found = places.filter((p) => p.name.toLowerCase().includes(input.value.trim().toLowerCase()));
    active = 0;
    draw();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) active = (active + step + found.length) % found.length;
    else if (event.key === "Enter" && found[active]) choose(found[active].id);
    else return;
    event.preventDefault();
    draw();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  draw();
  dialog.showModal();
}
