/** A picture at rest: about its own centre, and with the pixels that f32 may have wrong done again, it has the bits of `render` in Python. */

import type { ExplorerView } from "../../protocol.gen.js";
import type { Frame } from "./compositor.js";
import type { PythonLink } from "./python.js";
import type { References, Wanted } from "./references.js";
import { edges, type Fine } from "./refine.js";
import type { Plan, Renderer } from "./renderer.js";

/** What the kernel sends for it. */
export interface Exact {
  readonly plan: Plan;
  readonly text: string;
  readonly fine: Fine;
}

/** Whether two plans give the same bits. */
export const alike = (a: Plan, b: Plan): boolean =>
  a.key === b.key && a.step === b.step && a.scale === b.scale && a.center[0] === b.center[0] && a.center[1] === b.center[1] && a.max_iter === b.max_iter;

export class Rest {
  private fine: Fine | null = null;

  constructor(
    private readonly python: PythonLink,
    private readonly references: References,
  ) {}

  async ask(wanted: Wanted, request: ExplorerView, signal: AbortSignal): Promise<Exact> {
    const [{ plan, serves, change, text }, fine] = await Promise.all([
      this.python.prepare(request, this.references.key, signal, true),
      this.python.fine(request, this.fine, signal),
    ]);
    this.fine = fine;
    return { plan: this.references.take(wanted, plan, serves, change), text, fine };
  }

  /** Do again what differs from a neighbour in a frame; hands out which part of the frame changed, and how much is done. */
  async *refine(
    renderer: Renderer,
    { plan, fine }: Exact,
    frame: Frame,
    signal: AbortSignal,
  ): AsyncGenerator<{ from: number; to: number; done: number; count: number }, void, void> {
    const pixels = edges(frame.smooth, frame.size[0]);
    for await (const { first, smooth } of renderer.refine(plan, fine, pixels, signal)) {
      if (signal.aborted) return;
      const band = pixels.subarray(first, first + smooth.length);
      band.forEach((pixel, i) => {
        frame.smooth[pixel] = smooth[i] as number;
      });
      yield { from: band[0] ?? 0, to: (band.at(-1) ?? 0) + 1, done: (first + band.length) / pixels.length, count: first + band.length };
    }
    const { exact } = fine;
    exact.pixels.forEach((pixel, i) => {
      frame.smooth[pixel] = exact.smooth[i] as number;
    });
    if (exact.pixels.length > 0) yield { from: exact.pixels[0] as number, to: (exact.pixels.at(-1) as number) + 1, done: 1, count: pixels.length };
  }
}
