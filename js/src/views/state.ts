import { adapterText } from "../device.js";
import { browserName } from "../host.js";
import type { Runtime } from "../runtime.js";

/** What the status card shows. */
export interface Status {
  readonly state: string;
  readonly adapter?: string;
  readonly browser?: string;
  /** What runs, and for how many seconds. */
  readonly running?: string;
  readonly transport?: string;
  readonly message?: string;
  readonly url?: string;
  readonly buffers?: number;
  readonly bytes?: number;
  readonly peakBytes?: number;
  readonly kernels?: number;
  readonly dispatches?: number;
}

const ROLES = { waiting: "waiting for Python", leader: "ready", standby: "another page computes", refused: "versions differ", closed: "closed" } as const;

/** The status of an engine on this page. */
export function liveStatus(runtime: Runtime): Status {
  const { session, engine } = runtime;
  const { gpu, noGpu } = engine;
  const link = session.link;
  const about = gpu?.info;
  const adapter = about ? adapterText({ ...about, isFallback: about.is_fallback }) : noGpu ? undefined : runtime.seen.adapter;
  const problem = noGpu?.message ?? (gpu ? undefined : runtime.seen.problem);
  const computing = session.role === "leader" && link !== undefined && engine.busy;
  const state =
    problem && session.role !== "refused" && session.role !== "closed"
      ? "no GPU"
      : session.role === "leader" && !link
        ? "connection lost"
        : computing
          ? "computing"
          : ROLES[session.role];
  const seconds = computing && engine.busySince !== undefined ? Math.floor((performance.now() - engine.busySince) / 1000) : 0;
  const message = session.refusal || problem || engine.lastError?.message;
  return {
    state,
    ...(adapter && { adapter }),
    browser: browserName(navigator.userAgent),
    ...(link && { transport: link.kind === "comm" ? "comm" : "WebSocket" }),
    ...(message && { message }),
    ...(seconds > 0 && { running: `${engine.workingOn || "a request"}, ${seconds} s` }),
    ...(gpu && {
      buffers: gpu.memory.buffers,
      bytes: gpu.memory.bytes,
      peakBytes: gpu.memory.peak_bytes,
      kernels: gpu.pipelines.size,
      dispatches: gpu.recorder.dispatches,
    }),
  };
}
