import type { AnyModel } from "@anywidget/types";
import { expect, test } from "vitest";
import { CommLink } from "../src/transports/comm.js";

type Heard = (content: unknown, buffers: unknown) => void;

function link(): { hear: Heard; got: [unknown, Uint8Array[]][]; sent: [unknown, ArrayBuffer[]][]; made: CommLink } {
  const listeners: Heard[] = [];
  const got: [unknown, Uint8Array[]][] = [];
  const sent: [unknown, ArrayBuffer[]][] = [];
  const model = {
    on: (_name: string, act: Heard) => listeners.push(act),
    off: () => undefined,
    send: (content: unknown, _callbacks: unknown, buffers: ArrayBuffer[]) => sent.push([content, buffers]),
  } as unknown as AnyModel;
  const made = new CommLink(model, {
    opened: () => undefined,
    closed: () => undefined,
    message: (_link, message, buffers) => got.push([message, [...buffers]]),
  });
  const hear: Heard = (content, buffers) => {
    for (const act of listeners) act(content, buffers);
  };
  return { hear, got, sent, made };
}

const BYTES = [7, 0, 255, 3];
const within = new Uint8Array([9, 9, ...BYTES, 9]).buffer;

test.each([
  ["JupyterLab: views of a frame", new DataView(within, 2, 4)],
  ["Colab: arrays of bytes", new Uint8Array(within, 2, 4)],
  ["VS Code: whole buffers", new Uint8Array(BYTES).buffer],
])("%s", (_host, buffer) => {
  const { hear, got } = link();
  hear({ kind: "batch" }, [buffer]);
  expect(got.map(([, buffers]) => buffers.map((bytes) => [...bytes]))).toEqual([[BYTES]]);
});

test("content without a kind, as other widgets send, is left alone; none of the hosts sends buffers always", () => {
  const { hear, got } = link();
  hear({ hello: 1 }, []);
  hear(null, undefined);
  hear({ kind: "batch" }, undefined);
  expect(got).toEqual([[{ kind: "batch" }, []]]);
});

test("only whole buffers go out: JupyterLab sends all that lies behind a view", () => {
  const { made, sent } = link();
  made.send({ kind: "bye" } as never, [new Uint8Array(within, 2, 4)]);
  expect([...new Uint8Array(sent[0]?.[1][0] as ArrayBuffer)]).toEqual(BYTES);
});
