/**
 * Colours for WGSL in cells that begin with `%%wgsl`, which notebooks take for Python.
 *
 * By CSS Custom Highlights over the text that the editor shows: nothing that belongs to the editor is changed. Where a browser has none, cells stay as they are.
 */
import { jupyterApp } from "../host.js";

export type Kind = "text" | "keyword" | "type" | "function" | "attribute" | "number" | "comment";

const EDITORS = new Set(["JupyterLab", "Jupyter Notebook"]);
const PAGE_WIDE = Symbol.for("webgpu_widget.highlight");
const REPAINT_MS = 60;
const COLOURS: Readonly<Record<Kind, string>> = {
  text: "--jp-mirror-editor-variable-color, #001080",
  keyword: "--jp-mirror-editor-keyword-color, #008000",
  type: "--jp-mirror-editor-builtin-color, #008000",
  function: "--jp-mirror-editor-def-color, #00f",
  attribute: "--jp-mirror-editor-meta-color, #aa22ff",
  number: "--jp-mirror-editor-number-color, #080",
  comment: "--jp-mirror-editor-comment-color, #408080",
};
const KINDS = Object.keys(COLOURS) as Kind[];
const KEYWORDS =
  "alias|break|case|const|const_assert|continue|continuing|default|diagnostic|discard|else|enable|false|fn|for|if|let|loop|override|requires|return|struct|switch|true|var|while";
const TYPES =
  "bool|[fiu](?:16|32|64)|vec[234](?:[fhiu])?|mat[234]x[234](?:[fh])?|array|atomic|ptr|sampler(?:_comparison)?|texture_\\w+|function|private|workgroup|uniform|storage|read|write|read_write";
const TOKENS = new RegExp(
  [
    "(?<comment>//.*|/\\*[^]*?(?:\\*/|$))",
    "(?<attribute>@\\w+)",
    "(?<number>\\b0[xX][\\da-fA-F.]+(?:[pP][+-]?\\d+)?[fhiu]?\\b|(?:\\b\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?[fhiu]?\\b)",
    `\\b(?<keyword>${KEYWORDS})\\b`,
    `\\b(?<type>${TYPES})\\b`,
    "\\b(?<function>[A-Za-z_]\\w*)(?=\\s*\\()",
    // A name is taken whole: what follows a letter or a dot is no keyword.
    "[A-Za-z_]\\w*",
  ].join("|"),
  "g",
);

/** What in a text is of which kind, from one character to before another. */
export function tokens(text: string): { kind: Kind; from: number; to: number }[] {
  const found: { kind: Kind; from: number; to: number }[] = [];
  for (const match of text.matchAll(TOKENS)) {
    const kind = KINDS.find((name) => match.groups?.[name] !== undefined);
    if (kind) found.push({ kind, from: match.index, to: match.index + match[0].length });
  }
  return found;
}

/** The texts of a cell's lines, and where each of their nodes begins in the whole. */
function linesOf(content: Element): { text: string; nodes: { node: Text; at: number }[] } {
  let text = "";
  const nodes: { node: Text; at: number }[] = [];
  for (const line of content.querySelectorAll(".cm-line")) {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      nodes.push({ node: node as Text, at: text.length });
      text += (node as Text).data;
    }
    text += "\n";
  }
  return { text, nodes };
}

function ranges({ nodes }: { nodes: { node: Text; at: number }[] }, from: number, to: number): Range[] {
  const made: Range[] = [];
  for (const { node, at } of nodes) {
    const [start, end] = [Math.max(from, at), Math.min(to, at + node.length)];
    if (start >= end) continue;
    const range = new Range();
    range.setStart(node, start - at);
    range.setEnd(node, end - at);
    made.push(range);
  }
  return made;
}

function paint(): void {
  const all = new Map<Kind, Range[]>(KINDS.map((kind) => [kind, []]));
  for (const content of document.querySelectorAll(".jp-CodeCell .cm-content")) {
    if (!content.querySelector(".cm-line")?.textContent?.startsWith("%%wgsl")) continue;
    const lines = linesOf(content);
    const first = lines.text.indexOf("\n");
    all.get("attribute")?.push(...ranges(lines, 0, first));
    all.get("text")?.push(...ranges(lines, first, lines.text.length));
    for (const { kind, from, to } of tokens(lines.text.slice(first))) all.get(kind)?.push(...ranges(lines, first + from, first + to));
  }
  for (const [kind, found] of all) {
    const highlight = new Highlight(...found);
    highlight.priority = kind === "text" ? 0 : 1;
    CSS.highlights.set(`webgpu-widget-wgsl-${kind}`, highlight);
  }
}

/** Whether a change concerns what an editor shows. */
function inEditor({ target, addedNodes }: MutationRecord): boolean {
  const place = target instanceof Element ? target : target.parentElement;
  if (place?.closest(".cm-content")) return true;
  return [...addedNodes].some((node) => node instanceof Element && (node.matches(".cm-content") || node.querySelector(".cm-content") !== null));
}

/** Colour the WGSL of this page's cells from now on; once a page. */
export function colourWgsl(): void {
  const page = globalThis as { [PAGE_WIDE]?: true };
  if (page[PAGE_WIDE] || !EDITORS.has(jupyterApp()) || !("highlights" in CSS)) return;
  page[PAGE_WIDE] = true;
  const style = document.createElement("style");
  style.textContent = KINDS.map((kind) => `::highlight(webgpu-widget-wgsl-${kind}) { color: var(${COLOURS[kind]}); }`).join("\n");
  document.head.append(style);
  let timer: ReturnType<typeof setTimeout> | undefined;
  new MutationObserver((records) => {
    if (timer !== undefined || !records.some(inEditor)) return;
    timer = setTimeout(() => {
      timer = undefined;
      paint();
    }, REPAINT_MS);
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
  paint();
}
