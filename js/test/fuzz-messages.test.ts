/** Frames and messages of Python, and packets of blocks of other browsers. */
import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import frames from "../../tests/protocol/frames.json";
import { BlockChannel, checkOf } from "../src/cluster/channel.js";
import type { ToBrowser } from "../src/protocol.gen.js";
import { Session, type SessionHost } from "../src/session.js";
import { decodeFrame, encodeFrame } from "../src/transports/frame.js";
import type { Link } from "../src/transports/link.js";
import { changed, options, outcome, say, tried } from "./fuzzing.js";

beforeEach(say);

describe("frames", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (value, buffers) => {
        const sent = { value };
        const found = decodeFrame(encodeFrame(sent, buffers as Uint8Array<ArrayBuffer>[]));
        expect(found.message).toEqual(JSON.parse(JSON.stringify(sent)));
        expect(found.buffers.map((buffer) => [...buffer])).toEqual(buffers.map((buffer) => [...buffer]));
      }),
      options,
    );
  });

  it("that are none are refused, and no buffer lies outside of one", () => {
    const latin = frames.map(({ frame }) => atob(frame));
    const arbitrary = fc.oneof(changed(latin, ["\0\0\0\x20", "-1", "1.5", "1e400", "[", '"', "null", "\xff"]), fc.string());
    fc.assert(
      fc.property(arbitrary, (text) => {
        const frame = Uint8Array.from(text, (char) => char.charCodeAt(0) & 255).buffer;
        const found = tried(() => decodeFrame(frame), RangeError, TypeError, SyntaxError);
        let end = 0;
        for (const { byteOffset, byteLength } of found?.buffers ?? []) {
          expect(byteOffset).toBeGreaterThanOrEqual(end);
          end = byteOffset + byteLength;
        }
        expect(end).toBeLessThanOrEqual(frame.byteLength);
      }),
      options,
    );
  });

  it.each(["1.5", "-1", "1e300", "null", '"3"', "true", "[]"])("with a buffer of %s bytes are refused", (size) => {
    const header = new TextEncoder().encode(`{"message":{},"buffers":[${size}]}`);
    const frame = new Uint8Array(4 + header.length + 64);
    new DataView(frame.buffer).setUint32(0, header.length, true);
    frame.set(header, 4);
    expect(() => decodeFrame(frame.buffer)).toThrow(RangeError);
  });
});

function quietSession(): { session: Session; link: Link; dealt: number[] } {
  const dealt: number[] = [];
  const link: Link = { kind: "websocket", send: () => undefined, close: () => undefined };
  const nothing = (): void => undefined;
  const host: SessionHost = {
    describe: () => ({ host: "test", loopback: true, visible: true, user_agent: "test", no_gpu_reason: null }),
    openLane: () => link,
    after: nothing,
    batch: ({ seq }) => dealt.push(seq),
    workingOn: () => "",
    fresh: nothing,
    cancel: (ids) => expect(ids.every((id) => typeof id === "string")).toBe(true),
    reset: nothing,
    close: nothing,
    changed: nothing,
  };
  return { session: new Session("me", host), link, dealt };
}

describe("messages", () => {
  const message = <T>(value: T): ToBrowser => value as unknown as ToBrowser;
  const python = (seq: number): ToBrowser => message({ kind: "batch", instance: "me", seq, epoch: 1, commands: [] });
  const welcome = message({ kind: "welcome", instance: "me", protocol_version: 1, session: "one", received: 0, lane: null });
  const field = fc.oneof(fc.constantFrom<unknown>(0, 1, 2, -1, 1.5, 2 ** 53, "one", "", null, true, [], {}, ["a"], [null]), fc.jsonValue());
  // What ends a session, or begins another, does so by right.
  const kinds = fc.constantFrom("ping", "batch", "ack", "cancel", "resume", "reset", "roll-call", "hello", "", 7, null);
  const names = ["kind", "instance", "seq", "ack", "received", "ids", "commands", "nonce", "session", "lane", "reason"];
  const arbitrary = fc.oneof(
    { arbitrary: fc.tuple(kinds, fc.dictionary(fc.constantFrom(...names), field)).map(([kind, fields]) => ({ ...fields, kind, instance: "me" })), weight: 9 },
    { arbitrary: field, weight: 1 },
  );

  it("that are none change nothing for those that are", () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    fc.assert(
      fc.property(fc.array(arbitrary, { maxLength: 12 }), (junk) => {
        const { session, link, dealt } = quietSession();
        session.receive(link, welcome, []);
        for (const one of junk)
          if ((one as { seq?: unknown } | null)?.seq !== 1 && (one as { seq?: unknown } | null)?.seq !== 2) session.receive(link, message(one), []);
        session.receive(link, python(1), []);
        session.receive(link, python(2), []);
        expect(dealt.slice(0, 2)).toEqual([1, 2]);
        expect(session.role).toBe("leader");
      }),
      options,
    );
    vi.restoreAllMocks();
  });
});

interface Packet {
  readonly transfer: number;
  readonly offset: number;
  readonly total: number;
  readonly bytes: Uint8Array;
  readonly spoilt: boolean;
}

function packetOf({ transfer, offset, total, bytes, spoilt }: Packet): ArrayBuffer {
  const message = new Uint8Array(20 + bytes.byteLength);
  const header = new DataView(message.buffer);
  for (const [at, value] of [transfer, offset, total, bytes.byteLength, checkOf(new Uint8Array(bytes)) + (spoilt ? 1 : 0)].entries())
    header.setUint32(4 * at, value, true);
  message.set(bytes, 20);
  return message.buffer;
}

describe("blocks", () => {
  it("arrive whole and in order, or not, whatever the other browser sends", async () => {
    const packet = fc.record({
      transfer: fc.nat(2),
      offset: fc.constantFrom(0, 4, 8, 12, 2 ** 32 - 4),
      total: fc.constantFrom(0, 8, 12, 16, 2 ** 32 - 1),
      bytes: fc.uint8Array({ maxLength: 16 }),
      spoilt: fc.boolean(),
    });
    const message = fc.oneof(
      packet.map(packetOf),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes.slice().buffer as ArrayBuffer),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 8 }), fc.nat(8), async (messages, expectedAt) => {
        const channel = { readyState: "open", close: () => undefined, onmessage: (_: { data: ArrayBuffer }) => undefined };
        const blocks = new BlockChannel(channel as unknown as RTCDataChannel, "other");
        let written = 0;
        const sink = {
          totalBytes: 12,
          write: (offset: number, bytes: Uint8Array) => {
            expect(offset).toBe(written);
            written += bytes.byteLength;
          },
        };
        let received: Promise<string> = Promise.resolve("never asked");
        for (const [at, one] of messages.entries()) {
          if (at === expectedAt) received = outcome(blocks.receive(1, sink, new AbortController().signal));
          channel.onmessage({ data: one });
        }
        blocks.end("the test is over");
        const said = await received;
        expect(written).toBeLessThanOrEqual(12);
        expect(["never asked", "whole", "integrity", "internal"]).toContain(said);
        if (said === "whole") expect(written).toBe(12);
      }),
      options,
    );
  });
});
