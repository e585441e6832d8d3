/** The talk with Python: shaders, reference orbits, and whole pictures where the page has no GPU of its own to use. */
import type { AnyModel } from "@anywidget/types";
import { parseFixed } from "./decimal.js";
import type { Change, Serves } from "./references.js";
import type { Fine } from "./refine.js";
import type { Band, Plan, Shaders } from "./renderer.js";

export interface Landmark {
  readonly name: string;
  readonly link: string;
}

export interface Welcome {
  readonly shaders: Shaders;
  readonly palettes: Readonly<Record<string, readonly string[]>>;
  readonly landmarks: readonly Landmark[];
  /** Whether the kernel must compute: its GPU is not this page's. */
  readonly remote: boolean;
  readonly adapter: string;
}

export interface Request {
  readonly center: readonly [string, string];
  readonly width: string;
  readonly size: readonly [number, number];
  readonly max_iter: number;
  readonly power: number;
  readonly julia: readonly [string, string] | null;
}

/** A plan; what differs from the parts that the page has; what else the reference serves; the method in words. */
export interface Prepared {
  readonly plan: Plan;
  readonly change: Change | null;
  readonly serves: Serves;
  readonly text: string;
}

/** Said where messages no longer go anywhere: the kernel that made the widget is gone, and one that follows does not know it. */
export const GONE = "The kernel was restarted or has ended, and does not know this explorer any more: run its cell again. What is shown stays.";

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Tell Python what was set; without a kernel there is nobody to tell. */
export function saveChanges(model: Pick<AnyModel, "save_changes">): void {
  try {
    model.save_changes();
  } catch {
    // The next question to the kernel says so.
  }
}

type Answer = Record<string, unknown> & { id: string; kind: string };
type Handler = (answer: Answer, buffers: DataView[]) => void;

const tight = (view: DataView | undefined): ArrayBuffer | null =>
  view ? (view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer) : null;

export class PythonLink {
  private readonly waiting = new Map<string, Handler>();
  private readonly prefix = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  private count = 0;
  private readonly listener = (answer: Answer, buffers: DataView[]): void => {
    this.waiting.get(answer?.id)?.(answer, buffers ?? []);
  };

  constructor(private readonly model: AnyModel) {
    model.on("msg:custom", this.listener);
  }

  close(): void {
    this.model.off("msg:custom", this.listener);
    this.waiting.clear();
  }

  /** Whether a message went out. A link that is closed throws, at once or later. */
  private send(id: string, kind: string, more: object, failed: () => void): void {
    try {
      const sent: unknown = this.model.send({ id, kind, ...more });
      if (sent instanceof Promise) sent.catch(failed);
    } catch {
      failed();
    }
  }

  private ask(kind: string, more: object, signal?: AbortSignal, repeat = 0): Promise<{ answer: Answer; buffers: DataView[] }> {
    return new Promise((resolve, reject) => {
      const id = `${this.prefix}-${++this.count}`;
      let timer = 0;
      const over = (): boolean => {
        clearInterval(timer);
        return this.waiting.delete(id);
      };
      const failed = (): void => {
        if (over()) reject(new Error(GONE));
      };
      this.waiting.set(id, (answer, buffers) => {
        over();
        if (answer.kind === "error") reject(new Error(String(answer["message"])));
        else resolve({ answer, buffers });
      });
      // A message that came before the model was ready is answered when it is asked again.
      if (repeat) timer = setInterval(() => this.send(id, kind, more, failed), repeat);
      this.send(id, kind, more, failed);
      signal?.addEventListener("abort", () => {
        if (!over()) return;
        this.send(id, "cancel", {}, () => undefined);
        reject(new DOMException("given up", "AbortError"));
      });
    });
  }

  /** Have the kernel keep a picture of the view in the notebook's file. */
  keep(png: ArrayBuffer): void {
    try {
      const sent: unknown = this.model.send({ id: `${this.prefix}-${++this.count}`, kind: "picture" }, undefined, [png]);
      if (sent instanceof Promise) sent.catch(() => undefined);
    } catch {
      // The next question to the kernel says so.
    }
  }

  async hello(): Promise<Welcome> {
    return (await this.ask("hello", {}, undefined, 3000)).answer as unknown as Welcome;
  }

  /** What a view needs; `have` is the key of the reference that the page holds. `exact`: about the view's own centre, as `render` in Python has it. */
  async prepare(request: Request, have: string, signal: AbortSignal, exact = false): Promise<Prepared> {
    const { answer, buffers } = await this.ask("prepare", { view: request, have, exact }, signal);
    // Three parts, or none, or only what differs from the parts that the page has.
    const [a, b, c] = [tight(buffers[0]), tight(buffers[1]), tight(buffers[2])];
    const plan = { ...(answer["plan"] as object), reference: c && a, table: c && b, orbit: c } as Plan;
    const change = a && b && !c ? { limits: new Float32Array(a), radii: new Uint32Array(b) } : null;
    const said = answer["serves"] as Omit<Serves, "point"> & { point: [string, string]; digits: number };
    const [re, im] = said.point;
    const { digits } = said;
    const serves = { ...said, point: { re: parseFixed(re, digits), im: parseFixed(im, digits), digits } };
    return { plan, change, serves, text: String(answer["text"]) };
  }

  /** What refine.wgsl needs beside the exact plan of a view; `held` is what the page has of the kind. */
  async fine(request: Request, held: Fine | null, signal: AbortSignal): Promise<Fine> {
    const { answer, buffers } = await this.ask("refine", { view: request, have: held?.key ?? "" }, signal);
    const said = answer["fine"] as Omit<Fine, "reference" | "table" | "exact">;
    const [pixels, smooth] = [tight(buffers[0]), tight(buffers[1])];
    const reference = tight(buffers[2]) ?? held?.reference;
    const table = tight(buffers[3]) ?? held?.table;
    if (!pixels || !smooth || !reference || !table) throw new Error("the kernel sent no reference to refine with");
    return { ...said, reference, table, exact: { pixels: new Uint32Array(pixels), smooth: new Float32Array(smooth) } };
  }

  /** A picture at 1/coarse of the size, computed by the kernel's GPU. */
  async draw(request: Request, coarse: number, signal: AbortSignal): Promise<{ band: Band; text: string; method: string; refined: number }> {
    const { answer, buffers } = await this.ask("draw", { view: request, coarse }, signal);
    const [iterations, smooth] = [tight(buffers[0]), tight(buffers[1])];
    if (!iterations || !smooth) throw new Error("the kernel sent no picture");
    return {
      band: { first: 0, iterations: new Uint32Array(iterations), smooth: new Float32Array(smooth) },
      text: String(answer["text"]),
      method: String(answer["method"]),
      refined: Number(answer["refined"]),
    };
  }
}
