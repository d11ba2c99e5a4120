// Block Kit, block by block. What is not known here is shown as a box with its JSON, never left out.
import { control, drawElement } from "./elements.js";
import { box, fragment, make, uid } from "./make.js";
import { grid } from "./markdown.js";
import { drawMarkdown, drawMrkdwn, drawText, link, words } from "./mrkdwn.js";
import { drawRichText } from "./rich_text.js";

const spoken = (text) => make("span.hidden", text);

function section(block, ctx) {
  const fields = block.fields?.map((field) => make("div", drawText(field, ctx)));
  const text = make("div.bk-words", block.text && drawText(block.text, ctx), fields && make("div.bk-fields", fields));
  const { accessory } = block;
  if (!accessory) return text;
  const beside = accessory.type !== "overflow" && text.textContent.slice(0, 80);
  return make("div.bk-beside", text, drawElement(block, accessory, ctx, beside));
}

const row = (look) => (block, ctx) => make(`div.bk-row${look}`, block.elements.map((element) => drawElement(block, element, ctx)));

function image(block) {
  const address = block.image_url ?? block.slack_file?.url ?? "";
  const from = URL.canParse(address) && `not loaded from ${new URL(address).host}`;
  return box(`Picture: ${words(block.title) || block.alt_text}`, [block.title && block.alt_text, from].filter(Boolean).join(", "));
}

function table(block, ctx) {
  const look = (n) => {
    const number = block.rows[1]?.[n]?.type === "raw_number";
    const align = block.column_settings?.[n]?.align ?? (number ? "right" : "left");
    return /^(left|center|right)$/.test(align) ? `.${align}` : "";
  };
  const cell = (part) => (part.type === "rich_text" ? drawRichText(part, ctx) : part.text ?? String(part.value ?? ""));
  return grid(block.caption || "Table", block.rows, (tag, part, n) => make(tag + look(n), cell(part)));
}

const STATES = { __proto__: null, pending: ["○", "Waiting"], in_progress: ["", "In progress"], complete: ["✓", "Done"], error: ["!", "Failed"] };

function task(block, ctx) {
  const [sign, state] = STATES[block.status] ?? STATES.pending;
  const parts = [block.details, block.output].map((part) => part && drawRichText(part, ctx));
  const sources = block.sources?.map((each) => link(each.url, each.text));
  const text = make("div.bk-words", make("b", spoken(`${state}: `), block.title), parts, sources && make("div.bk-row", sources));
  return make(`div.bk-task.${block.status}`, make("span.bk-sign", { "aria-hidden": "true" }, sign), text);
}

function plan(block, ctx) {
  const tasks = block.tasks ?? [];
  const over = tasks.filter((each) => each.status === "complete").length;
  const title = make("div", make("b", words(block.title)), make("small", ` ${over} of ${tasks.length}`));
  return fragment(title, make("ol.bk-tasks", tasks.map((each) => make("li", task(each, ctx)))));
}

const LEVELS = { info: "Note: ", warning: "Warning: ", error: "Error: ", success: "Done: " };
const alert = (block, ctx) => make(`div.bk-alert.${block.level}`, { role: "note" }, spoken(LEVELS[block.level] ?? ""), drawText(block.text, ctx));

function input(block, ctx) {
  const { element } = block;
  const made = control(block, element, ctx, true);
  if (!made) return box(`Unknown element: ${element.type}`, words(block.label), element);
  const label = make(made.group ? "div.bk-label" : "label.bk-label", { id: uid(), for: made.group ? null : made.field.id }, words(block.label), block.optional && make("small", " (optional)"));
  const hint = block.hint && make("small", { id: uid() }, words(block.hint));
  const error = make("div.bk-error", { id: uid() });
  const marks = made.marks ?? [made.field];
  if (made.group) made.field.setAttribute("aria-labelledby", label.id);
  if (!block.optional && !made.field.matches("[role=group]")) made.field.setAttribute("aria-required", "true");
  const complain = (text) => {
    error.textContent = text || "";
    marks.forEach((field) => (text ? field.setAttribute("aria-invalid", "true") : field.removeAttribute("aria-invalid")));
  };
  marks.forEach((field) => field.setAttribute("aria-describedby", `${error.id} ${hint?.id ?? ""}`));
  complain(ctx.errors?.[block.block_id]);
  ctx.inputs?.push({ block, element, control: made, complain });
  return fragment(label, made.node, hint, error);
}

const BLOCKS = {
  __proto__: null,
  header: (block) => make("h3", words(block.text)),
  section,
  context: row(".context"),
  actions: row(""),
  context_actions: row(""),
  divider: () => make("hr"),
  image,
  video: (block) => box(`Video: ${words(block.title)}`, block.alt_text),
  file: (block) => box("File", block.external_id),
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
  const draw = BLOCKS[block?.type];
  const around = make(`div.bk.k-${draw ? block.type : "unknown"}`);
  try {
    around.append(draw ? draw(block, ctx) : box(`Unknown block: ${block?.type}`, "", block));
  } catch (wrong) {
    around.append(box(`This ${block.type} can't be drawn`, String(wrong.message), block));
  }
  return around;
}

/** Blocks as Slack shows them. `ctx`: see docs/decisions/0013-the-practice-page.md. */
export const drawBlocks = (blocks, ctx = {}) => fragment((blocks ?? []).map((block) => drawBlock(block, ctx)));

function attachment(each, ctx) {
  const text = (said) => said && drawMrkdwn(String(said), ctx);
  const { title, color = "" } = each;
  const fields = each.fields?.map((field) => make("div", make("b", field.title), text(field.value)));
  const old = [
    each.author_name && make("small", each.author_name),
    title && make("b", each.title_link ? link(each.title_link, title) : title),
    text(each.text),
    fields && make("div.bk-fields", fields),
    each.image_url && image({ image_url: each.image_url, alt_text: each.fallback ?? title }),
    each.actions && box("Old buttons", "", each.actions),
    each.footer && make("small", each.footer),
  ];
  const bar = make(`div.bk.bk-attachment${/^(good|warning|danger)$/.test(color) ? `.${color}` : ""}`, each.blocks ? drawBlocks(each.blocks, ctx) : old);
  if (/^#?[0-9a-f]{6}$/i.test(color)) bar.style.borderColor = `#${color.replace("#", "")}`;
  return [text(each.pretext), bar];
}

/** A message's attachments, old style or with blocks. */
export const drawAttachments = (list, ctx = {}) => fragment((list ?? []).map((each) => attachment(each, ctx)));
