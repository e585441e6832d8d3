/** Pictures for Python: the service `view.draw`. */
import type { Gpu } from "../../gpu.js";
import { CHUNK_BYTES } from "../../protocol.gen.js";
import { registerService } from "../../services.js";
import { makeSendable } from "../../transports/frame.js";
import type { Inputs } from "./compose.js";
import { Painter } from "./painter.js";
import { drawPixels } from "./pixels.js";

const MOST_KEPT = 8;

/** Painters of a device, by source; the last used last. */
const kept = new WeakMap<Gpu, Map<string, Promise<Painter>>>();

function painterOf(gpu: Gpu, source: string, inputs: Inputs): Promise<Painter> {
  const painters = kept.get(gpu) ?? new Map<string, Promise<Painter>>();
  kept.set(gpu, painters);
  const kinds = Object.entries(inputs).map(([name, { kind, type }]) => [name, kind, type]);
  const key = JSON.stringify([source, kinds]);
  const painter = painters.get(key) ?? Painter.build(gpu, source, inputs);
  painters.delete(key);
  painters.set(key, painter);
  painter.catch(() => painters.delete(key));
  for (const [oldest, old] of painters) {
    if (painters.size <= MOST_KEPT) break;
    painters.delete(oldest);
    void old.then((unused) => unused.destroy());
  }
  return painter;
}

/** Register the service. */
export function registerDrawing(): void {
  registerService("view.draw", async (engine, { source, inputs, values, frame, coarse }, context) => {
    const gpu = await engine.device();
    const painter = await painterOf(gpu, source, inputs);
    painter.inputs = inputs;
    const pixels = await drawPixels(gpu, painter, frame, values, coarse, context.signal, (done, of) => context.progress({ done, of }));
    if (!pixels) throw new DOMException("given up", "AbortError");
    const { bytes, nan, width, height } = pixels;
    for (let offset = 0; offset < bytes.byteLength; offset += CHUNK_BYTES) {
      const part = bytes.subarray(offset, offset + CHUNK_BYTES);
      const sent = makeSendable(part.byteLength);
      sent.set(part);
      if (!(await context.sendChunk(0, offset, bytes.byteLength, sent))) break;
    }
    return { nan, width, height };
  });
}
