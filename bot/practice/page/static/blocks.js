// Block Kit, block by block. What is not known here is shown as a box with its JSON, never left out.
import { control, drawElement, picture } from "./elements.js";
import { box, fragment, make, spoken, uid } from "./make.js";
import { drawMarkdown, drawMrkdwn, drawText, link, words } from "./mrkdwn.js";
import { drawRichText } from "./rich_text.js";

const STATES = { pending: ["○", "Waiting"], in_progress: ["", "In progress"], complete: ["✓", "Done"], error: ["!", "Failed"] };
const host = (address) => (URL.canParse(address ?? "") ? new URL(address).host : "");

function section(block, ctx) {
  const fields = block.fields?.map((field) => make("div", { class: "bk-cell" }, drawText(field, ctx)));
  const text = make("div", { class: "bk-words" }, block.text && drawText(block.text, ctx), fields && make("div", { class: "bk-fields" }, fields));
  const accessory = block.accessory;
  if (!accessory) return text;
  const label = words(accessory.placeholder ?? "") || text.textContent.slice(0, 80);
  return make("div", { class: "bk-beside" }, text, make("div", { class: "bk-accessory" }, drawElement(block, accessory, ctx, accessory.type === "overflow" ? undefined : label)));
}

const row = (kind) => (block, ctx) => make("div", { class: `bk-row ${kind}` }, block.elements.map((element) => drawElement(block, element, ctx)));

function image(block) {
  const title = words(block.title ?? "") || block.alt_text || "Picture";
  const from = host(block.image_url ?? block.slack_file?.url);
  return box(`Picture: ${title}`, [block.alt_text !== title && block.alt_text, from && `not loaded from ${from}`].filter(Boolean).join(", "));
}

function video(block, ctx) {
  const about = [block.author_name, words(block.description ?? ""), block.alt_text].filter(Boolean).join(" · ");
  const made = box(`Video: ${words(block.title)}`, about);
  if (block.title_url) made.append(link(block.title_url, "Open the video"));
  return made;
}

function cell(part, ctx) {
  if (part?.type === "rich_text") return drawRichText(part, ctx);
  return part?.text ?? String(part?.value ?? "");
}

function table(block, ctx) {
  const looks = (n) => {
    const set = block.column_settings?.[n] ?? {};
    const number = block.rows[1]?.[n]?.type === "raw_number" && !set.align;
    return `${number ? "right" : set.align ?? ""}${set.is_wrapped ? " wrap" : ""}`.trim() || null;
  };
  const line = (tag) => (cells) => make("tr", {}, cells.map((part, n) => make(tag, { class: looks(n), scope: tag === "th" && "col" }, cell(part, ctx))));
  const [head, ...rest] = block.rows;
  const caption = block.caption && make("caption", {}, block.caption);
  const whole = make("table", {}, caption, make("thead", {}, line("th")(head)), make("tbody", {}, rest.map(line("td"))));
  return make("div", { class: "bk-table", role: "region", tabindex: "0", "aria-label": block.caption || "Table" }, whole);
}

function task(block, ctx) {
  const [sign, state] = STATES[block.status] ?? STATES.pending;
  const sources = block.sources?.map((each) => link(each.url, each.text || each.url));
  const more = [
    block.details && drawRichText(block.details, ctx),
    block.output && make("div", { class: "bk-output" }, drawRichText(block.output, ctx)),
    sources?.length && make("div", { class: "bk-row bk-sources" }, sources),
  ].filter(Boolean);
  const icon = make("span", { class: "bk-sign", "aria-hidden": "true" }, sign);
  const title = make("div", { class: "bk-task-title" }, spoken(`${state}: `), block.title);
  return make("div", { class: `bk-task ${block.status ?? "pending"}` }, icon, make("div", { class: "bk-words" }, title, more));
}

function plan(block, ctx) {
  const tasks = block.tasks ?? [];
  const over = tasks.filter((each) => each.status === "complete").length;
  const title = make("div", { class: "bk-plan-title" }, make("span", {}, words(block.title)), make("span", { class: "bk-about" }, `${over} of ${tasks.length}`));
  return fragment(title, make("ol", { class: "bk-tasks" }, tasks.map((each) => make("li", {}, task(each, ctx)))));
}

const LEVELS = { info: "Note", warning: "Warning", error: "Error", success: "Done" };

function alert(block, ctx) {
  const level = LEVELS[block.level] ? block.level : "default";
  return make("div", { class: `bk-alert ${level}`, role: "note" }, LEVELS[level] && spoken(`${LEVELS[level]}: `), drawText(block.text, ctx));
}

function input(block, ctx) {
  const label = uid("label");
  const made = control(block, block.element, ctx, { input: true, labelled: true });
  if (!made) return box(`Unknown element: ${block.element?.type}`, words(block.label), block.element);
  const optional = block.optional ? make("span", { class: "bk-about" }, " (optional)") : null;
  const name = made.group ? make("div", { id: label, class: "bk-label" }, words(block.label), optional) : make("label", { id: label, class: "bk-label", for: made.field.id }, words(block.label), optional);
  const hint = block.hint && make("div", { class: "bk-hint", id: uid("hint") }, words(block.hint));
  const error = make("div", { class: "bk-error", id: uid("error") });
  if (made.group) made.field.setAttribute("aria-labelledby", label);
  const describe = [error.id, hint?.id].filter(Boolean).join(" ");
  const marks = made.marks ?? [made.field];
  marks.forEach((field) => field.setAttribute("aria-describedby", describe));
  const required = !block.optional;
  if (required && made.field.matches("input, textarea, [role=radiogroup]")) made.field.setAttribute("aria-required", "true");
  const complain = (text) => {
    error.textContent = text ?? "";
    marks.forEach((field) => (text ? field.setAttribute("aria-invalid", "true") : field.removeAttribute("aria-invalid")));
  };
  complain(ctx.errors?.[block.block_id]);
  ctx.inputs?.push({ block, element: block.element, control: made, required, complain });
  return fragment(name, made.node, hint, error);
}

const BLOCKS = {
  header: (block) => make("h3", { class: "bk-header" }, words(block.text)),
  section,
  context: row("context"),
  actions: row("actions"),
  context_actions: row("actions"),
  divider: () => make("hr"),
  image,
  video,
  file: (block) => box("File", block.external_id ?? ""),
  rich_text: drawRichText,
  markdown: (block, ctx) => drawMarkdown(block.text, ctx),
  table,
  data_table: table,
  plan,
  task_card: task,
  alert,
  input,
};

function drawBlock(block, ctx) {
  const kind = String(block?.type);
  const draw = Object.hasOwn(BLOCKS, kind) ? BLOCKS[kind] : null;
  const looks = { class: `bk k-${draw ? kind : "unknown"}`, "data-block": block?.block_id };
  try {
    return make("div", looks, draw ? draw(block, ctx) : box(`Unknown block: ${kind}`, "", block));
  } catch (wrong) {
    return make("div", looks, box(`This ${kind} block can't be drawn`, String(wrong.message), block));
  }
}

/** Blocks as Slack shows them. `ctx`: see docs/decisions/0013-the-practice-page.md. */
export function drawBlocks(blocks, ctx = {}) {
  return fragment((blocks ?? []).map((block) => drawBlock(block, ctx)));
}

const COLORS = { good: "good", warning: "warning", danger: "danger" };

function attachment(each, ctx) {
  const text = (words_) => words_ && drawMrkdwn(words_, ctx);
  const title = each.title && make("div", { class: "bk-task-title" }, each.title_link ? link(each.title_link, each.title) : each.title);
  const fields = each.fields?.map((field) => make("div", { class: field.short ? "bk-cell" : "bk-cell wide" }, make("b", {}, field.title), text(String(field.value ?? ""))));
  const pressed = each.actions?.map((action) => box(`Old-style ${action.type}: ${action.text ?? action.name}`));
  const pictures = ["image_url", "thumb_url"].filter((name) => each[name]).map((name) => image({ image_url: each[name], alt_text: each.fallback }));
  const legacy = [each.author_name && make("div", { class: "bk-about" }, each.author_name), title, text(each.text), fields && make("div", { class: "bk-fields" }, fields), pictures, pressed, each.footer && make("div", { class: "bk-about" }, each.footer)];
  const bar = make("div", { class: `bk-attachment ${COLORS[each.color] ?? ""}` }, each.blocks ? drawBlocks(each.blocks, ctx) : legacy.flat());
  if (/^#?[0-9a-f]{6}$/i.test(each.color ?? "")) bar.style.borderInlineStartColor = `#${each.color.replace("#", "")}`;
  return fragment(text(each.pretext), bar);
}

/** A message's attachments, old style or with blocks. */
export function drawAttachments(list, ctx = {}) {
  return fragment((list ?? []).map((each) => attachment(each, ctx)));
}
