/** The explorer's elements. */
import { make } from "../make.js";
import css from "./explorer.css";

const ICONS = {
  home: "M2 8l6-5 6 5M4 7v6h8V7",
  back: "M10 3L5 8l5 5",
  forward: "M6 3l5 5-5 5",
  in: "M8 3v10M3 8h10",
  out: "M3 8h10",
  cycle: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  edit: "M3 13l1-4 7-7 3 3-7 7z",
  julia: "M2 8c2-4 4-4 6 0s4 4 6 0",
  orbit: "M3 12l4-8 3 6 3-5",
  place: "M8 14s4-4.5 4-7.5a4 4 0 0 0-8 0C4 9.5 8 14 8 14zM8 6.5v.01",
  link: "M6.5 9.5l3-3M7 5l2-2a2.8 2.8 0 0 1 4 4l-2 2M9 11l-2 2a2.8 2.8 0 0 1-4-4l2-2",
  save: "M8 2v8M5 7l3 3 3-3M3 13h10",
  full: "M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3",
} as const;

export type IconName = keyof typeof ICONS;

export function button(name: IconName, label: string, toggle = false): HTMLButtonElement {
  const element = make("button", { type: "button", title: label, "aria-label": label });
  if (toggle) element.setAttribute("aria-pressed", "false");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  element.append(svg);
  return element;
}

export interface Parts {
  readonly root: HTMLDivElement;
  readonly buttons: Record<IconName, HTMLButtonElement>;
  readonly landmarks: HTMLSelectElement;
  readonly palettes: HTMLSelectElement;
  readonly count: HTMLInputElement;
  readonly automatic: HTMLInputElement;
  readonly stage: HTMLDivElement;
  readonly main: HTMLCanvasElement;
  readonly over: HTMLCanvasElement;
  readonly inset: HTMLDivElement;
  readonly insetCanvas: HTMLCanvasElement;
  readonly insetText: HTMLDivElement;
  readonly note: HTMLDivElement;
  readonly progress: HTMLDivElement;
  readonly panel: HTMLFormElement;
  readonly re: HTMLInputElement;
  readonly im: HTMLInputElement;
  readonly width: HTMLInputElement;
  readonly editor: HTMLDivElement;
  readonly stops: HTMLDivElement;
  readonly fewer: HTMLButtonElement;
  readonly more: HTMLButtonElement;
  readonly scale: HTMLSelectElement;
  readonly cycle: HTMLInputElement;
  readonly offset: HTMLInputElement;
  readonly histogram: HTMLInputElement;
  readonly status: HTMLSpanElement;
  readonly where: HTMLSpanElement;
}

const HELP =
  "Mandelbrot set. Drag to move, wheel or pinch to zoom, double click to zoom in. Keys: arrows move, plus and minus zoom, 0 home, " +
  "backspace back, brackets fewer or more iterations, C cycles colours, J Julia set, O orbit, S saves, F full screen.";

export function build(): Parts {
  const buttons = {
    home: button("home", "Whole set (0)"),
    back: button("back", "Back (backspace)"),
    forward: button("forward", "Forward (shift backspace)"),
    in: button("in", "Zoom in (+)"),
    out: button("out", "Zoom out (-)"),
    cycle: button("cycle", "Cycle the colours (C)", true),
    edit: button("edit", "Edit the palette", true),
    julia: button("julia", "Julia set of the point under the cursor (J)", true),
    orbit: button("orbit", "Orbit of the point under the cursor (O)", true),
    place: button("place", "Coordinates", true),
    link: button("link", "Copy a link to this view"),
    save: button("save", "Save as PNG, parameters inside (S)"),
    full: button("full", "Full screen (F)"),
  } as const;
  const landmarks = make("select", { "aria-label": "Landmarks", title: "Landmarks" });
  const palettes = make("select", { "aria-label": "Palette", title: "Palette" });
  const count = make("input", { type: "number", min: 1, max: 2_000_000_000, step: 1, "aria-label": "Most iterations", title: "Most iterations ([ and ])" });
  const automatic = make("input", { type: "checkbox" });
  const group = (...children: Node[]): HTMLSpanElement => make("span", { class: "group" }, ...children);
  const bar = make(
    "div",
    { class: "wgmb-bar", role: "toolbar", "aria-label": "Explorer" },
    group(buttons.home, buttons.back, buttons.forward, buttons.in, buttons.out),
    group(landmarks),
    group(count, make("label", { title: "Choose the iterations by the depth" }, automatic, "auto")),
    group(palettes, buttons.cycle, buttons.edit),
    group(buttons.julia, buttons.orbit, buttons.place),
    group(buttons.link, buttons.save, buttons.full),
  );
  const main = make("canvas", { class: "wgmb-main", tabindex: 0, role: "application", "aria-roledescription": "zoomable picture", "aria-label": HELP });
  const over = make("canvas", { class: "wgmb-over", "aria-hidden": "true" });
  const insetCanvas = make("canvas", { "aria-hidden": "true" });
  const insetText = make("div");
  const inset = make("div", { class: "wgmb-inset wgmb-hidden" }, insetCanvas, insetText);
  const note = make("div", { class: "wgmb-note", role: "alert" });
  const progress = make("div", { class: "wgmb-progress" });
  const stage = make("div", { class: "wgmb-stage" }, main, over, inset, note, progress);
  const text = (label: string): HTMLInputElement => make("input", { type: "text", "aria-label": label, spellcheck: "false", autocomplete: "off" });
  const [re, im, width] = [text("Real part of the centre"), text("Imaginary part of the centre"), text("Width of the picture")];
  const panel = make(
    "form",
    { class: "wgmb-panel wgmb-hidden" },
    make("span", {}, "re"),
    re,
    make("span"),
    make("span", {}, "im"),
    im,
    make("span"),
    make("span", {}, "width"),
    width,
    make("button", { type: "submit" }, "Go"),
  );
  const stops = make("div", { class: "wgmb-stops", role: "group", "aria-label": "Colours of the palette" });
  const fewer = make("button", { type: "button", "aria-label": "One colour fewer", title: "One colour fewer" }, "−");
  const more = make("button", { type: "button", "aria-label": "One colour more", title: "One colour more" }, "+");
  const scale = make("select", { "aria-label": "Scale" }, ...["log", "sqrt", "linear"].map((name) => make("option", { value: name }, name)));
  const cycle = make("input", { type: "range", min: -3, max: 3, step: 0.05, "aria-label": "Length of the palette" });
  const offset = make("input", { type: "range", min: 0, max: 1, step: 0.005, "aria-label": "Offset of the palette" });
  const histogram = make("input", { type: "checkbox" });
  const editor = make(
    "div",
    { class: "wgmb-editor wgmb-hidden" },
    stops,
    fewer,
    more,
    make("label", {}, "scale", scale),
    make("label", {}, "length", cycle),
    make("label", {}, "offset", offset),
    make("label", {}, histogram, "by rank"),
  );
  const status = make("span", { role: "status", "aria-live": "polite" });
  const where = make("span", { class: "where" });
  const root = make(
    "div",
    { class: "wgmb", "data-lm-suppress-shortcuts": "true" },
    make("style", {}, css),
    bar,
    stage,
    panel,
    editor,
    make("div", { class: "wgmb-status" }, status, where),
  );
  return {
    root,
    buttons,
    landmarks,
    palettes,
    count,
    automatic,
    stage,
    main,
    over,
    inset,
    insetCanvas,
    insetText,
    note,
    progress,
    panel,
    re,
    im,
    width,
    editor,
    stops,
    fewer,
    more,
    scale,
    cycle,
    offset,
    histogram,
    status,
    where,
  };
}
