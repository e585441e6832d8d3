/** The module of small panels, a bar and a table: anywidget's default export. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import type { BarState, Steer, TableState } from "../../protocol.gen.js";
import { make } from "../make.js";
import { openPlaces, renderPlace } from "../places.js";
import css from "./panel.css";

/** A model of a bar has not the traits of a table, nor one of a table those of a bar. */
type Panel = BarState & TableState;

const RUNNING = new Set(["loading", "paused", "running"]);

function showBar(model: AnyModel<Panel>, root: HTMLElement): () => void {
  const text = make("span");
  const filled = make("i");
  const track = make("div", { class: "track", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": model.get("title") }, filled);
  const pause = make("button", { type: "button" });
  const cancel = make("button", { type: "button" }, "Cancel");
  const buttons = make("div", { class: "buttons" }, pause, cancel);
  const steer = (action: Steer["action"]): void => model.send({ action } satisfies Steer);
  pause.onclick = () => steer(model.get("state") === "paused" ? "resume" : "pause");
  cancel.onclick = () => steer("cancel");
  const strip = make("img", { alt: "Frames of the film" });
  root.append(make("header", {}, make("b", {}, model.get("title")), text), track, buttons, strip);
  // Drawn twice as fine as CSS's pixels.
  strip.onload = () => {
    strip.style.width = `${strip.naturalWidth / 2}px`;
    URL.revokeObjectURL(strip.src);
  };
  let shown: DataView | Uint8Array | undefined;
  const showStrip = (png: DataView | Uint8Array): void => {
    if (png === shown) return;
    shown = png;
    strip.hidden = png.byteLength === 0;
    if (!strip.hidden) strip.src = URL.createObjectURL(new Blob([png as BlobPart], { type: "image/png" }));
  };
  return () => {
    showStrip(model.get("strip"));
    const state = model.get("state");
    root.dataset["state"] = state;
    const percent = 100 * Math.min(1, Math.max(0, model.get("fraction")));
    filled.style.width = `${percent}%`;
    track.setAttribute("aria-valuenow", percent.toFixed(0));
    text.textContent = model.get("text");
    pause.textContent = state === "paused" ? "Resume" : "Pause";
    buttons.hidden = !model.get("steerable") || !RUNNING.has(state);
  };
}

function showTable(model: AnyModel<Panel>, root: HTMLElement): () => void {
  root.classList.add("wide");
  const state = make("span");
  const body = make("tbody");
  const head = make("thead", {}, make("tr", {}, ...model.get("columns").map((name) => make("th", { scope: "col" }, name))));
  root.append(make("header", {}, make("b", {}, model.get("title")), state), make("div", { class: "scroll", tabindex: 0 }, make("table", {}, head, body)));
  return () => {
    state.textContent = model.get("state");
    const rows = model.get("rows").map((cells) => {
      const kind = /^\w+/.exec(cells[2] ?? "")?.[0] ?? "";
      return make(
        "tr",
        { class: kind },
        ...cells.map((cell, i) => make("td", { title: cell }, ...(i === 2 ? [make("i", { "aria-hidden": "true" })] : []), cell)),
      );
    });
    body.replaceChildren(...rows);
    (body.parentElement as HTMLElement).hidden = rows.length === 0;
  };
}

function show(model: AnyModel<Panel>, el: HTMLElement): () => void {
  const root = make("section", { class: "wgpanel", "aria-label": model.get("title") }, make("style", {}, css));
  const draw = model.get("kind") === "table" ? showTable(model, root) : showBar(model, root);
  const changes = "change:fraction change:text change:state change:strip change:rows change:columns";
  for (const name of changes.split(" ")) model.on(name, draw);
  draw();
  el.append(root);
  return () => {
    for (const name of changes.split(" ")) model.off(name, draw);
    root.remove();
  };
}

function initialize({ model, signal }: InitializeProps<Panel>): () => void {
  const leave = openPlaces(model as AnyModel<Panel>, (el) => show(model as AnyModel<Panel>, el), true);
  signal?.addEventListener("abort", leave);
  model.on("destroy", leave);
  return leave;
}

function render({ model, el }: RenderProps<Panel>): () => void {
  return renderPlace(model.get("_picture_id"), el, (place) => show(model as AnyModel<Panel>, place));
}

export default { initialize, render };
