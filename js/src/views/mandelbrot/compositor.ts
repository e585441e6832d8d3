/** Pictures on their way to the screen, each where it lies in the present view, the finer above the coarser. */
import { type Coloring, colorize, floorOf, lookupTable, Ranks } from "./colors.js";
import { ratio } from "./decimal.js";
import { placed, type View } from "./state.js";

export interface Frame {
  readonly view: View;
  readonly canvas: HTMLCanvasElement;
  readonly size: readonly [number, number];
  readonly smooth: Float32Array;
  readonly pixels: Uint32Array<ArrayBuffer>;
  /** Pixels that are there, row by row. */
  done: number;
  /** It shows another map, or other counts: better than nothing only. */
  stale: boolean;
}

/** Floors this near, in octaves, are left alone while a picture is coarse: so that colours do not flicker. */
const CALM = 1;
const WIDER = 3;
/** Beyond this a picture is magnified to one of its pixels. */
const MOST_MAGNIFIED = 1e4;
const MOST_BACKDROPS = 5;

export function makeFrame(view: View, size: readonly [number, number]): Frame {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const count = size[0] * size[1];
  return { view, canvas, size, smooth: new Float32Array(count).fill(Number.NaN), pixels: new Uint32Array(count), done: 0, stale: false };
}

export class Picture {
  table = lookupTable(["#000000", "#ffffff"]);
  /** The best that is whole. */
  private base: Frame | null = null;
  /** A newer one that is whole and coarser. */
  private under: Frame | null = null;
  private fresh: Frame | null = null;
  /** Whole ones of wider views, the widest first: for who goes back out. With the colours that they were painted in. */
  private backdrops: { frame: Frame; colors: number }[] = [];
  private colors = 0;
  private ranks: Ranks | null = null;
  private floor: number | null = null;
  private pending = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly coloring: () => Coloring,
    private readonly view: () => View,
    private readonly drawn: () => void,
  ) {}

  /** What is shown is of another map now. */
  forget(): void {
    for (const frame of [this.base, this.under, this.fresh]) if (frame) frame.stale = true;
    this.backdrops = [];
  }

  /** Whether anything that is shown lies under the middle of the view and is neither a speck nor one pixel. */
  covers(): boolean {
    return [this.base, this.under].some((frame) => {
      if (!frame || frame.stale) return false;
      const at = placed(frame.view, this.view(), this.canvas.width);
      const half = (this.canvas.width * at.scale) / 2;
      return at.scale > 0.2 && at.scale < 200 && Math.abs(at.x) < half && Math.abs(at.y) < half;
    });
  }

  /** Pixels [from, to) of a frame have come. */
  took(frame: Frame, from: number, to: number, coarse: number): void {
    // What is shown beside it changes its colours with it, or there would be a seam until the last pass.
    if (from === 0 && coarse > 1 && this.follow(floorOf(frame.smooth.subarray(from, to)), coarse) && !this.coloring().histogram) this.recolor();
    this.paint(frame, from, to);
    this.fresh = frame;
    this.draw();
  }

  /** Pixels of a whole frame, from one to before another, may have changed. */
  changed(frame: Frame, from: number, to: number): void {
    const columns = frame.size[0];
    this.paint(frame, Math.floor(from / columns) * columns, Math.min(frame.smooth.length, Math.ceil(to / columns) * columns));
    this.draw();
  }

  /** A frame is whole. The last of a view takes the place of all; a coarse one waits under what is finer. */
  finish(frame: Frame, coarse: number): void {
    if (coarse === 1 || !this.base || this.base.stale || this.grain(this.base) >= this.grain(frame)) {
      this.keep(this.base, frame);
      this.base = frame;
      this.under = null;
    } else {
      this.under = frame;
    }
    this.fresh = null;
    const moved = this.follow(floorOf(frame.smooth), coarse);
    if (this.coloring().histogram) {
      const now = Ranks.of(frame.smooth);
      this.ranks = this.ranks ? this.ranks.toward(now, 0.35) : now;
      this.recolor();
    } else if (moved) {
      this.recolor();
    } else {
      this.draw();
    }
  }

  /** Keep what is replaced by a much narrower one; forget what is no wider than the new one. */
  private keep(old: Frame | null, now: Frame): void {
    this.backdrops = this.backdrops.filter(({ frame }) => ratio(frame.view.width, now.view.width) > WIDER);
    if (old && !old.stale && ratio(old.view.width, now.view.width) > WIDER) this.backdrops.push({ frame: old, colors: this.colors });
    if (this.backdrops.length > MOST_BACKDROPS) this.backdrops.splice(1, 1);
  }

  /** Whether a frame fills the canvas. */
  private fills(frame: Frame | null): boolean {
    if (!frame || frame.stale) return false;
    const { width, height } = this.canvas;
    const at = placed(frame.view, this.view(), width);
    const wide = width * at.scale;
    return Math.abs(at.x) <= (wide - width) / 2 + 1 && Math.abs(at.y) <= ((wide * frame.size[1]) / frame.size[0] - height) / 2 + 1;
  }

  /** Let the colours begin at a new floor; true when they moved. */
  private follow(floor: number, coarse: number): boolean {
    const near = this.floor !== null && Math.abs(Math.log2((floor + 8) / (this.floor + 8))) < CALM;
    if (floor === this.floor || (coarse > 1 && near)) return false;
    this.floor = floor;
    return true;
  }

  /** Size of a frame's pixels on the screen. */
  private grain(frame: Frame): number {
    return (placed(frame.view, this.view(), this.canvas.width).scale * this.canvas.width) / frame.size[0];
  }

  recolor(): void {
    this.colors++;
    if (!this.coloring().histogram) this.ranks = null;
    else if (!this.ranks && this.base) this.ranks = Ranks.of(this.base.smooth);
    for (const frame of [this.under, this.base]) if (frame) this.paint(frame, 0, frame.smooth.length);
    if (this.fresh) this.paint(this.fresh, 0, this.fresh.done);
    this.draw();
  }

  private paint(frame: Frame, from: number, to: number): void {
    const columns = frame.size[0];
    colorize(frame.smooth.subarray(from, to), frame.pixels.subarray(from, to), this.table, this.coloring(), this.floor ?? 0, this.ranks);
    const [top, bottom] = [Math.floor(from / columns), Math.ceil(to / columns)];
    const bytes = new Uint8ClampedArray(frame.pixels.buffer, top * columns * 4, (bottom - top) * columns * 4);
    frame.canvas.getContext("2d")?.putImageData(new ImageData(bytes, columns, bottom - top), 0, top);
    frame.done = Math.max(frame.done, to);
  }

  draw(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const context = this.canvas.getContext("2d");
      if (!context) return;
      const { width, height } = this.canvas;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = "#000";
      context.fillRect(0, 0, width, height);
      if (!this.fills(this.base) && !this.fills(this.under)) {
        for (const drop of this.backdrops) {
          if (drop.colors !== this.colors) this.paint(drop.frame, 0, drop.frame.smooth.length);
          drop.colors = this.colors;
          this.place(context, drop.frame, width, height);
        }
      }
      const frames = [this.base, this.under, this.fresh].filter((frame) => frame !== null);
      // One colour below all, then what stands in, then what is of this place.
      const rank = (frame: Frame): number => (this.isOnePixel(frame) ? Number.POSITIVE_INFINITY : frame.stale ? Number.MAX_VALUE : this.grain(frame));
      for (const frame of frames.sort((a, b) => rank(b) - rank(a) || 0)) this.place(context, frame, width, height);
      this.drawn();
    });
  }

  /** Whether a frame is so much wider than the view that one of its pixels fills it. */
  private isOnePixel(frame: Frame): boolean {
    return ratio(frame.view.width, this.view().width) > MOST_MAGNIFIED;
  }

  /** The pixel of a frame that lies under the middle, over all the canvas: somebody who is fast is not left with nothing. */
  private fill(context: CanvasRenderingContext2D, frame: Frame, width: number, height: number): void {
    const [columns, rows] = frame.size;
    const at = placed(this.view(), frame.view, columns);
    const [column, row] = [Math.floor(columns / 2 + at.x), Math.floor(rows / 2 + at.y)];
    if (column < 0 || column >= columns || row < 0 || row >= Math.floor(frame.done / columns)) return;
    context.drawImage(frame.canvas, column, row, 1, 1, 0, 0, width, height);
  }

  private place(context: CanvasRenderingContext2D, frame: Frame, width: number, height: number): void {
    if (this.isOnePixel(frame)) {
      this.fill(context, frame, width, height);
      return;
    }
    const at = placed(frame.view, this.view(), width);
    if (!Number.isFinite(at.x + at.y + at.scale) || at.scale < 1e-4) return;
    const [columns, rows] = frame.size;
    const there = Math.floor(frame.done / columns);
    if (there === 0) return;
    const wide = width * at.scale;
    const high = Math.max(1, (wide * rows) / columns);
    // Small squares are a picture that grows sharp; large ones, of a sketch, only noise.
    const grain = (at.scale * width) / columns;
    context.imageSmoothingEnabled = grain < 3 || grain > 10;
    context.drawImage(frame.canvas, 0, 0, columns, there, width / 2 + at.x - wide / 2, height / 2 + at.y - high / 2, wide, (high * there) / rows);
  }
}
