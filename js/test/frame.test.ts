import { expect, test } from "vitest";
import golden from "../../tests/protocol/frames.json";
import { decodeFrame, encodeFrame, makeSendable } from "../src/transports/frame.js";

const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(values);

test("a frame holds a message and its buffers, each at a multiple of 8", () => {
  const frame = encodeFrame({ kind: "x", text: "Ω" }, [bytes(1, 2, 3), bytes(), bytes(4)]);
  expect(frame.byteLength % 8).toBe(0);
  const { message, buffers } = decodeFrame(frame);
  expect(message).toEqual({ kind: "x", text: "Ω" });
  expect(buffers.map((buffer) => [...buffer])).toEqual([[1, 2, 3], [], [4]]);
  expect(buffers.map((buffer) => buffer.byteOffset % 8)).toEqual([0, 0, 0]);
});

test("the bytes are those that Python writes", () => {
  const header = '{"message":{"kind":"pong","instance":"i","nonce":1,"working_on":""},"buffers":[2]}';
  const frame = new Uint8Array(encodeFrame({ kind: "pong", instance: "i", nonce: 1, working_on: "" }, [bytes(7, 8)]));
  expect(new DataView(frame.buffer).getUint32(0, true)).toBe(header.length);
  expect(new TextDecoder().decode(frame.subarray(4, 4 + header.length))).toBe(header);
  const start = Math.ceil((4 + header.length) / 8) * 8;
  expect([...frame.subarray(start)]).toEqual([7, 8, 0, 0, 0, 0, 0, 0]);
});

test.each<[string, ArrayBuffer]>([
  ["too short", bytes(1, 2).buffer],
  ["a header longer than the frame", bytes(255, 0, 0, 0, 1).buffer],
  ["a header that is no message", encodeFrame([], []).slice(0)],
])("%s is refused", (name, frame) => {
  const broken = name.startsWith("a header that") ? new Uint8Array([2, 0, 0, 0, 91, 93, 0, 0]).buffer : frame;
  expect(() => decodeFrame(broken)).toThrow();
});

test("buffers that do not fit are refused", () => {
  const frame = encodeFrame({ kind: "x" }, [bytes(1, 2, 3, 4, 5, 6, 7, 8, 9)]);
  expect(() => decodeFrame(frame.slice(0, frame.byteLength - 8))).toThrow(/no room/);
});

test("bytes made to be sent become the frame without a copy", () => {
  const sendable = makeSendable(3);
  sendable.set([1, 2, 3]);
  for (const round of [1, 2]) {
    const frame = encodeFrame({ kind: "x", round }, [sendable]);
    expect(frame).toBe(sendable.buffer);
    const { message, buffers } = decodeFrame(frame);
    expect(message).toEqual({ kind: "x", round });
    expect([...(buffers[0] ?? [])]).toEqual([1, 2, 3]);
  }
  const long = encodeFrame({ kind: "x".repeat(2000) }, [sendable]);
  expect(decodeFrame(long).buffers.map((found) => [...found])).toEqual([[1, 2, 3]]);
});

const decoded = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

test.each(golden.map((item) => [item.message.kind, item] as const))("Python's frame of %s reads as it was written", (_, item) => {
  const { message, buffers } = decodeFrame(decoded(item.frame).buffer);
  expect(message).toEqual(item.message);
  expect(buffers.map((buffer) => [...buffer])).toEqual(item.buffers.map((text) => [...decoded(text)]));
  const again = decodeFrame(encodeFrame(item.message, buffers));
  expect([again.message, again.buffers.map((buffer) => [...buffer])]).toEqual([item.message, item.buffers.map((text) => [...decoded(text)])]);
});
