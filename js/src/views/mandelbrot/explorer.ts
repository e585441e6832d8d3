/** The explorer: a picture that answers at once, and gets better while it is left alone. */
import type { AnyModel } from "@anywidget/types";
import type { ExplorerState, ExplorerWelcome } from "../../protocol.gen.js";
import { make } from "../make.js";
import { lookupTable } from "./colors.js";
import { formatWide, log2Wide, pointTexts, toNumbers } from "./decimal.js";
import { build, type Parts } from "./dom.js";
import { listen } from "./gestures.js";
import { Inspector } from "./inspector.js";
import { KeptPicture } from "./kept.js";
import { Palettes } from "./palettes.js";
import { ProgressivePicture } from "./progressive.js";
import { GONE, messageOf, PythonLink, saveChanges } from "./python.js";
import { copyLink, save } from "./sharing.js";
import { automaticIterations, DEEPEST, dragged, History, HOME, parseLink, same, type View, viewOf, zoomed } from "./state.js";
import { StatusLine } from "./status.js";

const ANSWER_MS = 6000;
const UNANSWERED =
  "The kernel does not answer. If this notebook was opened again, or its kernel has ended, run the cell again; a kernel at work answers later.";

export class Explorer {
  private readonly parts: Parts = build();
  private readonly over = new AbortController();
  private readonly python: PythonLink;
  private readonly history = new History();
  private readonly status: StatusLine;
  private readonly progressive: ProgressivePicture;
  private readonly palettes: Palettes;
  private readonly inspector: Inspector;
  private readonly kept: KeptPicture;
  private welcome: ExplorerWelcome | null = null;
  private settle = 0;
  private said = { center: "", width: "" };
  private telling = false;
  private fitted = false;
  /** Whether the first view is the explorer's choice. */
  private chosen = false;
  /** Whether somebody at the page chose a number of iterations where it was automatic: for this place, until it is left for another one by name. */
  private counted = false;

  constructor(
    private readonly model: AnyModel<ExplorerState>,
    el: HTMLElement,
  ) {
    this.python = new PythonLink(model);
    this.status = new StatusLine(this.parts);
    this.progressive = new ProgressivePicture(
      model,
      this.parts,
      this.status,
      this.python,
      this.over.signal,
      () => this.palettes.coloring,
      () => {
        this.inspector.drawOrbit();
        this.kept.later();
      },
    );
    this.kept = new KeptPicture(
      this.parts,
      (png) => {
        if (model.get("_heard")) this.python.keep(png);
      },
      this.over.signal,
    );
    this.inspector = new Inspector(this.parts, this.progressive, () => ({ power: model.get("power"), julia: model.get("julia") !== null }));
    this.palettes = new Palettes(
      model,
      this.parts,
      (colors) => {
        this.progressive.picture.table = lookupTable(colors);
        this.progressive.picture.recolor();
      },
      this.over.signal,
    );
    el.append(this.parts.root);
    this.tall();
    this.connect();
    this.takeTraits();
    this.palettes.take();
    const watcher = new ResizeObserver(() => this.fit());
    watcher.observe(this.parts.stage);
    const panels = new ResizeObserver(() => this.tall());
    for (const panel of [this.parts.panel, this.parts.editor]) panels.observe(panel);
    this.over.signal.addEventListener("abort", () => {
      watcher.disconnect();
      panels.disconnect();
    });
    this.fit();
    void this.begin().catch((error: unknown) => {
      this.status.note(messageOf(error));
      this.status.say("");
      this.status.mark("error");
    });
  }

  /** The picture takes the size of its place; the first time also the view, if nobody has asked for one. */
  private fit(): void {
    const { clientWidth, clientHeight } = this.parts.stage;
    if (!this.fitted && clientWidth > 1 && clientHeight > 1) {
      this.fitted = true;
      this.chosen = same(this.progressive.view, HOME) && !this.model.get("julia");
      if (this.chosen) this.progressive.view = this.whole(clientWidth, clientHeight);
    }
    this.progressive.resize();
  }

  /** As tall as was asked for, and an open panel below comes on top of that: the picture keeps its size, and need not be computed anew. */
  private tall(): void {
    const { root, panel, editor } = this.parts;
    const open = panel.getBoundingClientRect().height + editor.getBoundingClientRect().height;
    root.style.height = `${this.model.get("height") + open}px`;
  }

  destroy(): void {
    this.over.abort();
    this.python.close();
    clearTimeout(this.settle);
    this.parts.root.remove();
  }

  private async begin(): Promise<void> {
    this.status.say("waiting for the kernel…");
    this.status.mark("busy");
    const late = setTimeout(() => {
      this.status.note(UNANSWERED);
      this.status.say("no kernel answers");
    }, ANSWER_MS);
    this.over.signal.addEventListener("abort", () => clearTimeout(late));
    try {
      this.welcome = await this.python.hello();
    } finally {
      clearTimeout(late);
    }
    this.status.note("");
    if (this.over.signal.aborted) return;
    this.fillLists();
    this.palettes.take();
    await this.progressive.begin(this.welcome);
    this.progressive.resize();
    if (this.chosen) this.tell();
    this.history.push(this.progressive.view);
    this.inspector.showPlace();
    this.enable();
    this.progressive.refresh();
  }

  // ------------------------------------------------------------ moving

  private go(view: View, remember = true): void {
    if (view.width.exponent < DEEPEST) {
      this.status.note(`This is as deep as it goes: a width of 1e${DEEPEST}.`);
      return;
    }
    let next = view;
    if (log2Wide(view.width) > 6) next = { ...view, width: { mantissa: 6.4, exponent: 1 } };
    const [x, y] = toNumbers(next.point);
    if (Math.hypot(x, y) > 50) return;
    this.progressive.view = next;
    this.status.note("");
    this.inspector.showPlace();
    this.progressive.refresh(true);
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      if (remember) this.history.push(this.progressive.view);
      this.enable();
      this.tell();
    }, 250);
  }

  private tell(): void {
    const center = pointTexts(this.progressive.view.point, this.progressive.view.width);
    const width = formatWide(this.progressive.view.width);
    this.said = { center: center.join(), width };
    // Each of them is heard at once, and the first one beside the old other is no place.
    this.telling = true;
    this.model.set("center", center);
    this.model.set("width", width);
    this.telling = false;
    saveChanges(this.model);
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
      this.status.note(messageOf(error));
    }
  }

  private home(): void {
    this.uncount();
    this.progressive.raised = 1;
    this.go(this.whole());
  }

  /** The whole set, however flat the picture is. */
  private whole(columns = this.progressive.columns, rows = this.progressive.rows): View {
    const wide = Math.max(3.5, (2.7 * columns) / Math.max(1, rows));
    const home = { ...HOME, width: { mantissa: Math.min(9.9, Number(wide.toPrecision(4))), exponent: 0 } };
    return this.model.get("julia") ? { ...home, point: { re: 0n, im: 0n, digits: 24 } } : home;
  }

  private key(event: KeyboardEvent): boolean {
    const { buttons } = this.parts;
    const tenth = 0.12 * this.progressive.columns;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.go(dragged(this.progressive.view, tenth, 0, this.progressive.columns)),
      ArrowRight: () => this.go(dragged(this.progressive.view, -tenth, 0, this.progressive.columns)),
      ArrowUp: () => this.go(dragged(this.progressive.view, 0, tenth, this.progressive.columns)),
      ArrowDown: () => this.go(dragged(this.progressive.view, 0, -tenth, this.progressive.columns)),
      "+": () => buttons.in.click(),
      "=": () => buttons.in.click(),
      "-": () => buttons.out.click(),
      "0": () => this.home(),
      Home: () => this.home(),
      Backspace: () => this.step(event.shiftKey ? 1 : -1),
      "[": () => this.setCount(this.progressive.maxIter / 2),
      "]": () => this.setCount(this.progressive.maxIter * 2),
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
        drag: (dx, dy) => this.go(dragged(this.progressive.view, dx * this.progressive.pixelRatio, dy * this.progressive.pixelRatio, this.progressive.columns)),
        zoom: (factor, x, y) =>
          this.go(zoomed(this.progressive.view, factor, x * this.progressive.pixelRatio, y * this.progressive.pixelRatio, this.progressive.columns)),
        hover: (x, y) => this.inspector.point({ x: x * this.progressive.pixelRatio, y: y * this.progressive.pixelRatio }),
        leave: () => this.inspector.point(null),
        holding: (active) => {
          parts.main.classList.toggle("moving", active);
          this.progressive.holding(active);
        },
        key: (event) => this.key(event),
      },
      this.over.signal,
    );
    on(buttons.home, "click", () => this.home());
    on(buttons.back, "click", () => this.step(-1));
    on(buttons.forward, "click", () => this.step(1));
    on(buttons.in, "click", () => this.go(zoomed(this.progressive.view, 0.5, 0, 0, this.progressive.columns)));
    on(buttons.out, "click", () => this.go(zoomed(this.progressive.view, 2, 0, 0, this.progressive.columns)));
    on(buttons.edit, "click", () => this.toggle(buttons.edit, parts.editor));
    on(buttons.place, "click", () => this.toggle(buttons.place, parts.panel));
    for (const one of [buttons.julia, buttons.orbit]) {
      on(one, "click", () => {
        one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") !== "true"));
        this.inspector.point(null);
      });
    }
    on(buttons.link, "click", () => void copyLink(this.model, parts, this.progressive, this.status));
    on(buttons.save, "click", () => void save(this.model, parts, this.progressive));
    on(buttons.full, "click", () => void (document.fullscreenElement ? document.exitFullscreen() : parts.root.requestFullscreen()));
    on(parts.landmarks, "change", () => {
      const link = parts.landmarks.value;
      parts.landmarks.selectedIndex = 0;
      if (link) this.jump(() => this.follow(link));
    });
    on(parts.count, "change", () => this.setCount(Number(parts.count.value)));
    on(parts.automatic, "change", () => {
      this.progressive.raised = 1;
      this.counted = false;
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
    const { model } = this;
    const watch = (names: string, act: () => void): void => {
      model.on(names, act);
      this.over.signal.addEventListener("abort", () => model.off(names, act));
    };
    watch("change:center", () => this.takeView());
    watch("change:width", () => this.takeView());
    for (const name of ["max_iter", "auto_iterations", "power", "julia"]) {
      watch(`change:${name}`, () => {
        this.takeTraits();
        this.progressive.picture.forget();
        this.progressive.refresh();
      });
    }
    watch("change:height", () => this.tall());
    // JupyterLab keeps the models of a kernel that is restarted, and says that their comms are dead.
    watch("comm_live_update", () => this.status.note(GONE));
  }

  private change<K extends keyof ExplorerState & string>(name: K, value: ExplorerState[K]): void {
    this.model.set(name, value);
    saveChanges(this.model);
  }

  private setCount(count: number): void {
    if (!Number.isFinite(count) || count < 1) {
      this.status.note("The number of iterations must be at least 1.");
      return;
    }
    this.counted ||= this.model.get("auto_iterations");
    this.model.set("auto_iterations", false);
    this.change("max_iter", Math.max(1, Math.round(Math.min(count, 2 ** 31 - 1024))));
    if (this.counted) this.status.note(`${this.model.get("max_iter")} iterations, until you go Home or to a landmark.`);
  }

  /** Iterations are automatic again, if nobody but the page's keys and field switched that off. */
  private uncount(): void {
    if (!this.counted) return;
    this.counted = false;
    this.change("auto_iterations", true);
  }

  private follow(link: string): View {
    const { view, maxIter } = parseLink(link);
    this.uncount();
    if (maxIter && !this.model.get("auto_iterations")) this.change("max_iter", maxIter);
    this.progressive.raised = maxIter ? Math.max(1, Math.min(64, maxIter / automaticIterations(view.width))) : 1;
    return view;
  }

  /** A new place from Python, unless it is what was told to Python. */
  private takeView(): void {
    if (this.telling) return;
    const [center, width] = [this.model.get("center"), this.model.get("width")];
    if (center.join() === this.said.center && width === this.said.width) return;
    const view = viewOf(center[0], center[1], width);
    if (this.welcome && same(view, this.progressive.view)) return;
    this.said = { center: center.join(), width };
    this.chosen = false;
    this.progressive.view = view;
    this.progressive.raised = 1;
    this.inspector.showPlace();
    if (this.welcome) {
      this.history.push(view);
      this.enable();
    }
    this.progressive.refresh();
  }

  private takeTraits(): void {
    const [center, width] = [this.model.get("center"), this.model.get("width")];
    if (!this.welcome) {
      this.progressive.view = viewOf(center[0], center[1], width);
      this.said = { center: center.join(), width };
    }
    this.parts.automatic.checked = this.model.get("auto_iterations");
    this.status.count(this.progressive.maxIter);
    this.inspector.showPlace();
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
    this.tall();
  }

  private enable(): void {
    this.parts.buttons.back.disabled = !this.history.canBack;
    this.parts.buttons.forward.disabled = !this.history.canForward;
  }
}
