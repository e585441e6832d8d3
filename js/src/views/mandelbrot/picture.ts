/** Pictures on their way to the screen: the newest one, and under it the one before, both where they lie in the present view. */
import { type Coloring, colorize, floorOf, lookupTable, Ranks } from "./colors.js";
import { placed, type View } from "./state.js";

export interface Frame {
  readonly view: View;
  readonly canvas: HTMLCanvasElement;
  readonly size: readonly [number, number];
  readonly smooth: Float32Array;
  readonly pixels: Uint32Array<ArrayBuffer>;
  /** Pixels that are there, row by row. */
  done: number;
}

export function makeFrame(view: View, size: readonly [number, number]): Frame {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const count = size[0] * size[1];
  return { view, canvas, size, smooth: new Float32Array(count).fill(Number.NaN), pixels: new Uint32Array(count), done: 0 };
}

export class Picture {
  table = lookupTable(["#000000", "#ffffff"]);
  private base: Frame | null = null;
  private fresh: Frame | null = null;
  private ranks: Ranks | null = null;
  private floor: number | null = null;
  private pending = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly coloring: () => Coloring,
    private readonly view: () => View,
    private readonly drawn: () => void,
  ) {}

  /** Pixels [from, to) of a frame have come. */
  took(frame: Frame, from: number, to: number, coarse: number): void {
    if (from === 0 && (this.floor === null || coarse >= 4)) this.floor = floorOf(frame.smooth.subarray(from, to));
    this.paint(frame, from, to);
    this.fresh = frame;
    this.draw();
  }

  /** A frame is whole: let the colours follow what it shows. */
  finish(frame: Frame): void {
    this.base = frame;
    this.fresh = null;
    const floor = floorOf(frame.smooth);
    const moved = floor !== this.floor;
    this.floor = floor;
    if (this.coloring().histogram) {
      const now = Ranks.of(frame.smooth);
      this.ranks = this.ranks ? this.ranks.toward(now, 0.35) : now;
    } else {
      this.ranks = null;
      if (!moved) {
        this.draw();
        return;
      }
    }
    this.paint(frame, 0, frame.smooth.length);
    this.draw();
  }

  recolor(): void {
    if (!this.coloring().histogram) this.ranks = null;
    else if (!this.ranks && this.base) this.ranks = Ranks.of(this.base.smooth);
    if (this.base) this.paint(this.base, 0, this.base.smooth.length);
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
      for (const frame of [this.base, this.fresh]) if (frame) this.place(context, frame, width, height);
      this.drawn();
    });
  }

  private place(context: CanvasRenderingContext2D, frame: Frame, width: number, height: number): void {
    const at = placed(frame.view, this.view(), width);
    if (!Number.isFinite(at.x + at.y + at.scale) || at.scale > 1e4 || at.scale < 1e-4) return;
    const [columns, rows] = frame.size;
    const there = Math.floor(frame.done / columns);
    if (there === 0) return;
    const wide = width * at.scale;
    const high = Math.max(1, (wide * rows) / columns);
    context.imageSmoothingEnabled = (at.scale * width) / columns < 3;
    context.drawImage(frame.canvas, 0, 0, columns, there, width / 2 + at.x - wide / 2, height / 2 + at.y - high / 2, wide, (high * there) / rows);
  }
}
