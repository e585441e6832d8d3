/**
 * Live views where their pictures are.
 *
 * A notebook's output that holds a view shows an error when it is opened without the view's model (JupyterLab, Notebook 7). There the kernel makes the
 * output a picture alone, whose text chunk names its view, and the page puts the live view in the picture's place. It goes with the model, and the picture stays.
 */
import type { AnyModel } from "@anywidget/types";
import { jupyterApp, randomId } from "../host.js";
import { hearLate } from "../late.js";
import type { PlaceState } from "../protocol.gen.js";

type Show = (el: HTMLElement) => () => void;

interface Box {
  readonly element: HTMLElement;
  readonly end: () => void;
  over: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
  focused: HTMLElement | null;
}

const KEYWORD = "webgpu_widget.view\0";
const IN_OUTPUTS = new Set(["JupyterLab", "Jupyter Notebook"]);
const PREFIX = "data:image/png;base64,";
/** Signature, header and the first text chunk of a PNG, in base64. */
const HEAD = 160;
/** An output that is hidden leaves the document and comes back; so long a view waits for that. */
const STAY_MS = 20_000;
/** Of a widget's `layout`: what a front end would set on the view's element. */
const LAYOUT =
  "width min_width max_width height min_height max_height margin padding border_top border_right border_bottom border_left display visibility overflow".split(
    " ",
  );
const PAGE_WIDE = Symbol.for("webgpu_widget.places");

interface PageWide {
  readonly views: Map<string, Views>;
  readonly boxes: WeakMap<HTMLImageElement, Box>;
}

interface Layout {
  get(name: string): string | null | undefined;
  on(name: string, act: () => void): void;
  off(name: string, act: () => void): void;
}

/** One for all modules of the package on this page: anywidget loads a module for each model. */
function pageWide(): PageWide {
  const page = globalThis as { [PAGE_WIDE]?: PageWide };
  const known = page[PAGE_WIDE];
  if (known) return known;
  const made: PageWide = { views: new Map(), boxes: new WeakMap() };
  page[PAGE_WIDE] = made;
  new MutationObserver((records) => {
    for (const { addedNodes } of records) for (const node of addedNodes) if (node instanceof Element) scan(node);
    for (const views of made.views.values()) views.watch();
  }).observe(document.documentElement, { childList: true, subtree: true });
  return made;
}

/** The view that a picture is of; empty where it is of none. */
export function viewOfPicture(source: string): string {
  if (!source.startsWith(PREFIX)) return "";
  try {
    const head = atob(source.slice(PREFIX.length, PREFIX.length + HEAD));
    const at = head.indexOf(KEYWORD);
    return at < 0 ? "" : (/^[0-9a-f]{32}/.exec(head.slice(at + KEYWORD.length))?.[0] ?? "");
  } catch {
    return "";
  }
}

function scan(root: Element): void {
  const images = root instanceof HTMLImageElement ? [root] : root.querySelectorAll<HTMLImageElement>(`img[src^="${PREFIX}"]`);
  for (const image of images) {
    const id = viewOfPicture(image.src);
    if (id) pageWide().views.get(id)?.put(image);
  }
}

/** The live views of a model. */
class Views {
  private readonly boxes = new Set<Box>();
  /** Whether Python has answered: the model of a saved notebook has nobody behind it. */
  live = false;

  constructor(
    private readonly show: Show,
    private readonly layout: Layout | null,
    private readonly stays: boolean,
  ) {}

  private readonly dress = (): void => {
    for (const { element } of this.boxes) {
      const inPlace = element.previousSibling instanceof HTMLImageElement;
      for (const name of LAYOUT) element.style.setProperty(name.replaceAll("_", "-"), (inPlace && this.layout?.get(name)) || "");
    }
  };

  follow(): void {
    this.layout?.on("change", this.dress);
  }

  /** A view that has just left the document, or a new one. */
  private take(): Box {
    for (const box of this.boxes) {
      if (box.element.isConnected) continue;
      clearTimeout(box.timer);
      box.timer = undefined;
      return box;
    }
    const element = document.createElement("div");
    const box: Box = { element, end: this.show(element), over: false, timer: undefined, focused: null };
    element.addEventListener("focusin", ({ target }) => {
      box.focused = target instanceof HTMLElement ? target : null;
    });
    element.addEventListener("focusout", ({ relatedTarget }) => {
      if (element.isConnected && (relatedTarget || document.hasFocus())) box.focused = null;
    });
    this.boxes.add(box);
    return box;
  }

  /** In the element that a front end gave for a view. */
  render(place: HTMLElement): () => void {
    const box = this.take();
    place.append(box.element);
    this.dress();
    return () => {
      if (box.element.parentNode === place) box.element.remove();
      this.watch();
    };
  }

  /** In the place of its picture. */
  put(image: HTMLImageElement): void {
    const { boxes } = pageWide();
    const held = boxes.get(image);
    if (!this.live || (held && !held.over && held.element.previousSibling === image)) return;
    const box = this.take();
    boxes.set(image, box);
    const { focused } = box;
    image.style.display = "none";
    image.after(box.element);
    this.dress();
    focused?.focus({ preventScroll: true });
  }

  /** End those that have been out of the document for long. */
  watch(): void {
    for (const box of this.boxes) {
      if (box.element.isConnected || box.timer !== undefined) continue;
      box.timer = setTimeout(() => {
        box.timer = undefined;
        if (!box.element.isConnected) this.finish(box);
      }, STAY_MS);
    }
  }

  private finish(box: Box): void {
    this.boxes.delete(box);
    clearTimeout(box.timer);
    box.over = true;
    box.end();
    const image = box.element.previousSibling;
    if (image instanceof HTMLImageElement) image.style.display = "";
    box.element.remove();
  }

  close(): void {
    this.layout?.off("change", this.dress);
    for (const box of this.boxes) {
      // What is left there has the page's colours, which a picture has not.
      if (this.stays && box.element.isConnected && this.live) this.boxes.delete(box);
      else this.finish(box);
    }
  }
}

/**
 * Have a model's views shown wherever the page has a place for them; returns what ends that. Called by the module's `initialize`.
 *
 * @param stays Whether what a view shows stays where it is when its model is closed: nothing in it needs one.
 * @param again Called when what Python has said so far was lost.
 */
export function openPlaces<T extends PlaceState>(model: AnyModel<T>, show: Show, stays = false, again?: () => void): () => void {
  const id = model.get("_picture_id");
  const layout = (model as unknown as AnyModel<{ layout: unknown }>).get("layout");
  const views = new Views(show, typeof layout === "object" ? (layout as Layout | null) : null, stays);
  views.follow();
  const all = pageWide().views;
  all.set(id, views);
  const heard = (): void => {
    views.live = true;
    scan(document.documentElement);
  };
  model.on("change:_heard", heard);
  const app = jupyterApp();
  const speak = (): void => {
    if (!IN_OUTPUTS.has(app)) return;
    try {
      model.set("_page", `${app} ${randomId()}` as T["_page"]);
      model.save_changes();
    } catch {
      // Nobody is there to hear it: the picture stays.
    }
  };
  const endLate = hearLate(model, () => {
    speak();
    again?.();
  });
  // Not while the model is made: its comm may not be whole yet.
  setTimeout(speak);
  return () => {
    endLate();
    model.off("change:_heard", heard);
    if (all.get(id) === views) all.delete(id);
    views.close();
  };
}

/** Show a view in the element that a front end gave for it; `show` where `openPlaces` was not called. */
export function renderPlace(id: string, el: HTMLElement, show: Show): () => void {
  return pageWide().views.get(id)?.render(el) ?? show(el);
}
