/** The talk with a kernel that answers, and with one that is no longer there. */
import type { AnyModel } from "@anywidget/types";
import { describe, expect, it, vi } from "vitest";
import { PythonLink, saveChanges } from "../src/views/mandelbrot/python.js";

type Sent = { id: string; kind: string };

function modelThat(send: (message: Sent, answer: (content: object) => void) => unknown): AnyModel {
  let listener = (_content: object, _buffers: DataView[]): void => undefined;
  return {
    on: (_name: string, heard: typeof listener) => {
      listener = heard;
    },
    off: () => undefined,
    send: (message: Sent) => send(message, (content) => listener(content, [])),
    save_changes: () => {
      throw new Error("Cannot send");
    },
  } as unknown as AnyModel;
}

const REQUEST = { center: ["0", "1"], width: "1e-400", size: [8, 6], max_iter: 500, power: 2, julia: null } as const;
const going = new AbortController().signal;

describe("a kernel that was restarted", () => {
  const dead = {
    "throws at once": () => {
      throw new Error("Cannot send");
    },
    "throws later": () => Promise.reject(new Error("Cannot send")),
  };

  it.each(Object.entries(dead))("is reported with what to do, where sending %s", async (_, send) => {
    const kernel = new PythonLink(modelThat(send));
    await expect(kernel.prepare(REQUEST, "", going)).rejects.toThrow(/run its cell again/);
    await expect(kernel.draw(REQUEST, 4, going)).rejects.toThrow(/run its cell again/);
    await expect(kernel.hello()).rejects.toThrow(/run its cell again/);
  });

  it("is reported where a question that was sent is asked again in vain", async () => {
    vi.useFakeTimers();
    let count = 0;
    const kernel = new PythonLink(
      modelThat(() => {
        if (++count > 1) throw new Error("Cannot send");
      }),
    );
    const asked = expect(kernel.hello()).rejects.toThrow(/run its cell again/);
    await vi.advanceTimersByTimeAsync(10_000);
    await asked;
    expect(count).toBe(2);
    vi.useRealTimers();
  });

  it("does not stand in the way of giving up, nor of telling what was set", async () => {
    let gone = false;
    const model = modelThat(() => {
      if (gone) throw new Error("Cannot send");
    });
    const given = new AbortController();
    const asked = new PythonLink(model).prepare(REQUEST, "", given.signal);
    gone = true;
    given.abort();
    await expect(asked).rejects.toThrow("given up");
    expect(() => saveChanges(model)).not.toThrow();
  });
});

it("gives the kernel's own words for what is wrong with a view", async () => {
  const kernel = new PythonLink(modelThat(({ id }, answer) => queueMicrotask(() => answer({ id, kind: "error", message: "the deepest is 1e-10000" }))));
  await expect(kernel.prepare(REQUEST, "", going)).rejects.toThrow("the deepest is 1e-10000");
});
