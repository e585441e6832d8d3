import { BufferStore } from "./buffers.js";
import type { Opened } from "./device.js";
import { Recorder } from "./dispatch.js";
import type { Ledger } from "./ledger.js";
import { PipelineStore } from "./pipelines.js";
import type { Program } from "./programs.js";
import type { DeviceInfo, MemoryResult } from "./protocol.gen.js";
import { StagingRing } from "./staging.js";
import { TextureStore } from "./textures.js";

const MAX_HELPERS = 64;

/** Devices that were given up at work: collecting them as garbage would destroy them. */
const abandoned = new Set<GPUDevice>();

/** A device and all that lives on it; it goes as a whole when the device is lost. */
export class Gpu {
  readonly device: GPUDevice;
  readonly info: DeviceInfo;
  readonly buffers: BufferStore;
  readonly textures: TextureStore;
  readonly pipelines: PipelineStore;
  readonly recorder: Recorder;
  readonly staging: StagingRing;
  readonly programs = new Map<number, Program>();
  private readonly helpers = new Map<string, GPUComputePipeline>();
  /** Set once it is gone. */
  dead = false;

  /** @param finished called when a submit is done */
  constructor(opened: Opened, epoch: number, ledger: Ledger, finished: () => void) {
    const { device } = opened;
    this.device = device;
    this.info = { ...opened.info, epoch };
    this.buffers = new BufferStore(device, ledger);
    this.textures = new TextureStore(device);
    this.pipelines = new PipelineStore(device);
    this.recorder = new Recorder(this, ledger, finished);
    this.staging = new StagingRing(device, this.recorder);
  }

  /** A pipeline of the engine's own. */
  helper(label: string, code: string, constants: Record<string, number>): GPUComputePipeline {
    const known = this.helpers.get(label);
    if (known) return known;
    const module = this.device.createShaderModule({ label, code });
    const made = this.device.createComputePipeline({ label, layout: "auto", compute: { module, constants } });
    if (this.helpers.size >= MAX_HELPERS) this.helpers.clear();
    this.helpers.set(label, made);
    return made;
  }

  /** Buffers and textures together. */
  get memory(): MemoryResult {
    const { buffers, bytes, peak_bytes } = this.buffers.memory;
    return { buffers, bytes: bytes + this.textures.bytes, peak_bytes: Math.max(peak_bytes, bytes + this.textures.bytes) };
  }

  /**
   * Let it go. A device at work may be computing for ever, and Chromium's destroy() waits in the GPU process for the queue, and with it every
   * other page and device would wait; such a device is left alone, reachable, until its work ends, if it does.
   */
  release(): void {
    if (this.dead) return;
    this.dead = true;
    this.staging.destroy();
    const { device } = this;
    if (!this.recorder.working) {
      device.destroy();
      return;
    }
    abandoned.add(device);
    const end = (): void => {
      abandoned.delete(device);
      device.destroy();
    };
    device.queue.onSubmittedWorkDone().then(end, end);
  }
}
