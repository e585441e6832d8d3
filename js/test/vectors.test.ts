/** The golden frames of `tests/protocol/vectors`, which Python reads and writes too. */
import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "../src/transports/frame.js";

interface Vector {
  readonly message: object;
  readonly buffers: readonly string[];
  readonly frame: string;
  readonly exact: boolean;
}

const vectors = import.meta.glob<Vector>("../../tests/protocol/vectors/*.json", { eager: true, import: "default" });
const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hex = (data: Uint8Array): string => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

describe("golden frames", () => {
  it("are there", () => expect(Object.keys(vectors).length).toBeGreaterThan(15));

  for (const [path, golden] of Object.entries(vectors)) {
    it(path.split("/").at(-1) ?? path, () => {
      const { message, buffers } = decodeFrame(bytes(golden.frame).buffer);
      expect(message).toEqual(golden.message);
      expect(buffers.map(hex)).toEqual(golden.buffers);
      const again = encodeFrame(golden.message, golden.buffers.map(bytes));
      const reread = decodeFrame(again);
      expect(reread.message).toEqual(golden.message);
      expect(reread.buffers.map(hex)).toEqual(golden.buffers);
      if (golden.exact) expect(hex(new Uint8Array(again))).toBe(golden.frame);
    });
  }
});
