/** A small card that says what the GPU is and how it is. */
import type { Status } from "./state.js";

const REDRAW_MS = 250;

const STYLE = `
.webgpu-widget-status { --ww-text: var(--jp-content-font-color1, #1f2328); --ww-soft: var(--jp-content-font-color2, #59636e); --ww-line: var(--jp-border-color2, #d1d9e0);
  --ww-back: var(--jp-layout-color1, #fff); --ww-good: var(--jp-success-color1, #1a7f37); --ww-bad: color-mix(in srgb, var(--jp-error-color1, #cf222e) 80%, var(--ww-text)); --ww-wait: var(--jp-warn-color1, #9a6700);
  color: var(--ww-text); background: var(--ww-back); border: 1px solid var(--ww-line); border-radius: 6px; padding: 10px 14px; margin: 4px 0; max-width: 44rem;
  font: 13px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); box-sizing: border-box; }
.webgpu-widget-status header { display: flex; align-items: baseline; gap: 8px; font-weight: 600; }
.webgpu-widget-status header i { width: 9px; height: 9px; border-radius: 50%; background: var(--ww-wait); align-self: center; flex: none; }
.webgpu-widget-status[data-mood=good] header i { background: var(--ww-good); }
.webgpu-widget-status[data-mood=bad] header i { background: var(--ww-bad); }
.webgpu-widget-status[data-mood=over] header i { background: var(--ww-soft); }
.webgpu-widget-status header span { font-weight: 400; color: var(--ww-soft); }
.webgpu-widget-status dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 4px 16px; margin: 8px 0 0; }
.webgpu-widget-status dt, .webgpu-widget-status dd { display: block; float: none; width: auto; margin: 0; }
.webgpu-widget-status dt { color: var(--ww-soft); font-size: 11px; font-weight: 400; }
.webgpu-widget-status dd { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.webgpu-widget-status pre { margin: 8px 0 0; padding: 0; white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere; color: var(--ww-bad); background: none; font: 12px/1.4 var(--jp-code-font-family, ui-monospace, monospace); max-height: 9em; overflow: auto; }
@media (prefers-color-scheme: dark) { .webgpu-widget-status:not(:is([data-jp-theme-light] *)) { --ww-text: var(--jp-content-font-color1, #e6edf3); --ww-soft: var(--jp-content-font-color2, #9198a1);
  --ww-line: var(--jp-border-color2, #3d444d); --ww-back: var(--jp-layout-color1, #151b23); --ww-good: #3fb950; --ww-bad: #ff7b72; --ww-wait: #d29922; } }
`;

const GOOD = new Set(["ready", "computing"]);
const BAD = new Set(["no GPU", "no answer", "versions differ", "connection lost"]);

function megabytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB` : `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;
}

function facts(status: Status): [string, string][] {
  const rows: [string, string | undefined][] = [
    ["Adapter", status.adapter],
    ["Browser", status.browser],
    ["Connection", status.transport],
    [
      "Memory",
      status.bytes === undefined
        ? undefined
        : status.peakBytes
          ? `${megabytes(status.bytes)} in ${status.buffers ?? 0} buffer${status.buffers === 1 ? "" : "s"}${status.peakBytes > status.bytes ? ` (peak ${megabytes(status.peakBytes)})` : ""}`
          : "nothing yet",
    ],
    ["Kernels", status.kernels?.toLocaleString("en")],
    ["Dispatches", status.dispatches?.toLocaleString("en")],
    ["Running", status.running],
    ["Address", status.url],
  ];
  return rows.flatMap(([name, value]) => (value ? [[name, value] as [string, string]] : []));
}

function draw(card: HTMLElement, status: Status): void {
  card.dataset.mood = GOOD.has(status.state) ? "good" : BAD.has(status.state) ? "bad" : status.state === "closed" ? "over" : "wait";
  const header = document.createElement("header");
  const dot = document.createElement("i");
  dot.ariaHidden = "true";
  const state = document.createElement("span");
  state.textContent = status.state;
  header.append(dot, "WebGPU", state);
  const list = document.createElement("dl");
  for (const [name, value] of facts(status)) {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    pair.append(term, text);
    list.append(pair);
  }
  card.replaceChildren(header, list);
  if (!status.message) return;
  const message = document.createElement("pre");
  message.textContent = status.message;
  card.append(message);
}

/** Show a status in an element, redrawn when it changes and at most four times a second. Returns the way to take it away. */
export function showStatus(place: HTMLElement, status: () => Status, subscribe: (listener: () => void) => () => void): () => void {
  // Beside the card: a host may show it inside a shadow, to which it does not belong yet.
  const style = document.createElement("style");
  style.textContent = STYLE;
  const card = document.createElement("section");
  card.className = "webgpu-widget-status";
  card.setAttribute("role", "status");
  card.setAttribute("aria-label", "WebGPU status");
  card.setAttribute("aria-live", "off");
  place.append(style, card);
  let shown = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const redraw = (): void => {
    timer = undefined;
    const now = status();
    if (now.state === "computing") timer = setTimeout(redraw, REDRAW_MS);
    const text = JSON.stringify(now);
    if (text === shown) return;
    shown = text;
    draw(card, now);
  };
  redraw();
  const stop = subscribe(() => {
    timer ??= setTimeout(redraw, REDRAW_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
    style.remove();
    card.remove();
  };
}
