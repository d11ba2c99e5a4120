// What is typed or ticked: text, numbers, dates, checkboxes and radio buttons; and what holds what in a view's state.
import { box, make, uid } from "./make.js";
import { drawText, words } from "./mrkdwn.js";

const REQUIRED = "Please complete this required field.";
const WAIT = 300; // ms after the last character before the app is told, where it wants every character

/** A state or a beginning as a bare value: text, an option's value, an id, or a list of them. */
export function bareValue(name, held) {
  if (name.endsWith("_option")) return held?.value ?? null;
  if (name.endsWith("_options")) return (held ?? []).map((option) => option.value);
  return held ?? null;
}

function words_(element) {
  return words(element.placeholder ?? "");
}

function attributes(element, io) {
  return { id: uid("field"), "data-key": io.key, placeholder: words_(element), "aria-label": io.label };
}

function dispatches(element, field, io) {
  const on = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  let timer = 0;
  field.addEventListener("input", () => {
    io.keep(read(field));
    clearTimeout(timer);
    if (io.dispatch && on.includes("on_character_entered")) timer = setTimeout(() => io.tell(read(field)), WAIT);
  });
  field.addEventListener("keydown", (event) => {
    const goes = event.key === "Enter" && !event.shiftKey && io.dispatch && on.includes("on_enter_pressed");
    if (!goes || event.isComposing) return;
    event.preventDefault();
    io.tell(read(field));
  });
}

const read = (field) => (field.value === "" ? null : field.value);

function counted(element, field, problem) {
  const most = element.max_length ?? 3000;
  const left = make("span", { class: "bk-left", "aria-live": "polite" });
  const count = () => {
    const more = most - field.value.length;
    left.textContent = more < Math.min(50, most / 2) ? String(more) : "";
    left.classList.toggle("over", more < 0);
  };
  field.addEventListener("input", count);
  count();
  return { node: make("div", { class: "bk-typed" }, field, left), field, read: () => read(field), problem };
}

function text(element, io) {
  const tag = element.multiline ? "textarea" : "input";
  const field = make(tag, { ...attributes(element, io), class: "bk-field", type: element.multiline ? null : "text", rows: element.multiline ? "4" : null, autocomplete: "off", value: io.value ?? "" });
  dispatches(element, field, io);
  return counted(element, field, () => {
    const length = field.value.length;
    if (length && length < (element.min_length ?? 0)) return `Please use at least ${element.min_length} characters.`;
    return length > (element.max_length ?? 3000) ? `Please use at most ${element.max_length ?? 3000} characters.` : "";
  });
}

const KINDS = { email_text_input: ["email", "an email address"], url_text_input: ["url", "a web address, like https://example.com"], number_input: ["number", "a number"] };

function narrow(element, io) {
  const [type, what] = KINDS[element.type];
  const bounds = { min: element.min_value, max: element.max_value, step: element.is_decimal_allowed ? "any" : null };
  const field = make("input", { ...attributes(element, io), ...bounds, class: "bk-field", type, autocomplete: "off", value: io.value ?? "" });
  dispatches(element, field, io);
  const range = [element.min_value !== undefined && `at least ${element.min_value}`, element.max_value !== undefined && `at most ${element.max_value}`].filter(Boolean);
  const problem = () => (field.validity.valid ? "" : `Please enter ${what}${range.length ? `, ${range.join(" and ")}` : ""}.`);
  return { node: field, field, read: () => read(field), problem };
}

function rich(element, io) {
  const plain = (value) => (value?.elements ?? []).flatMap((part) => part.elements ?? []).map((part) => part.text ?? "").join("");
  const wrap = (value) => value && { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: value }] }] };
  const field = make("textarea", { ...attributes(element, io), class: "bk-field", rows: "4", value: plain(io.value) });
  field.addEventListener("input", () => io.keep(wrap(read(field))));
  return { node: field, field, read: () => wrap(read(field)) };
}

const two = (number) => String(number).padStart(2, "0");
const local = (seconds) => {
  const at = new Date(seconds * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
};
const TIMES = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

function time(element, io) {
  const moment = element.type === "datetimepicker";
  const value = moment && io.value ? local(io.value) : io.value ?? "";
  const label = io.label ?? (io.labelled ? null : words_(element) || "Date or time");
  const field = make("input", { ...attributes(element, io), "aria-label": label, class: "bk-field bk-time", type: TIMES[element.type], value });
  const now = () => (moment && field.value ? Math.floor(new Date(field.value).getTime() / 1000) : read(field));
  // While a year is typed it is 0002 first, then 0020: those are no choices yet.
  field.addEventListener("change", () => (field.value && field.value.startsWith("0") && !TIMES.timepicker ? io.keep(now()) : io.changed(now())));
  const zone = element.timezone && make("span", { class: "bk-about" }, element.timezone);
  return { node: zone ? make("span", {}, field, " ", zone) : field, field, read: now };
}

function choices(element, io) {
  const many = element.type === "checkboxes";
  const name = uid("choice");
  const now = () => {
    const picked = boxes.filter((each) => each.checked).map((each) => each.choice);
    return many ? picked : picked[0] ?? null;
  };
  const boxes = element.options.map((option) => {
    const checked = many ? (io.value ?? []).includes(option.value) : io.value === option.value;
    const each = make("input", { type: many ? "checkbox" : "radio", name, checked, "data-key": `${io.key}/${option.value}`, onchange: () => io.changed(now()) });
    each.choice = option.value;
    return each;
  });
  const rows = element.options.map((option, n) => {
    const about = option.description && make("span", { class: "bk-about" }, drawText(option.description, io.ctx));
    return make("label", { class: "bk-choice" }, boxes[n], make("span", {}, drawText(option.text, io.ctx), about));
  });
  const role = many ? "group" : "radiogroup";
  const field = make("div", { class: "bk-choices", role, id: uid("field"), "aria-label": io.label ?? (io.labelled ? null : "Choices") }, rows);
  return { node: field, field, marks: many ? boxes : [field], focus: boxes[0], group: true, read: now };
}

function file() {
  const shown = box("File upload", "Files can't be uploaded in the practice Slack.");
  return { node: shown, field: shown, group: true, read: () => undefined };
}

/** Whether a value is nothing at all. */
export const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

/** What is wrong with what a control holds, in a sentence; "" if nothing. */
export function problemOf(control, required) {
  const value = control.read();
  // Of a number that is none, the browser says that the field is empty.
  const said = control.problem?.() ?? "";
  return said || (required && value !== undefined && isEmpty(value) ? REQUIRED : "");
}

/** By type: (element, io) -> {node, field, read, problem?, marks?, focus?, group?}. */
export const INPUTS = {
  plain_text_input: text,
  email_text_input: narrow,
  url_text_input: narrow,
  number_input: narrow,
  rich_text_input: rich,
  datepicker: time,
  timepicker: time,
  datetimepicker: time,
  checkboxes: choices,
  radio_buttons: choices,
  file_input: file,
};
