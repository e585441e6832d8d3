/** The talk with Python: shaders, reference orbits, and whole pictures where the page has no GPU of its own to use. */
import type { AnyModel } from "@anywidget/types";
import { parseFixed } from "./decimal.js";
import type { Change, Serves } from "./references.js";
import type { Band, Plan } from "./renderer.js";

export interface Landmark {
  readonly name: string;
  readonly link: string;
}

export interface Welcome {
  readonly shaders: { readonly direct: string; readonly perturb: string };
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

type Answer = Record<string, unknown> & { id: string; kind: string };
type Handler = (answer: Answer, buffers: DataView[]) => void;

const tight = (view: DataView | undefined): ArrayBuffer | null =>
  view ? (view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) as ArrayBuffer) : null;

export class Kernel {
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

  private send(kind: string, more: object, handler: Handler): string {
    const id = `${this.prefix}-${++this.count}`;
    this.waiting.set(id, handler);
    this.model.send({ id, kind, ...more });
    return id;
  }

  private ask(kind: string, more: object, signal?: AbortSignal, repeat = 0): Promise<{ answer: Answer; buffers: DataView[] }> {
    return new Promise((resolve, reject) => {
      let timer = 0;
      const id = this.send(kind, more, (answer, buffers) => {
        this.waiting.delete(id);
        clearInterval(timer);
        if (answer.kind === "error") reject(new Error(String(answer["message"])));
        else resolve({ answer, buffers });
      });
      // A kernel that was restarted, or a message that came before the model was ready, answers when asked again.
      if (repeat) timer = setInterval(() => this.model.send({ id, kind, ...more }), repeat);
      signal?.addEventListener("abort", () => {
        if (!this.waiting.delete(id)) return;
        clearInterval(timer);
        this.model.send({ id, kind: "cancel" });
        reject(new DOMException("given up", "AbortError"));
      });
    });
  }

  async hello(): Promise<Welcome> {
    return (await this.ask("hello", {}, undefined, 3000)).answer as unknown as Welcome;
  }

  /** What a view needs; `have` is the key of the reference that the page holds. */
  async prepare(request: Request, have: string, signal: AbortSignal): Promise<{ plan: Plan; change: Change | null; serves: Serves; text: string }> {
    const { answer, buffers } = await this.ask("prepare", { view: request, have }, signal);
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

  /** A picture at 1/coarse of the size, computed by the kernel's GPU. */
  async draw(request: Request, coarse: number, signal: AbortSignal): Promise<{ band: Band; text: string; method: string }> {
    const { answer, buffers } = await this.ask("draw", { view: request, coarse }, signal);
    const [iterations, smooth] = [tight(buffers[0]), tight(buffers[1])];
    if (!iterations || !smooth) throw new Error("the kernel sent no picture");
    return {
      band: { first: 0, iterations: new Uint32Array(iterations), smooth: new Float32Array(smooth) },
      text: String(answer["text"]),
      method: String(answer["method"]),
    };
  }
}
