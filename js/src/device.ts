/** The adapter and the device: asked for at first need, with all that they can do, and again after a loss. */
import { EngineError } from "./errors.js";
import type { DeviceInfo } from "./protocol.gen.js";

const FEATURES: readonly string[] = [
  "shader-f16",
  "subgroups",
  "timestamp-query",
  "chromium-experimental-subgroup-matrix",
  "float32-filterable",
  "float32-blendable",
  "bgra8unorm-storage",
  "rg11b10ufloat-renderable",
  "indirect-first-instance",
  "texture-formats-tier1",
  "texture-formats-tier2",
  "core-features-and-limits",
];

interface ChromiumAdapterInfo extends GPUAdapterInfo {
  readonly subgroupMatrixConfigs?: Iterable<object>;
}

/** Why there can be no GPU, as far as it can be told without asking for an adapter. */
export function noGpuReason(): string | null {
  if (typeof navigator !== "undefined" && "gpu" in navigator && navigator.gpu) return null;
  if (!globalThis.isSecureContext) {
    return `this page (${location.origin}) is not a secure context, and browsers offer WebGPU only there: open it by https, or from http://localhost or http://127.0.0.1`;
  }
  return "this browser has no navigator.gpu: use Chrome or Edge 113+, Safari 26+, or Firefox 141+ (Windows) or 145+ (macOS); on Linux, Chromium may need --enable-unsafe-webgpu --enable-features=Vulkan";
}

const NO_ADAPTER =
  "navigator.gpu is there, and requestAdapter() found no adapter: hardware acceleration may be off, the GPU or its driver may be on the browser's blocklist " +
  "(see chrome://gpu), or the machine has no GPU; there, start Chromium with --enable-unsafe-webgpu to compute on its CPU adapter (SwiftShader). " +
  "Where it had worked before, the browser has given its GPU up after crashes: close all its windows, start it again and open this page anew";

/** A device as the engine sees it. */
export interface Opened {
  readonly device: GPUDevice;
  readonly info: Omit<DeviceInfo, "epoch">;
}

function limitsOf(limits: GPUSupportedLimits): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name in limits) {
    const value = limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") found[name] = value;
  }
  return found;
}

function plain(config: object): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key in config) copy[key] = (config as Record<string, unknown>)[key];
  return copy;
}

async function request(adapter: GPUAdapter): Promise<GPUDevice> {
  const features = FEATURES.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[];
  const requiredLimits = limitsOf(adapter.limits);
  const attempts: GPUDeviceDescriptor[] = [
    { label: "webgpu_widget", requiredFeatures: features, requiredLimits },
    // Some browsers list features or limits that they then refuse; ask for less rather than for nothing.
    { label: "webgpu_widget", requiredFeatures: features.filter((feature) => !feature.startsWith("chromium-")), requiredLimits },
    {
      label: "webgpu_widget",
      requiredFeatures: features.filter((feature) => feature === "shader-f16" || feature === "timestamp-query"),
      requiredLimits: {
        maxBufferSize: adapter.limits.maxBufferSize,
        maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
        maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
      },
    },
    { label: "webgpu_widget" },
  ];
  let refusal: unknown;
  for (const attempt of attempts) {
    try {
      return await adapter.requestDevice(attempt);
    } catch (error) {
      refusal = error;
    }
  }
  throw new EngineError("no-adapter", `the adapter gives no device: ${String(refusal)}`);
}

/** Ask for the best adapter and for a device with its full limits. */
export async function openDevice(): Promise<Opened> {
  const reason = noGpuReason();
  if (reason !== null) throw new EngineError("no-adapter", reason);
  let adapter: GPUAdapter | null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (error) {
    throw new EngineError("no-adapter", `requestAdapter() failed: ${String(error)}; reload the page`);
  }
  if (!adapter) throw new EngineError("no-adapter", NO_ADAPTER);
  const device = await request(adapter);
  const about: ChromiumAdapterInfo = adapter.info;
  return {
    device,
    info: {
      vendor: about.vendor,
      architecture: about.architecture,
      device: about.device,
      description: about.description,
      is_fallback: about.isFallbackAdapter,
      features: [...device.features].sort(),
      wgsl_features: [...navigator.gpu.wgslLanguageFeatures].sort(),
      limits: limitsOf(device.limits),
      subgroup_matrix_configs: [...(about.subgroupMatrixConfigs ?? [])].map(plain),
      preferred_canvas_format: navigator.gpu.getPreferredCanvasFormat(),
      user_agent: navigator.userAgent,
    },
  };
}
