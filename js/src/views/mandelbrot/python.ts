/** The talk with Python: shaders, reference orbits, and whole pictures where the page has no GPU of its own to use. */
import type { AnyModel } from "@anywidget/types";
import type { ExplorerAnswer, ExplorerDrawn, ExplorerQuestion, ExplorerView, ExplorerWelcome } from "../../protocol.gen.js";
import type { Channel } from "../../transports/link.js";
import { Questions } from "../questions.js";
import { parseFixed } from "./decimal.js";
import type { Change, Serves } from "./references.js";
import type { Fine } from "./refine.js";
import type { Band, Plan } from "./renderer.js";

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

/** A picture that the kernel has computed. */
export interface Drawn extends Pick<ExplorerDrawn, "text" | "method" | "refined"> {
  readonly band: Band;
}

const HELLO_MS = 3000;

export class PythonLink {
  private readonly questions: Questions<ExplorerQuestion, ExplorerAnswer>;

  constructor(channel: Channel) {
    this.questions = new Questions(channel, GONE);
  }

  close(): void {
    this.questions.close();
  }

  /** Have the kernel keep a picture of the view in the notebook's file. */
  keep(png: ArrayBuffer): void {
    this.questions.tell({ kind: "picture" }, png);
  }

  async hello(): Promise<ExplorerWelcome> {
    return (await this.questions.ask({ kind: "hello" }, "welcome", { repeatMs: HELLO_MS })).answer;
  }

  /** What a view needs; `have` is the key of the reference that the page holds. `exact`: about the view's own centre, as `render` in Python has it. */
  async prepare(view: ExplorerView, have: string, signal: AbortSignal, exact = false): Promise<Prepared> {
    const { answer, buffers } = await this.questions.ask({ kind: "prepare", view, have, exact }, "prepared", { signal });
    // Three parts, or none, or only what differs from the parts that the page has.
    const [a, b, c] = buffers;
    const whole = a && b && c ? { reference: a, table: b, orbit: c } : { reference: null, table: null, orbit: null };
    const change = a && b && !c ? { limits: new Float32Array(a), radii: new Uint32Array(b) } : null;
    const { point, digits, ...serves } = answer.serves;
    const [re, im] = point;
    return {
      plan: { ...answer.plan, ...whole },
      change,
      serves: { ...serves, point: { re: parseFixed(re, digits), im: parseFixed(im, digits), digits } },
      text: answer.text,
    };
  }

  /** What refine.wgsl needs beside the exact plan of a view; `held` is what the page has of the kind. */
  async fine(view: ExplorerView, held: Fine | null, signal: AbortSignal): Promise<Fine> {
    const { answer, buffers } = await this.questions.ask({ kind: "refine", view, have: held?.key ?? "" }, "fine", { signal });
    const [pixels, smooth, reference = held?.reference, table = held?.table] = buffers;
    if (!pixels || !smooth || !reference || !table) throw new Error("the kernel sent no reference to refine with");
    return { ...answer.fine, reference, table, exact: { pixels: new Uint32Array(pixels), smooth: new Float32Array(smooth) } };
  }

  /** A picture at 1/coarse of the size, computed by the kernel's GPU. */
  async draw(view: ExplorerView, coarse: number, signal: AbortSignal): Promise<Drawn> {
    const { answer, buffers } = await this.questions.ask({ kind: "draw", view, coarse }, "drawn", { signal });
    const [iterations, smooth] = buffers;
    if (!iterations || !smooth) throw new Error("the kernel sent no picture");
    const { text, method, refined } = answer;
    return { band: { first: 0, iterations: new Uint32Array(iterations), smooth: new Float32Array(smooth) }, text, method, refined };
  }
}
