// The guided tour: what to do next, a ring around where, and a tick when it was really done.

import { button, el, fragment, sign } from "./dom.js";

const LOOK_MS = 400;

/** Builds the tour in `host` and keeps it up to date. */
export function mountTour(host, store) {
  const ring = el("div.tour-ring", { hidden: true, "aria-hidden": "true" });
  document.body.append(ring);
  const heading = el("h2.tour-title", { tabindex: -1 });
  const news = el("p.hidden", { role: "status" });
  const body = el("div");
  host.append(heading, news, body);
  let drawn = "";
  const post = (wish) => store.post("/page/tour", wish);
  const draw = () => {
    const tour = store.state?.tour ?? {};
    const sig = JSON.stringify([tour.now, tour.on, tour.over, tour.tasks?.map((t) => [t.state, t.took])]);
    if (!tour.tasks || sig === drawn) return;
    const held = body.contains(document.activeElement);
    drawn = sig;
    const done = tour.tasks.filter((t) => t.state === "done");
    heading.textContent = `Your first rollback${tour.on && !tour.over ? `: ${tour.tasks.findIndex((t) => t.id === tour.now) + 1} of ${tour.tasks.length}` : ""}`;
    body.replaceChildren(fragment(!tour.on ? again(post, "Take the tour") : tour.over ? ending(tour, post) : present(tour, post), overview(tour)));
    const last = done.at(-1);
    news.textContent = last ? `Done: ${last.title}.` : "";
    if (held) (body.querySelector("input") ?? heading).focus();
    look();
  };
  const look = () => place(ring, store, host);
  store.subscribe("tour state", draw);
  setInterval(look, LOOK_MS);
  for (const kind of ["scroll", "resize"]) window.addEventListener(kind, look, { capture: true, passive: true });
  draw();
}

function present(tour, post) {
  const task = tour.tasks.find((t) => t.id === tour.now);
  const before = tour.tasks[tour.tasks.indexOf(task) - 1];
  const learned = before?.state === "done" && `✓ ${before.title}. ${before.why}`;
  const next = button(task.leave || "Skip this task", () => post({ do: "next" }), { class: !task.leave && "quiet" });
  return [
    learned && el("p.learned", learned),
    el("p", el("strong", task.title), ". ", task.says.split("`").map((part, n) => (n % 2 ? el("code", part) : part))),
    task.ask && question(task, post),
    el("details", el("summary", "Hint"), el("p", task.hint)),
    el("div.pair", next, button("End the tour", () => post({ do: "skip" }), { class: "quiet" })),
  ];
}

function question(task, post) {
  const said = el("p.bad", { role: "status" });
  const input = el("input", { id: `tour-${task.id}`, inputmode: "numeric", autocomplete: "off", size: 8 });
  const send = async (event) => {
    event.preventDefault();
    const answer = await post({ do: "answer", text: input.value });
    said.textContent = answer.ok ? "" : answer.error;
  };
  return el("form.ask", { onsubmit: send }, el("label", { for: input.id }, task.ask), el("div.pair", input, el("button", "Check")), said);
}

function ending(tour, post) {
  const done = tour.tasks.filter((t) => t.state === "done").length;
  return [el("p", `${done} of ${tour.tasks.length} done in ${spell(tour.took)}. Now break something: see Incident.`), again(post, "Start again")];
}

const again = (post, text) => el("div.pair", button(text, () => post({ do: "restart" })));

function overview(tour) {
  const items = tour.tasks.map((t) => {
    const here = t.id === tour.now && tour.on;
    const mark = { done: "✓", skipped: "–", open: "·" }[t.state];
    return el("li", { class: here && "here", "aria-current": here && "step" },
      sign("span", mark), ` ${t.title}`, el("span.hidden", `, ${t.state}`),
      el("span.muted", t.took === null ? "" : ` ${spell(t.took)}`));
  });
  return el("details", { open: tour.over }, el("summary", "All tasks"), el("ol.tasks", items));
}

const spell = (seconds) => seconds < 60 ? `${Math.round(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;

/** Puts the ring around what the present task is about: first the person, then the place, then the thing itself. */
function place(ring, store, host) {
  const tour = store.state?.tour ?? {};
  const task = tour.on && host.offsetParent && tour.tasks?.find((t) => t.id === tour.now);
  const here = task && (task.user === store.me || task.id === "harm");
  const instead = !here ? ".menu" : task.id === "harm" ? '#panel-toggle[aria-expanded="false"]' : `[data-channel="${task.channel}"]:not(.here)`;
  const target = task && (visible(here ? task.where : "#act-as") ?? visible(instead));
  const last = here && [...document.querySelectorAll(task.where)].at(-1);
  if (last && ring.dataset.shown !== task.id) {
    ring.dataset.shown = task.id;
    if (!target) last.scrollIntoView({ block: "nearest" });
  }
  ring.hidden = !target;
  if (!target) return;
  const box = target.getBoundingClientRect();
  const around = { left: box.left - 4, top: box.top - 4, width: box.width + 8, height: box.height + 8 };
  for (const [side, length] of Object.entries(around)) ring.style[side] = `${length}px`;
}

/** The newest such element that a person can see now. */
function visible(selector) {
  return [...document.querySelectorAll(selector)].reverse().find((one) => {
    const box = one.getBoundingClientRect();
    if (!box.width || !box.height) return false;
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return top && (one.contains(top) || (top.contains(one) && !top.matches("html, body")));
  });
}
