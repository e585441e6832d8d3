/** The golden frames of `tests/protocol/vectors`, which Python reads and writes too. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "../src/transports/frame.js";

interface Vector {
  readonly message: object;
  readonly buffers: readonly string[];
  readonly exact: boolean;
}

const folder = resolve(dirname(fileURLToPath(import.meta.url)), "../../tests/protocol/vectors");
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -5));
const whole = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("golden frames", () => {
  it("are there", () => expect(names.length).toBeGreaterThan(15));

  it.each(names)("%s", (name) => {
    const golden = JSON.parse(readFileSync(resolve(folder, `${name}.json`), "utf8")) as Vector;
    const frame = new Uint8Array(readFileSync(resolve(folder, `${name}.bin`)));
    const { message, buffers } = decodeFrame(whole(frame));
    expect(message).toEqual(golden.message);
    expect(buffers.map(hex)).toEqual(golden.buffers);
    const again = encodeFrame(
      golden.message,
      golden.buffers.map((text) => whole(Buffer.from(text, "hex"))),
    );
    const reread = decodeFrame(again);
    expect(reread.message).toEqual(golden.message);
    expect(reread.buffers.map(hex)).toEqual(golden.buffers);
    if (golden.exact) expect(hex(new Uint8Array(again))).toBe(hex(frame));
  });
});
