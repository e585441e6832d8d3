import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Frame, makeFrame, Picture } from "../src/views/mandelbrot/compositor.js";
import { CpuRenderer } from "../src/views/mandelbrot/cpu.js";
import { Preview } from "../src/views/mandelbrot/preview.js";
import { dragged, HOME, type View, viewOf, zoomed } from "../src/views/mandelbrot/state.js";
import type { StatusLine } from "../src/views/mandelbrot/status.js";

const SIZE: [number, number] = [80, 60];
const COLORS = { colors: [], scale: "log", cycle: 1, offset: 0, histogram: false } as const;

/** What was drawn on a canvas since it was last asked. */
class FakeCanvas {
  width = SIZE[0];
  height = SIZE[1];
  drawn: { from: unknown; x: number; y: number; wide: number; high: number }[] = [];
  /** The part of it that the last one was of. */
  pixel: number[] = [];
  getContext(): object {
    return {
      setTransform() {},
      fillRect: () => {
        this.drawn = [];
      },
      putImageData() {},
      drawImage: (from: unknown, ...at: number[]) => {
        const [x = 0, y = 0, wide = 0, high = 0] = at.slice(-4);
        this.drawn.push({ from, x, y, wide, high });
        this.pixel = at.slice(0, -4);
      },
    };
  }
}

describe("pictures on their way to the screen", () => {
  let view: View;
  let canvas: FakeCanvas;
  let picture: Picture;

  beforeEach(() => {
    vi.stubGlobal("document", { createElement: () => new FakeCanvas() });
    vi.stubGlobal("ImageData", class {});
    vi.stubGlobal("requestAnimationFrame", (act: () => void) => act());
    view = HOME;
    canvas = new FakeCanvas();
    picture = new Picture(
      canvas as unknown as HTMLCanvasElement,
      () => COLORS,
      () => view,
      () => undefined,
    );
  });

  function whole(at: View): Frame {
    const frame = makeFrame(at, SIZE);
    frame.smooth.fill(5);
    picture.took(frame, 0, frame.smooth.length, 1);
    picture.finish(frame, 1);
    return frame;
  }

  const filled = (): boolean => canvas.drawn.some(({ x, y, wide, high }) => x <= 0.5 && y <= 0.5 && x + wide >= SIZE[0] - 0.5 && y + high >= SIZE[1] - 0.5);

  it("are filled from wider ones when the view goes back out", () => {
    const steps = [HOME];
    for (let k = 0; k < 9; k++) steps.push(zoomed(steps[k] ?? HOME, 0.3, 10, 5, SIZE[0]));
    for (const step of steps) {
      view = step;
      whole(step);
      expect(filled()).toBe(true);
    }
    for (const step of steps.reverse()) {
      view = step;
      picture.draw();
      expect(filled()).toBe(true);
    }
  });

  it("lie where they belong while the view is dragged", () => {
    const frame = whole(HOME);
    view = dragged(HOME, 12, -6, SIZE[0]);
    picture.draw();
    expect(canvas.drawn).toHaveLength(1);
    expect(canvas.drawn[0]?.from).toBe(frame.canvas);
    expect(canvas.drawn[0]?.x).toBeCloseTo(12, 9);
    expect(canvas.drawn[0]?.y).toBeCloseTo(-6, 9);
    expect(picture.covers()).toBe(true);
    view = zoomed(HOME, 1e-6, 0, 0, SIZE[0]);
    expect(picture.covers(), "one pixel is no picture").toBe(false);
  });

  it("leave the colour of the pixel under the middle, however far somebody has gone in since", () => {
    const frame = whole(HOME);
    for (const factor of [1e-5, 1e-200, 1e-200]) {
      view = zoomed(view, factor, 12.5, -5.5, SIZE[0]);
      picture.draw();
      expect(canvas.drawn).toEqual([{ from: frame.canvas, x: 0, y: 0, wide: SIZE[0], high: SIZE[1] }]);
      expect(canvas.pixel).toEqual([52, 24, 1, 1]);
    }
    const stand = makeFrame(view, SIZE);
    stand.stale = true;
    stand.smooth.fill(7);
    picture.took(stand, 0, stand.smooth.length, 8);
    expect(canvas.drawn.at(-1)?.from, "what stands in lies above it").toBe(stand.canvas);
  });

  it("that have shrunk to a speck are no picture", () => {
    whole(HOME);
    view = zoomed(HOME, 8, 0, 0, SIZE[0]);
    expect(picture.covers()).toBe(false);
  });

  describe("before any of the present view", () => {
    const INSIDE = viewOf("-0.1225", "0.7449", "1e-6");
    const said: string[] = [];
    const wanted = { view: INSIDE, size: SIZE, maxIter: 1e8, power: 2, julia: null };
    const never = new AbortController().signal;
    const preview = (): Preview =>
      new Preview(picture, { fact: (_: string, value: string) => said.push(value), say: () => undefined } as unknown as StatusLine);

    it("keep what is there when a sketch tells of no pixel whether it escapes", async () => {
      const before = whole(INSIDE);
      view = zoomed(INSIDE, 0.5, 0, 0, SIZE[0]);
      const shown = vi.fn();
      expect(await preview().draw({ ...wanted, view }, null, true, never, shown)).toBe(64);
      expect(shown).not.toHaveBeenCalled();
      picture.draw();
      expect(canvas.drawn.map(({ from }) => from)).toEqual([before.canvas]);
    });

    it("show what is around it when there is nothing else", async () => {
      said.length = 0;
      view = viewOf("-0.743643887037158", "0.131825904205312", "1e-11");
      const deep = { ...wanted, view, maxIter: 2e9 };
      whole(HOME);
      // So many steps for a pixel that none is known to the end.
      vi.spyOn(CpuRenderer.prototype, "grain").mockReturnValueOnce({ grain: 32, limit: 10 });
      expect(await preview().draw(deep, null, true, never, () => undefined)).toBe(64);
      expect(said).toEqual(["stand-in"]);
      picture.draw();
      expect(filled()).toBe(true);
    });
  });

  it("have the colours of one floor while the next one comes", () => {
    const before = whole(HOME);
    view = zoomed(HOME, 0.5, 0, 0, SIZE[0]);
    const next = makeFrame(view, [20, 15]);
    next.smooth.fill(500);
    before.smooth[0] = 600;
    next.smooth[5] = 600;
    picture.took(next, 0, 100, 4);
    expect(next.pixels[5]).not.toBe(next.pixels[0]);
    expect(before.pixels[0], "600 in the frame that is still there").toBe(next.pixels[5]);
  });

  it("of another map are no backdrops", () => {
    whole(HOME);
    view = zoomed(HOME, 0.1, 0, 0, SIZE[0]);
    whole(view);
    picture.forget();
    view = HOME;
    picture.draw();
    expect(filled()).toBe(false);
  });
});
