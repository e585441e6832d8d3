import type { Runtime } from "../runtime.js";

/** What the status card shows. */
export interface Status {
  readonly state: string;
  readonly adapter?: string;
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
  const { gpu, lastError, noGpu } = engine;
  const link = session.link;
  const about = gpu?.info;
  const adapter = about && [about.vendor, about.architecture, about.description].filter(Boolean).join(" ");
  const state = noGpu
    ? "no GPU"
    : session.role === "leader" && !link
      ? "connection lost"
      : session.role === "leader" && engine.busy
        ? "computing"
        : ROLES[session.role];
  const message = session.refusal || noGpu?.message || lastError?.message;
  return {
    state,
    ...(adapter && { adapter: about.is_fallback ? `${adapter} (on the CPU)` : adapter }),
    ...(link && { transport: link.kind === "comm" ? "comm" : "WebSocket" }),
    ...(message && { message }),
    ...(gpu && {
      buffers: gpu.memory.buffers,
      bytes: gpu.memory.bytes,
      peakBytes: gpu.memory.peak_bytes,
      kernels: gpu.pipelines.size,
      dispatches: gpu.recorder.dispatches,
    }),
  };
}
