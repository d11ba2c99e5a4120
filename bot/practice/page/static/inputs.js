// What is typed or ticked: text, numbers, dates, checkboxes and radio buttons.
import { iso, minutes } from "./dates.js";
import { box, count, el, uid } from "./dom.js";
import { drawText, words } from "./mrkdwn.js";

const REQUIRED = "Please complete this required field.";
const WAIT = 300; // ms after the last character before the app is told, where it wants every character

const read = (field) => field.value || null;
const attributes = (element, io) => ({ id: uid(), "data-key": io.key, placeholder: words(element.placeholder), label: io.label, autocomplete: "off" });

function typed(element, io) {
  const on = (when) => io.dispatch && (element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"]).includes(when);
  let timer = 0;
  const oninput = ({ target }) => {
    io.keep(read(target));
    clearTimeout(timer);
    if (on("on_character_entered")) timer = setTimeout(() => io.tell(read(target)), WAIT);
  };
  const onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !on("on_enter_pressed")) return;
    event.preventDefault();
    io.tell(read(event.target));
  };
  return { ...attributes(element, io), value: io.value ?? "", oninput, onkeydown };
}

function text(element, io) {
  const { min_length: least = 0, max_length: most = 3000, multiline } = element;
  const field = el(multiline ? "textarea.field" : "input.field", { ...typed(element, io), rows: multiline && 4 });
  const left = el("small.bk-left", { "aria-live": "polite" });
  const count = () => {
    const more = most - field.value.length;
    left.textContent = more < Math.min(50, most / 2) ? more : "";
  };
  field.addEventListener("input", count);
  count();
  const problem = () => {
    const { length } = field.value;
    if (length > most) return `Please use at most ${most} characters.`;
    return length && length < least ? `Please use at least ${least} characters.` : "";
  };
  return { node: el("div.typed", field, left), field, read: () => read(field), problem };
}

const KINDS = { email: "an email address", url: "a web address, like https://example.com", number: "a number" };

function narrow(element, io) {
  const type = element.type.split("_")[0];
  const { min_value: min, max_value: max } = element;
  const field = el("input.field", { ...typed(element, io), type, min, max, step: element.is_decimal_allowed && "any" });
  const range = [min && `at least ${min}`, max && `at most ${max}`].filter(Boolean).join(" and ");
  const problem = () => (field.validity.valid ? "" : `Please enter ${KINDS[type]}${range && `, ${range}`}.`);
  return { node: field, field, read: () => read(field), problem };
}

const TIMES = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

function time(element, io) {
  const moment = element.type === "datetimepicker";
  const at = new Date(io.value * 1000);
  const value = moment && io.value ? `${iso(at)}T${minutes(at)}` : io.value ?? "";
  const field = el("input.field.time", { ...attributes(element, io), type: TIMES[element.type], value });
  const now = () => (moment && field.value ? Math.floor(new Date(field.value) / 1000) : read(field));
  // While a year is typed it is 0002 first, then 0020: those are no choices yet.
  field.addEventListener("change", () => (/^0\d{3}-/.test(field.value) ? io.keep(now()) : io.changed(now())));
  return { node: el("span", field, element.timezone && el("small", " ", element.timezone)), field, read: now };
}

function choices(element, io) {
  const many = element.type === "checkboxes";
  const name = uid();
  const picked = [io.value ?? []].flat();
  const now = () => {
    const taken = element.options.map((each) => each.value).filter((_, n) => boxes[n].checked);
    return many ? taken : taken[0] ?? null;
  };
  const boxes = element.options.map(({ value }) =>
    el("input", { type: many ? "checkbox" : "radio", name, checked: picked.includes(value), "data-key": `${io.key}/${value}`, onchange: () => io.changed(now()) }),
  );
  const row = (option, n) => el("label.choice", boxes[n], el("span", drawText(option.text, io.ctx), option.description && el("small", drawText(option.description, io.ctx))));
  const field = el("div", { id: uid(), role: many ? "group" : "radiogroup", label: io.label }, element.options.map(row));
  return { node: field, field, marks: many ? boxes : [field], focus: boxes[0], group: true, read: now };
}

function file() {
  const shown = box("File upload", "Files can't be uploaded in the practice Slack.");
  return { node: shown, field: shown, group: true, read: () => undefined };
}

/** What is wrong with what a control holds, in a sentence; "" if nothing. */
export function problemOf(control, required) {
  const value = control.read();
  // Of a number that is none, the browser says that the field is empty.
  return control.problem?.() || (required && (value === null || value?.length === 0) ? REQUIRED : "");
}

/** By type: (element, io) -> {node, field, read, problem?, marks?, focus?, group?}. */
export const INPUTS = {
  plain_text_input: text,
  email_text_input: narrow,
  url_text_input: narrow,
  number_input: narrow,
  datepicker: time,
  timepicker: time,
  datetimepicker: time,
  checkboxes: choices,
  radio_buttons: choices,
  file_input: file,
};
