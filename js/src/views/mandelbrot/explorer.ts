/** The explorer: a picture that answers at once, and gets better while it is left alone. */
import type { AnyModel } from "@anywidget/types";
import { lookupTable } from "./colors.js";
import { formatWide, log2Wide, pointTexts, shiftPoint, toNumbers } from "./decimal.js";
import { directPlan } from "./direct.js";
import { build, make, type Parts } from "./dom.js";
import { listen } from "./gestures.js";
import { drawJulia, orbit } from "./inset.js";
import { Kernel, type Request, type Welcome } from "./kernel.js";
import { type ColorTraits, Palettes } from "./palettes.js";
import { makeFrame, Picture } from "./picture.js";
import { download } from "./png.js";
import { type Band, type Plan, Renderer } from "./renderer.js";
import { automaticIterations, DEEPEST, dragged, History, HOME, linkOf, parseLink, same, type View, viewOf, zoomed } from "./state.js";

export interface Traits extends ColorTraits {
  center: [string, string];
  width: string;
  max_iter: number;
  auto_iterations: boolean;
  power: number;
  julia: [string, string] | null;
  height: number;
  status: Record<string, unknown>;
}

const KEYWORD = "webgpu_widget.mandelbrot";

export class Explorer {
  private readonly parts: Parts = build();
  private readonly over = new AbortController();
  private readonly kernel: Kernel;
  private readonly history = new History();
  private view: View = HOME;
  private welcome: Welcome | null = null;
  private renderer: Renderer | null = null;
  private noGpu = "";
  private job = new AbortController();
  private readonly picture: Picture;
  private readonly palettes: Palettes;
  private cursor: { x: number; y: number } | null = null;
  private columns = 0;
  private rows = 0;
  private wanted = 0;
  private raised = 1;
  private settle = 0;
  private said = { center: "", width: "" };

  constructor(
    private readonly model: AnyModel<Traits>,
    el: HTMLElement,
  ) {
    this.kernel = new Kernel(model as unknown as AnyModel);
    this.picture = new Picture(
      this.parts.main,
      () => this.palettes.coloring,
      () => this.view,
      () => this.drawOrbit(),
    );
    this.palettes = new Palettes(
      model as unknown as AnyModel<ColorTraits>,
      this.parts,
      (colors) => {
        this.picture.table = lookupTable(colors);
        this.picture.recolor();
      },
      this.over.signal,
    );
    el.append(this.parts.root);
    this.parts.root.style.height = `${model.get("height")}px`;
    this.connect();
    this.takeTraits();
    const watcher = new ResizeObserver(() => this.resize());
    watcher.observe(this.parts.stage);
    this.over.signal.addEventListener("abort", () => watcher.disconnect());
    this.resize();
    void this.begin();
  }

  destroy(): void {
    this.over.abort();
    this.job.abort();
    this.kernel.close();
    this.renderer?.destroy();
    clearTimeout(this.settle);
    this.parts.root.remove();
  }

  private async begin(): Promise<void> {
    this.say("waiting for the kernel…");
    this.mark("busy");
    this.welcome = await this.kernel.hello();
    if (this.over.signal.aborted) return;
    this.fillLists();
    this.palettes.take();
    await this.findGpu();
    this.resize();
    // Nobody has asked for a place yet.
    if (this.columns && same(this.view, HOME) && !this.model.get("julia")) {
      this.view = this.whole();
      this.tell();
    }
    this.history.push(this.view);
    this.showPlace();
    this.enable();
    this.refresh();
  }

  private async findGpu(): Promise<void> {
    if (!this.welcome || this.welcome.remote) {
      this.noGpu = "the kernel's GPU computes";
      return;
    }
    const found = await Renderer.create(this.welcome.shaders).catch((error: unknown) => String(error));
    if (typeof found === "string") {
      this.noGpu = found;
      return;
    }
    this.renderer = found;
    void found.device.lost.then(async () => {
      if (this.over.signal.aborted || this.renderer !== found) return;
      this.renderer = null;
      this.note("The GPU was lost; drawing anew.");
      await this.findGpu();
      this.refresh();
    });
  }

  // ------------------------------------------------------------ pictures

  /** Begin the picture of the present view; the one on its way is given up. */
  private refresh(): void {
    this.wanted = performance.now();
    this.job.abort();
    this.picture.draw();
    if (!this.welcome || this.columns === 0) return;
    this.job = new AbortController();
    this.mark("busy");
    void this.render(this.job.signal).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (this.renderer === null && !this.noGpu) return; // the device is being replaced
      this.note(error instanceof Error ? error.message : String(error));
      this.mark("error");
    });
  }

  private get maxIter(): number {
    const asked = this.model.get("max_iter");
    return this.model.get("auto_iterations") ? Math.min(2 ** 31 - 1024, Math.round(automaticIterations(this.view.width) * this.raised)) : asked;
  }

  private request(view: View, size: readonly [number, number], maxIter: number): Request {
    return {
      center: pointTexts(view.point, view.width),
      width: formatWide(view.width),
      size,
      max_iter: maxIter,
      power: this.model.get("power"),
      julia: this.model.get("julia"),
    };
  }

  private async render(signal: AbortSignal): Promise<void> {
    const view = this.view;
    const size: [number, number] = [this.columns, this.rows];
    const maxIter = this.maxIter;
    this.showCount(maxIter);
    let text = "direct, f32";
    let plan: Plan | null = null;
    const { renderer } = this;
    if (renderer) {
      plan = directPlan(view, size, maxIter, this.model.get("power"), this.model.get("julia"));
      if (!plan) {
        this.say("computing the reference orbit…");
        renderer.warm(this.model.get("power"), this.model.get("julia") !== null);
        ({ plan, text } = await this.kernel.prepare(this.request(view, size, maxIter), renderer.heldKey, signal));
      }
    }
    const slow = renderer ? renderer.isFallback : true;
    let iterations = 0;
    let method = plan?.method ?? "";
    for (const coarse of slow ? [8, 4, 2, 1] : [4, 1]) {
      if (signal.aborted) return;
      const shape: [number, number] = [Math.max(1, Math.ceil(size[0] / coarse)), Math.max(1, Math.ceil(size[1] / coarse))];
      const frame = makeFrame(view, shape);
      iterations = 0;
      let far = 0;
      let escaped = 0;
      const take = (band: Band): void => {
        frame.smooth.set(band.smooth, band.first);
        for (const n of band.iterations) {
          iterations += n;
          if (n >= maxIter) continue;
          escaped++;
          if (n > 0.7 * maxIter) far++;
        }
        this.picture.took(frame, band.first, band.first + band.smooth.length, coarse);
        this.progress((frame.done / frame.smooth.length) * (coarse === 1 ? 1 : 0.3));
      };
      if (renderer && plan) {
        for await (const band of renderer.run(plan, coarse, signal)) {
          if (signal.aborted) return;
          take(band);
        }
      } else {
        const drawn = await this.kernel.draw(this.request(view, shape, maxIter), coarse, signal);
        ({ text, method } = drawn);
        take(drawn.band);
      }
      if (signal.aborted) return;
      this.picture.finish(frame, coarse);
      // A coarse picture tells as well; but a tiny one has few pixels to tell by.
      if (frame.smooth.length > 1000 && this.raise(frame.smooth.length, far, escaped)) return;
      if (coarse > 1 && this.parts.root.dataset["coarse"] !== String(coarse)) this.parts.root.dataset["coarse"] = String(coarse);
      this.parts.root.dataset["firstMs"] ??= "";
      if (this.parts.root.dataset["firstMs"] === "") this.parts.root.dataset["firstMs"] = (performance.now() - this.wanted).toFixed(0);
      this.say(`${text} · ${coarse > 1 ? `1/${coarse} size…` : ""}`);
      if (coarse === 1) this.finished(text, method, iterations);
      else if (slow) await new Promise((resolve) => setTimeout(resolve));
    }
  }

  /** Begin anew with more iterations, where the picture asks for them and nobody has chosen their number. */
  private raise(pixels: number, far: number, escaped: number): boolean {
    if (!this.model.get("auto_iterations")) return false;
    // Counts crowd under the limit: there is more to see behind it. Or nothing escapes where it is deep: perhaps all is behind it.
    const crowded = far > 0.004 * pixels && this.raised < 64;
    const nothing = escaped < 0.01 * pixels && this.raised < 16 && log2Wide(this.view.width) < -10;
    if (!crowded && !nothing) return false;
    this.raised *= 2;
    this.refresh();
    return true;
  }

  private finished(text: string, method: string, iterations: number): void {
    const seconds = (performance.now() - this.wanted) / 1000;
    const rate = iterations / seconds / 1e9;
    const adapter = this.renderer?.name ?? this.welcome?.adapter ?? "";
    this.say(
      `${text} · ${rate >= 0.1 ? rate.toFixed(rate < 10 ? 2 : 0) : rate.toFixed(4)} Giter/s · ${seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(1)} s`} · ${adapter}`,
    );
    this.progress(0);
    this.note("");
    this.mark("idle");
    this.parts.root.dataset["method"] = method;
    this.parts.root.dataset["seconds"] = seconds.toFixed(3);
    this.model.set("status", {
      state: "idle",
      method,
      text,
      adapter,
      iterations,
      seconds,
      iterations_per_second: iterations / seconds,
      size: [this.columns, this.rows],
      max_iter: this.maxIter,
      center: pointTexts(this.view.point, this.view.width),
      width: formatWide(this.view.width),
    });
    this.model.save_changes();
    this.renderer?.warm(this.model.get("power"), this.model.get("julia") !== null);
  }

  private resize(): void {
    const { stage, main, over } = this.parts;
    const box = stage.getBoundingClientRect();
    const ratio = this.renderer && !this.renderer.isFallback ? Math.min(2, devicePixelRatio || 1) : 1;
    const [columns, rows] = [Math.floor(box.width * ratio), Math.floor(box.height * ratio)];
    if (columns < 2 || rows < 2 || (columns === this.columns && rows === this.rows)) return;
    [this.columns, this.rows] = [columns, rows];
    for (const canvas of [main, over]) [canvas.width, canvas.height] = [columns, rows];
    this.refresh();
  }

  // ------------------------------------------------------------ moving

  private get pixelRatio(): number {
    return this.columns / Math.max(1, this.parts.stage.clientWidth);
  }

  private go(view: View, remember = true): void {
    if (view.width.exponent < DEEPEST) {
      this.note(`This is as deep as it goes: a width of 1e${DEEPEST}.`);
      return;
    }
    let next = view;
    if (log2Wide(view.width) > 6) next = { ...view, width: { mantissa: 6.4, exponent: 1 } };
    const [x, y] = toNumbers(next.point);
    if (Math.hypot(x, y) > 50) return;
    this.view = next;
    this.note("");
    this.showPlace();
    this.refresh();
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      if (remember) this.history.push(this.view);
      this.enable();
      this.tell();
    }, 250);
  }

  private tell(): void {
    const center = pointTexts(this.view.point, this.view.width);
    const width = formatWide(this.view.width);
    this.said = { center: center.join(), width };
    this.model.set("center", center);
    this.model.set("width", width);
    this.model.save_changes();
  }

  private step(by: -1 | 1): void {
    const view = this.history.move(by);
    if (view) this.go(view, false);
    this.enable();
  }

  private jump(text: () => View): void {
    try {
      this.go(text());
    } catch (error) {
      this.note(error instanceof Error ? error.message : String(error));
    }
  }

  private home(): void {
    this.raised = 1;
    this.go(this.whole());
  }

  /** The whole set, however flat the picture is. */
  private whole(): View {
    const wide = Math.max(3.5, (2.7 * this.columns) / Math.max(1, this.rows));
    const home = { ...HOME, width: { mantissa: Math.min(9.9, Number(wide.toPrecision(4))), exponent: 0 } };
    return this.model.get("julia") ? { ...home, point: { re: 0n, im: 0n, digits: 24 } } : home;
  }

  private key(event: KeyboardEvent): boolean {
    const { buttons } = this.parts;
    const tenth = 0.12 * this.columns;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.go(dragged(this.view, tenth, 0, this.columns)),
      ArrowRight: () => this.go(dragged(this.view, -tenth, 0, this.columns)),
      ArrowUp: () => this.go(dragged(this.view, 0, tenth, this.columns)),
      ArrowDown: () => this.go(dragged(this.view, 0, -tenth, this.columns)),
      "+": () => buttons.in.click(),
      "=": () => buttons.in.click(),
      "-": () => buttons.out.click(),
      "0": () => this.home(),
      Home: () => this.home(),
      Backspace: () => this.step(event.shiftKey ? 1 : -1),
      "[": () => this.setCount(this.maxIter / 2),
      "]": () => this.setCount(this.maxIter * 2),
      c: () => buttons.cycle.click(),
      j: () => buttons.julia.click(),
      o: () => buttons.orbit.click(),
      s: () => buttons.save.click(),
      f: () => buttons.full.click(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    action?.();
    return action !== undefined;
  }

  // ------------------------------------------------------------ controls

  private connect(): void {
    const { parts } = this;
    const { buttons } = parts;
    const options = { signal: this.over.signal };
    const on = (element: HTMLElement, type: string, act: () => void): void => element.addEventListener(type, act, options);
    listen(
      parts.main,
      {
        drag: (dx, dy) => this.go(dragged(this.view, dx * this.pixelRatio, dy * this.pixelRatio, this.columns)),
        zoom: (factor, x, y) => this.go(zoomed(this.view, factor, x * this.pixelRatio, y * this.pixelRatio, this.columns)),
        hover: (x, y) => this.point({ x: x * this.pixelRatio, y: y * this.pixelRatio }),
        leave: () => this.point(null),
        holding: (active) => parts.main.classList.toggle("moving", active),
        key: (event) => this.key(event),
      },
      this.over.signal,
    );
    on(buttons.home, "click", () => this.home());
    on(buttons.back, "click", () => this.step(-1));
    on(buttons.forward, "click", () => this.step(1));
    on(buttons.in, "click", () => this.go(zoomed(this.view, 0.5, 0, 0, this.columns)));
    on(buttons.out, "click", () => this.go(zoomed(this.view, 2, 0, 0, this.columns)));
    on(buttons.edit, "click", () => this.toggle(buttons.edit, parts.editor));
    on(buttons.place, "click", () => this.toggle(buttons.place, parts.panel));
    for (const one of [buttons.julia, buttons.orbit]) {
      on(one, "click", () => {
        one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") !== "true"));
        this.point(this.cursor ?? { x: 0, y: 0 });
      });
    }
    on(buttons.link, "click", () => void this.copyLink());
    on(buttons.save, "click", () => void this.save());
    on(buttons.full, "click", () => void (document.fullscreenElement ? document.exitFullscreen() : parts.root.requestFullscreen()));
    on(parts.landmarks, "change", () => {
      const link = parts.landmarks.value;
      parts.landmarks.selectedIndex = 0;
      if (link) this.jump(() => this.follow(link));
    });
    on(parts.count, "change", () => this.setCount(Number(parts.count.value)));
    on(parts.automatic, "change", () => {
      this.raised = 1;
      this.change("auto_iterations", parts.automatic.checked);
    });
    parts.panel.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        const re = parts.re.value.trim();
        this.jump(() => (re.includes("#v=") ? this.follow(re) : viewOf(re, parts.im.value, parts.width.value)));
      },
      options,
    );
    const model = this.model as unknown as AnyModel;
    const watch = (names: string, act: () => void): void => {
      model.on(names, act);
      this.over.signal.addEventListener("abort", () => model.off(names, act));
    };
    watch("change:center", () => this.takeView());
    watch("change:width", () => this.takeView());
    for (const name of ["max_iter", "auto_iterations", "power", "julia"]) {
      watch(`change:${name}`, () => {
        this.takeTraits();
        this.picture.forget();
        this.refresh();
      });
    }
    watch("change:height", () => {
      parts.root.style.height = `${this.model.get("height")}px`;
    });
  }

  private change<K extends keyof Traits & string>(name: K, value: Traits[K]): void {
    this.model.set(name, value);
    this.model.save_changes();
  }

  private setCount(count: number): void {
    if (!Number.isFinite(count) || count < 1) {
      this.note("The number of iterations must be at least 1.");
      return;
    }
    this.model.set("auto_iterations", false);
    this.change("max_iter", Math.round(Math.min(count, 2 ** 31 - 1024)));
  }

  private follow(link: string): View {
    const { view, maxIter } = parseLink(link);
    if (maxIter && !this.model.get("auto_iterations")) this.change("max_iter", maxIter);
    this.raised = maxIter ? Math.max(1, Math.min(64, maxIter / automaticIterations(view.width))) : 1;
    return view;
  }

  /** A new place from Python, unless it is what was told to Python. */
  private takeView(): void {
    const [center, width] = [this.model.get("center"), this.model.get("width")];
    if (center.join() === this.said.center && width === this.said.width) return;
    const view = viewOf(center[0], center[1], width);
    if (this.welcome && same(view, this.view)) return;
    this.said = { center: center.join(), width };
    this.view = view;
    this.raised = 1;
    this.showPlace();
    if (this.welcome) {
      this.history.push(view);
      this.enable();
    }
    this.refresh();
  }

  private takeTraits(): void {
    const [center, width] = [this.model.get("center"), this.model.get("width")];
    if (!this.welcome) {
      this.view = viewOf(center[0], center[1], width);
      this.said = { center: center.join(), width };
    }
    this.parts.automatic.checked = this.model.get("auto_iterations");
    this.showCount(this.maxIter);
    this.showPlace();
    this.enable();
  }

  private fillLists(): void {
    if (!this.welcome) return;
    this.parts.landmarks.replaceChildren(
      make("option", { value: "" }, "Landmarks"),
      ...this.welcome.landmarks.map(({ name, link }) => make("option", { value: link }, name)),
    );
    this.palettes.fill(this.welcome.palettes);
  }

  private toggle(one: HTMLButtonElement, panel: HTMLElement): void {
    const open = panel.classList.toggle("wgmb-hidden");
    one.setAttribute("aria-pressed", String(!open));
  }

  private async copyLink(): Promise<void> {
    const link = linkOf(this.view, this.maxIter, this.model.get("power"), this.model.get("julia"));
    try {
      await navigator.clipboard.writeText(link);
      this.note("Copied the link.");
    } catch {
      this.parts.re.value = link;
      if (this.parts.panel.classList.contains("wgmb-hidden")) this.parts.buttons.place.click();
      this.parts.re.select();
      this.note("The browser does not let the page copy; the link is selected below.");
    }
    setTimeout(() => this.note(""), 2500);
  }

  private save(): Promise<void> {
    const { model } = this;
    const [histogram, scale] = [model.get("histogram"), model.get("scale")];
    const usual = histogram ? 1 : { log: 2, sqrt: 8, linear: 64 }[scale];
    const parameters = {
      format: 1,
      view: { ...this.request(this.view, [this.columns, this.rows], this.maxIter), formula: "mandelbrot" },
      method: this.parts.root.dataset["method"] ?? "",
      colors: { palette: model.get("palette"), scale, cycle: usual * model.get("cycle"), offset: model.get("offset"), histogram },
      stats: {},
    };
    return download(this.parts.main, `mandelbrot-${formatWide(this.view.width)}.png`, KEYWORD, parameters);
  }

  // ------------------------------------------------------------ what is shown beside the picture

  private point(cursor: { x: number; y: number } | null): void {
    this.cursor = cursor ?? this.cursor;
    const { buttons, inset, insetCanvas, insetText } = this.parts;
    const julia = buttons.julia.getAttribute("aria-pressed") === "true" && !this.model.get("julia");
    inset.classList.toggle("wgmb-hidden", !julia);
    if (this.cursor && julia) {
      const [re, im] = toNumbers(shiftPoint(this.view.point, this.cursor.x / this.columns, -this.cursor.y / this.columns, this.view.width));
      drawJulia(insetCanvas, [re, im], this.model.get("power"), this.picture.table);
      insetText.textContent = `Julia set of ${re.toPrecision(7)} ${im < 0 ? "−" : "+"} ${Math.abs(im).toPrecision(7)}i`;
    }
    this.drawOrbit();
    this.showPlace();
  }

  private drawOrbit(): void {
    const context = this.parts.over.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, this.columns, this.rows);
    if (!this.cursor || this.parts.buttons.orbit.getAttribute("aria-pressed") !== "true") return;
    const place = shiftPoint(this.view.point, this.cursor.x / this.columns, -this.cursor.y / this.columns, this.view.width);
    const [x0, y0] = toNumbers(this.view.point);
    const unit = this.columns / (this.view.width.mantissa * 10 ** this.view.width.exponent);
    context.strokeStyle = context.fillStyle = "rgba(255,255,255,.9)";
    context.lineWidth = Math.max(1, this.pixelRatio);
    context.beginPath();
    const points = orbit(toNumbers(place), this.model.get("power"), 400).map(
      ([x, y]) => [this.columns / 2 + (x - x0) * unit, this.rows / 2 - (y - y0) * unit] as const,
    );
    for (const [x, y] of points) if (Number.isFinite(x + y)) context.lineTo(Math.max(-1e5, Math.min(1e5, x)), Math.max(-1e5, Math.min(1e5, y)));
    context.stroke();
    for (const [x, y] of points) context.fillRect(x - 1.5, y - 1.5, 3, 3);
  }

  private showPlace(): void {
    const { re, im, width, where } = this.parts;
    const [x, y] = pointTexts(this.view.point, this.view.width);
    if (document.activeElement?.parentElement !== this.parts.panel) [re.value, im.value, width.value] = [x, y, formatWide(this.view.width)];
    const short = (text: string): string => (text.length > 20 ? `${text.slice(0, 18)}…` : text);
    const magnified = log2Wide({ mantissa: 3.5, exponent: 0 }) - log2Wide(this.view.width);
    where.textContent = `${short(x)} ${y.startsWith("-") ? "−" : "+"} ${short(y.replace("-", ""))}i · width ${formatWide({ ...this.view.width, mantissa: Number(this.view.width.mantissa.toPrecision(4)) })}${magnified > 4 ? ` · 10^${(magnified * 0.30103).toFixed(1)}×` : ""}`;
  }

  private showCount(count: number): void {
    if (document.activeElement !== this.parts.count) this.parts.count.value = String(count);
  }

  private enable(): void {
    this.parts.buttons.back.disabled = !this.history.canBack;
    this.parts.buttons.forward.disabled = !this.history.canForward;
  }

  private say(text: string): void {
    this.parts.status.textContent = text;
  }

  private note(text: string): void {
    this.parts.note.textContent = text;
  }

  private progress(part: number): void {
    this.parts.progress.style.width = `${100 * part}%`;
  }

  private mark(state: "busy" | "idle" | "error"): void {
    this.parts.root.dataset["state"] = state;
    this.parts.root.setAttribute("aria-busy", String(state === "busy"));
  }
}
