import { beforeAll, expect, test, vi } from "vitest";
import type { Runtime } from "../src/runtime.js";
import { liveStatus } from "../src/views/state.js";

beforeAll(() => {
  vi.stubGlobal("navigator", { userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0" });
});

const comm = { kind: "comm" };
const device = {
  info: { vendor: "nvidia", architecture: "hopper", description: "", is_fallback: false },
  memory: { buffers: 2, bytes: 300, peak_bytes: 400 },
  pipelines: { size: 3 },
  recorder: { dispatches: 5 },
};

function runtime(session: object, engine: object, seen: object = {}): Runtime {
  return {
    session: { role: "leader", link: comm, refusal: "", ...session },
    engine: { busy: false, workingOn: "", ...engine },
    seen,
  } as unknown as Runtime;
}

test("before the first call the adapter is named, and that there is none is said", () => {
  expect(liveStatus(runtime({}, {}, { adapter: "intel xe" }))).toMatchObject({
    state: "ready",
    adapter: "intel xe",
    browser: "Firefox 153",
    transport: "comm",
  });
  const none = liveStatus(runtime({ role: "waiting", link: undefined }, {}, { problem: "no WebGPU here" }));
  expect(none).toMatchObject({ state: "no GPU", message: "no WebGPU here" });
  expect(none.adapter).toBeUndefined();
});

test("a device that is there counts for more than what was seen before", () => {
  const status = liveStatus(runtime({}, { gpu: device }, { problem: "no adapter" }));
  expect(status).toMatchObject({ state: "ready", adapter: "nvidia hopper", bytes: 300, peakBytes: 400, buffers: 2, kernels: 3, dispatches: 5 });
  expect(status.message).toBeUndefined();
});

test("what runs is named with its seconds", () => {
  const since = performance.now() - 3200;
  expect(liveStatus(runtime({}, { gpu: device, busy: true, busySince: since, workingOn: "'blur'" })).running).toBe("'blur', 3 s");
  expect(liveStatus(runtime({}, { gpu: device, busy: true, busySince: performance.now() })).running).toBeUndefined();
  expect(liveStatus(runtime({}, { gpu: device })).running).toBeUndefined();
});

test("an error is shown until the engine forgets it, a lost connection before all", () => {
  expect(liveStatus(runtime({}, { gpu: device, lastError: new Error("line 3") }))).toMatchObject({ state: "ready", message: "line 3" });
  expect(liveStatus(runtime({ link: undefined }, { gpu: device })).state).toBe("connection lost");
  expect(liveStatus(runtime({ role: "closed" }, {}, { problem: "no adapter" })).state).toBe("closed");
});
