/** Palette, its editor, and the cycling of colours. */
import type { AnyModel } from "@anywidget/types";
import type { ExplorerState } from "../../protocol.gen.js";
import { make } from "../make.js";
import type { Coloring } from "./colors.js";
import type { Parts } from "./dom.js";

const NO_PALETTE = ["#000000", "#ffffff"];

export class Palettes {
  /** Colours of the palettes that Python named. */
  known: Readonly<Record<string, readonly string[]>> = {};
  private cycling = 0;

  constructor(
    private readonly model: AnyModel<ExplorerState>,
    private readonly parts: Parts,
    private readonly changed: (colors: readonly string[]) => void,
    private readonly signal: AbortSignal,
  ) {
    const on = (element: HTMLElement, type: string, act: () => void): void => element.addEventListener(type, act, { signal });
    on(parts.buttons.cycle, "click", () => this.toggleCycling());
    on(parts.palettes, "change", () => this.change("palette", parts.palettes.value));
    on(parts.scale, "change", () => this.change("scale", parts.scale.value as ExplorerState["scale"]));
    on(parts.cycle, "input", () => this.change("cycle", 2 ** Number(parts.cycle.value)));
    on(parts.offset, "input", () => this.change("offset", Number(parts.offset.value)));
    on(parts.histogram, "change", () => this.change("histogram", parts.histogram.checked));
    on(parts.fewer, "click", () => this.edit((colors) => colors.slice(0, Math.max(2, colors.length - 1))));
    on(parts.more, "click", () => this.edit((colors) => [...colors, colors[0] ?? "#000000"]));
    for (const name of ["palette", "scale", "cycle", "offset", "histogram"] as const) {
      const act = (): void => this.take();
      model.on(`change:${name}`, act);
      signal.addEventListener("abort", () => model.off(`change:${name}`, act));
    }
    signal.addEventListener("abort", () => cancelAnimationFrame(this.cycling));
  }

  get coloring(): Coloring {
    const { model } = this;
    return { colors: [], scale: model.get("scale"), cycle: model.get("cycle"), offset: model.get("offset"), histogram: model.get("histogram") };
  }

  /** The list of palettes. */
  fill(known: Readonly<Record<string, readonly string[]>>): void {
    this.known = known;
    this.parts.palettes.replaceChildren(...Object.keys(known).map((name) => make("option", { value: name }, name)), make("option", { value: "" }, "own"));
  }

  /** Show what the traits say. */
  take(): void {
    const { model, parts } = this;
    const palette = model.get("palette");
    const colors = typeof palette === "string" ? (this.known[palette] ?? model.get("_colors") ?? NO_PALETTE) : palette;
    parts.palettes.value = typeof palette === "string" ? palette : "";
    parts.scale.value = model.get("scale");
    parts.cycle.value = String(Math.log2(model.get("cycle")));
    parts.offset.value = String(model.get("offset") % 1);
    parts.histogram.checked = model.get("histogram");
    const shown = colors.length > 16 ? Array.from({ length: 9 }, (_, i) => colors[Math.round((i * (colors.length - 1)) / 8)] ?? "#000000") : colors;
    if (parts.stops.childElementCount !== shown.length) {
      parts.stops.replaceChildren(
        ...shown.map((_, i) => {
          const input = make("input", { type: "color", "aria-label": `Colour ${i + 1}` });
          input.addEventListener("input", () => this.edit((all) => all.map((color, k) => (k === i ? input.value : color))));
          return input;
        }),
      );
    }
    [...parts.stops.children].forEach((input, i) => {
      (input as HTMLInputElement).value = shown[i] ?? "#000000";
    });
    this.changed(colors);
  }

  private change<K extends keyof ExplorerState & string>(name: K, value: ExplorerState[K]): void {
    this.model.set(name, value);
    this.model.save_changes();
  }

  private edit(how: (colors: string[]) => string[]): void {
    this.change("palette", how([...this.parts.stops.children].map((input) => (input as HTMLInputElement).value)));
  }

  private toggleCycling(): void {
    const on = this.cycling === 0;
    this.parts.buttons.cycle.setAttribute("aria-pressed", String(on));
    cancelAnimationFrame(this.cycling);
    this.cycling = 0;
    if (!on) {
      this.model.save_changes();
      return;
    }
    let before = performance.now();
    const turn = (now: number): void => {
      if (this.signal.aborted) return;
      if (now - before > 30) {
        this.model.set("offset", (this.model.get("offset") + ((now - before) / 1000) * 0.12) % 1);
        before = now;
      }
      this.cycling = requestAnimationFrame(turn);
    };
    this.cycling = requestAnimationFrame(turn);
  }
}
