// Block Kit, block by block. What is not known here is shown as a box with its JSON, never left out.
import { control, drawElement } from "./elements.js";
import { box, el, fragment, sign, uid } from "./dom.js";
import { grid } from "./markdown.js";
import { drawMarkdown, drawMrkdwn, drawText, link, words } from "./mrkdwn.js";
import { drawRichText } from "./rich_text.js";

const spoken = (text) => el("span.hidden", text);

function section(block, ctx) {
  const fields = block.fields?.map((field) => el("div", drawText(field, ctx)));
  const text = el("div.words", block.text && drawText(block.text, ctx), fields && el("div.fields", fields));
  const { accessory } = block;
  if (!accessory) return text;
  const beside = accessory.type !== "overflow" && text.textContent.slice(0, 80);
  return el("div.beside", text, drawElement(block, accessory, ctx, beside));
}

const row = (look) => (block, ctx) => el(`div.row${look}`, block.elements.map((element) => drawElement(block, element, ctx)));

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
  return grid(block.caption || "Table", block.rows, (tag, part, n) => el(tag + look(n), cell(part)));
}

const STATES = { __proto__: null, pending: ["○", "Waiting"], in_progress: ["", "In progress"], complete: ["✓", "Done"], error: ["!", "Failed"] };

function task(block, ctx) {
  const [mark, state] = STATES[block.status] ?? STATES.pending;
  const parts = [block.details, block.output].map((part) => part && drawRichText(part, ctx));
  const sources = block.sources?.map((each) => link(each.url, each.text));
  const text = el("div.words", el("b", spoken(`${state}: `), block.title), parts, sources && el("div.row", sources));
  return el(`div.task.${block.status}`, sign("span.sign", mark), text);
}

function plan(block, ctx) {
  const tasks = block.tasks ?? [];
  const over = tasks.filter((each) => each.status === "complete").length;
  const title = el("div", el("b", words(block.title)), el("small", ` ${over} of ${tasks.length}`));
  return fragment(title, el("ol.tasks", tasks.map((each) => el("li", task(each, ctx)))));
}

const LEVELS = { info: "Note: ", warning: "Warning: ", error: "Error: ", success: "Done: " };
const alert = (block, ctx) => el(`div.alert.${block.level}`, { role: "note" }, spoken(LEVELS[block.level] ?? ""), drawText(block.text, ctx));

function input(block, ctx) {
  const { element } = block;
  const made = control(block, element, ctx, true);
  if (!made) return box(`Unknown element: ${element.type}`, words(block.label), element);
  const label = el(made.group ? "div.label" : "label.label", { id: uid(), for: !made.group && made.field.id }, words(block.label), block.optional && el("small", " (optional)"));
  const hint = block.hint && el("small", { id: uid() }, words(block.hint));
  const error = el("div.bk-error", { id: uid() });
  const marks = made.marks ?? [made.field];
  if (made.group) made.field.setAttribute("aria-labelledby", label.id);
  if (!block.optional && !made.field.matches("[role=group]")) made.field.ariaRequired = true;
  const complain = (text) => {
    error.textContent = text || "";
    for (const field of marks) field.ariaInvalid = text ? "true" : null;
  };
  marks.forEach((field) => field.setAttribute("aria-describedby", `${error.id} ${hint?.id ?? ""}`));
  complain(ctx.errors?.[block.block_id]);
  ctx.inputs?.push({ block, element, control: made, complain });
  return fragment(label, made.node, hint, error);
}

const BLOCKS = {
  __proto__: null,
  header: (block) => el("h3", words(block.text)),
  section,
  context: row(".context"),
  actions: row(""),
  context_actions: row(""),
  divider: () => el("hr"),
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
  const around = el(`div.bk.k-${draw ? block.type : "unknown"}`);
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
  const old = () => [
    el("small", each.author_name),
    title && el("b", link(each.title_link ?? "", title)),
    text(each.text),
    each.fields && el("div.fields", each.fields.map((field) => el("div", el("b", field.title), text(field.value)))),
    each.image_url && image({ image_url: each.image_url, alt_text: each.fallback ?? title }),
    each.actions && box("Old buttons", "", each.actions),
    el("small", each.footer),
  ];
  const look = /^(good|warning|danger)$/.test(color) ? `.${color}` : "";
  const bar = el(`div.bk.attachment${look}`, each.blocks ? drawBlocks(each.blocks, ctx) : old());
  if (/^#?[0-9a-f]{6}$/i.test(color)) bar.style.borderColor = `#${color.replace("#", "")}`;
  return [text(each.pretext), bar];
}

/** A message's attachments, old style or with blocks. */
export const drawAttachments = (list, ctx = {}) => fragment((list ?? []).map((each) => attachment(each, ctx)));
