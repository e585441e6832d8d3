/** What is shown first: a sketch of the view, or, where none can be made yet, of what is around it. */

import { makeFrame, type Picture } from "./compositor.js";
import { CpuRenderer, canSketch, UNKNOWN } from "./cpu.js";
import { log2Wide, wide } from "./decimal.js";
import type { Wanted } from "./references.js";
import type { Plan } from "./renderer.js";
import { automaticIterations } from "./state.js";
import type { StatusLine } from "./status.js";

/** Width, as a power of ten, of what stands in for a place that nothing can be computed of yet: no noise to the eye, at a few pixels. */
const STAND_IN = -4;
/** Milliseconds of a sketch while the view is moved, and else. */
const MOVING_MS = 10;
const RESTING_MS = 30;
/** No sketch: larger than any pixel of one. */
const NONE = 64;

export class Preview {
  private readonly sketcher = new CpuRenderer();

  constructor(
    private readonly picture: Picture,
    private readonly status: StatusLine,
  ) {}

  /** Draw one and give the size of its pixels; `shown` is called when the first of them are on their way to the screen. */
  async draw(wanted: Wanted, plan: Plan | null, moving: boolean, signal: AbortSignal, shown: () => void): Promise<number> {
    if (canSketch(wanted, plan)) {
      const grain = await this.sketch(wanted, wanted, plan, moving ? MOVING_MS : RESTING_MS, signal, shown);
      if (grain < NONE) this.say(`1/${grain}`, `1/${grain} size, by the page's processor…`);
      if (grain < NONE || signal.aborted) return grain;
    }
    if (this.picture.covers()) return NONE;
    const around = wide(4, STAND_IN);
    const what = { ...wanted, view: { ...wanted.view, width: around }, maxIter: automaticIterations(around) };
    const grain = await this.sketch(wanted, what, plan, RESTING_MS, signal, shown);
    if (grain < NONE) this.say("stand-in", `around the place, 4e${STAND_IN} wide, until its orbit is there…`);
    return NONE;
  }

  private say(fact: string, text: string): void {
    this.status.fact("sketch", fact);
    this.status.say(text);
  }

  /** Show what is computed of a view in the place of the wanted one; `NONE` when it was given up, or no pixel escaped in the time that there was. */
  private async sketch(wanted: Wanted, what: Wanted, plan: Plan | null, milliseconds: number, signal: AbortSignal, shown: () => void): Promise<number> {
    const source = log2Wide(what.view.width) > -36 ? null : plan;
    const how = this.sketcher.grain(what, source, milliseconds);
    const { grain } = how;
    const frame = makeFrame(wanted.view, [Math.max(1, Math.ceil(wanted.size[0] / grain)), Math.max(1, Math.ceil(wanted.size[1] / grain))]);
    frame.stale = what !== wanted;
    frame.smooth.fill(UNKNOWN);
    let known = false;
    for await (const { first, smooth } of this.sketcher.run(what, source, how, signal)) {
      if (signal.aborted) return NONE;
      frame.smooth.set(smooth, first);
      // What is there is better than a picture of nothing, and than colours that begin at the floor of nothing.
      known ||= smooth.some((value) => value !== UNKNOWN);
      if (!known) continue;
      shown();
      this.picture.took(frame, first, first + smooth.length, grain);
    }
    if (signal.aborted || !known) return NONE;
    this.picture.finish(frame, grain);
    return grain;
  }
}
