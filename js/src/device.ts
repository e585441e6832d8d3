/** The adapter and the device: asked for at first need, with all that they can do, and again after a loss. */
import { EngineError } from "./errors.js";
import { browserName } from "./host.js";
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
  return `${browserName(navigator.userAgent)} offers no WebGPU here (there is no navigator.gpu): ${wayToWebGpu(navigator.userAgent)}`;
}

/** What to do in a browser without WebGPU. */
export function wayToWebGpu(userAgent: string): string {
  const browser = browserName(userAgent);
  const linux = /Linux|X11/.test(userAgent) && !/Android/.test(userAgent);
  if (/^Firefox/.test(browser)) {
    return linux
      ? "on Linux, set dom.webgpu.enabled to true in about:config and restart it, or open this page in Chrome or Edge"
      : "it has WebGPU from 141 on Windows and from 145 on macOS with Apple's chips; update it, or open this page in Chrome or Edge";
  }
  if (/^Safari/.test(browser)) return "it has WebGPU from 26 on; update the system, or open this page in Chrome or Edge";
  if (/^(Chrome|Chromium|Edge|Opera)/.test(browser)) {
    return linux
      ? "on Linux, start it with --enable-unsafe-webgpu (and --enable-features=Vulkan), or switch on chrome://flags/#enable-unsafe-webgpu"
      : "it has WebGPU from 113 on; update it, and see whether hardware acceleration is on in its settings";
  }
  return "use Chrome or Edge 113, Safari 26, or Firefox 141 (Windows) or 145 (macOS), or newer";
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
      user_agent: navigator.userAgent,
    },
  };
}

/** What is known of an adapter before anybody has asked for a device. */
export interface Glimpse {
  readonly adapter?: string;
  readonly problem?: string;
}

export function adapterText({
  vendor,
  architecture,
  description,
  isFallback,
}: {
  vendor: string;
  architecture: string;
  description: string;
  isFallback: boolean;
}): string {
  const name = [vendor, architecture, description].filter(Boolean).join(" ") || "unnamed adapter";
  return isFallback ? `${name} (on the CPU)` : name;
}

/** Look whether there is an adapter, and which; makes no device. */
export async function glimpse(): Promise<Glimpse> {
  const reason = noGpuReason();
  if (reason !== null) return { problem: reason };
  try {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return { problem: NO_ADAPTER };
    const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
    return { adapter: adapterText({ vendor, architecture, description, isFallback: isFallbackAdapter }) };
  } catch (error) {
    return { problem: `requestAdapter() failed: ${String(error)}; reload the page` };
  }
}
