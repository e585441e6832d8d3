/** A shader's picture as bytes: drawn in bands that leave the GPU to others between them, and read back. */
import { EngineError, limitError } from "../../errors.js";
import type { Gpu } from "../../gpu.js";
import type { ViewFrame } from "../../protocol.gen.js";
import type { Bytes } from "../../session.js";
import { LABEL, type Painter, type Values } from "./painter.js";

const FORMAT = "rgba8unorm";
const ROW_ALIGN = 256;
/** What a band should take; a processor that draws cannot do anything else meanwhile. */
const BAND_MS = 50;
/** Pixels of the first band of a shader that was never drawn. */
const FIRST_PIXELS = { cpu: 1 << 14, gpu: 1 << 21 };

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Rows of RGBA, without gaps. */
  readonly bytes: Bytes;
  /** Pixels that were NaN, and are magenta. */
  readonly nan: number;
  /** How long the drawing took. */
  readonly ms: number;
}

/** Milliseconds a pixel of each painter, as last measured. */
const costs = new WeakMap<Painter, number>();

/** What a picture of so many pixels is expected to take; undefined before the first one. */
export function expectedMs(painter: Painter, pixels: number): number | undefined {
  const cost = costs.get(painter);
  return cost === undefined ? undefined : cost * pixels;
}

/** The size of a picture whose pixels are `coarse` pixels wide and high. */
export function coarseSize([width, height]: readonly [number, number], coarse: number): [number, number] {
  return [Math.max(1, Math.ceil(width / coarse)), Math.max(1, Math.ceil(height / coarse))];
}

/**
 * Draw a picture at 1/coarse of its size.
 *
 * @param drawn called when a band is done, with the rows that are
 * @returns undefined when `signal` was aborted
 */
export async function drawPixels(
  gpu: Gpu,
  painter: Painter,
  frame: ViewFrame,
  values: Values,
  coarse: number,
  signal: AbortSignal,
  drawn: (rows: number, height: number) => void = () => undefined,
): Promise<Pixels | undefined> {
  const { device, recorder } = gpu;
  const [width, height] = coarseSize(frame.size, coarse);
  const bytesPerRow = Math.ceil((4 * width) / ROW_ALIGN) * ROW_ALIGN;
  const sizeBytes = bytesPerRow * height;
  if (sizeBytes + 4 > device.limits.maxBufferSize)
    throw limitError(`reading a picture of ${width} x ${height} pixels`, "maxBufferSize", sizeBytes + 4, device.limits.maxBufferSize);
  await painter.prepare(FORMAT);
  const begun = performance.now();
  const staging = device.createBuffer({ label: LABEL, size: sizeBytes + 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  try {
    let cost = costs.get(painter);
    for (let row = 0; row < height; ) {
      const room = cost === undefined ? FIRST_PIXELS[gpu.info.is_fallback ? "cpu" : "gpu"] : BAND_MS / Math.max(cost, 1e-9);
      const [from, to] = [row, Math.min(height, row + Math.max(1, Math.floor(room / width)))];
      const start = performance.now();
      const error = recorder.submit(LABEL, (encoder) => {
        if (from === 0) painter.begin(encoder, frame, values, [frame.size[0] / width, frame.size[1] / height]);
        const texture = painter.targetOf(width, height);
        painter.encode(encoder, texture.createView(), FORMAT, [from, to], width);
        if (to < height) return;
        encoder.copyTextureToBuffer({ texture }, { buffer: staging, bytesPerRow, rowsPerImage: height }, [width, height]);
        painter.copyCount(encoder, staging, sizeBytes);
      });
      await device.queue.onSubmittedWorkDone();
      const refused = await error;
      if (refused) throw new EngineError(refused instanceof GPUOutOfMemoryError ? "out-of-memory" : "validation", `drawing the picture: ${refused.message}`);
      cost = (performance.now() - start) / ((to - from) * width);
      costs.set(painter, cost);
      if (signal.aborted) return undefined;
      drawn(to, height);
      row = to;
    }
    await staging.mapAsync(GPUMapMode.READ);
    const mapped = new Uint8Array(staging.getMappedRange());
    const bytes = new Uint8Array(4 * width * height);
    for (let row = 0; row < height; row++) bytes.set(mapped.subarray(row * bytesPerRow, row * bytesPerRow + 4 * width), 4 * row * width);
    const nan = new DataView(mapped.buffer, mapped.byteOffset + sizeBytes, 4).getUint32(0, true);
    return { width, height, bytes, nan, ms: performance.now() - begun };
  } finally {
    staging.destroy();
  }
}
