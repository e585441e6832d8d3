/** Blocks from browser to browser over WebRTC; Python carries the signalling and says what goes where. */
import type { Engine } from "../engine.js";
import { EngineError } from "../errors.js";
import type { Gpu } from "../gpu.js";
import { registerMessage, registerService, type ServiceContext } from "../services.js";
import { BlockChannel, type Sink } from "./channel.js";
import { BlockStore } from "./store.js";

type Params = Readonly<Record<string, unknown>>;
type Signal = { readonly description?: RTCSessionDescriptionInit; readonly candidate?: RTCIceCandidateInit };

class Peer {
  readonly connection: RTCPeerConnection;
  readonly blocks: BlockChannel;
  private readonly early: RTCIceCandidateInit[] = [];
  private turn: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    iceServers: RTCIceServer[],
    private readonly tell: (signal: Signal) => void,
  ) {
    this.connection = new RTCPeerConnection({ iceServers });
    // Both sides make it, so that none has to wait to be told of it.
    const channel = this.connection.createDataChannel("blocks", { negotiated: true, id: 0, ordered: true });
    this.blocks = new BlockChannel(channel, name);
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate) tell({ candidate: candidate.toJSON() });
    };
    this.connection.onconnectionstatechange = () => {
      if (this.connection.connectionState === "failed") this.close("no way to it was found");
    };
  }

  /** Resolves when bytes can flow. */
  async opened(initiator: boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (initiator) {
      await this.connection.setLocalDescription(await this.connection.createOffer());
      if (this.connection.localDescription) this.tell({ description: this.connection.localDescription.toJSON() });
    }
    const { channel } = this.blocks;
    if (channel.readyState === "open") return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new EngineError("internal", `no channel to ${this.name} opened in ${timeoutMs} ms`)), timeoutMs);
      channel.addEventListener("open", () => {
        clearTimeout(timer);
        resolve();
      });
      channel.addEventListener("close", () => {
        clearTimeout(timer);
        reject(new EngineError("internal", `the channel to ${this.name} closed before it opened`));
      });
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      });
    });
  }

  /** Deal with what the other side said; one after the other, for each step is asynchronous. */
  heard(signal: Signal): Promise<void> {
    this.turn = this.turn.then(() => this.dealWith(signal)).catch((error: unknown) => this.close(String(error)));
    return this.turn;
  }

  private async dealWith({ description, candidate }: Signal): Promise<void> {
    if (description) {
      await this.connection.setRemoteDescription(description);
      for (const one of this.early.splice(0)) await this.connection.addIceCandidate(one);
      if (description.type === "offer") {
        await this.connection.setLocalDescription(await this.connection.createAnswer());
        if (this.connection.localDescription) this.tell({ description: this.connection.localDescription.toJSON() });
      }
    } else if (candidate) {
      if (this.connection.remoteDescription) await this.connection.addIceCandidate(candidate);
      else this.early.push(candidate);
    }
  }

  close(reason: string): void {
    this.blocks.end(reason);
    this.connection.close();
  }
}

class Hood {
  readonly peers = new Map<string, Peer>();
  readonly store = new BlockStore();

  find(params: Params): Peer {
    const name = String(params.peer);
    const peer = this.peers.get(name);
    if (!peer) throw new EngineError("internal", `there is no channel to ${name}`);
    return peer;
  }
}

const hoods = new WeakMap<Engine, Hood>();

function hoodOf(engine: Engine): Hood {
  let found = hoods.get(engine);
  if (!found) {
    found = new Hood();
    hoods.set(engine, found);
  }
  return found;
}

async function open(engine: Engine, params: Params, { progress, signal }: ServiceContext): Promise<Record<string, unknown>> {
  const hood = hoodOf(engine);
  const name = String(params.peer);
  hood.peers.get(name)?.close("it is opened anew");
  if (typeof RTCPeerConnection === "undefined") throw new EngineError("internal", "this browser has no WebRTC");
  const began = performance.now();
  const peer = new Peer(name, params.ice_servers as RTCIceServer[], (said) => progress({ signal: said }));
  hood.peers.set(name, peer);
  for (const said of params.signals as Signal[]) void peer.heard(said);
  try {
    await peer.opened(params.initiator === true, Number(params.timeout_ms), signal);
  } catch (error) {
    if (hood.peers.get(name) === peer) hood.peers.delete(name);
    peer.close("it did not open");
    throw error;
  }
  return { ms: performance.now() - began };
}

function gpuOf(engine: Engine): Gpu {
  if (!engine.gpu) throw new EngineError("device-lost", "there is no device");
  return engine.gpu;
}

/** Writes into a GPU buffer, and into the store to be passed on. */
function sinkOf(engine: Engine, params: Params): Sink {
  const gpu = gpuOf(engine);
  const record = gpu.buffers.get(Number(params.buffer));
  const totalBytes = Number(params.size_bytes);
  gpu.buffers.range(record, 0, totalBytes, "a block");
  if (record.stamp === gpu.recorder.serial) gpu.recorder.flush();
  const kept = hoodOf(engine).store.make(String(params.block), totalBytes);
  return {
    totalBytes,
    write: (offset, bytes) => {
      kept?.set(bytes, offset);
      if (!gpu.dead) gpu.device.queue.writeBuffer(record.buffer, offset, bytes);
    },
  };
}

async function receive(engine: Engine, params: Params, { signal }: ServiceContext): Promise<Record<string, unknown>> {
  const peer = hoodOf(engine).find(params);
  const began = performance.now();
  try {
    await peer.blocks.receive(Number(params.transfer), sinkOf(engine, params), signal);
  } catch (error) {
    hoodOf(engine).store.drop(String(params.block));
    throw error;
  }
  return { ms: performance.now() - began };
}

async function send(engine: Engine, params: Params, { signal }: ServiceContext): Promise<Record<string, unknown>> {
  const hood = hoodOf(engine);
  const { blocks } = hood.find(params);
  const transfer = Number(params.transfer);
  const total = Number(params.size_bytes);
  const kept = hood.store.get(String(params.block));
  if (kept?.byteLength === total) {
    await blocks.send(transfer, 0, total, kept, signal);
    return { from: "memory" };
  }
  const gpu = gpuOf(engine);
  const record = gpu.buffers.get(Number(params.buffer));
  const part = { item: 0, record, offset: 0, sizeBytes: gpu.buffers.range(record, 0, total, "a block"), itemOffset: 0, itemBytes: total };
  const { sent } = await gpu.staging.read(
    [part],
    () => undefined,
    () => Promise.resolve(true),
    async (range, bytes) => {
      await blocks.send(transfer, range.itemOffset, total, new Uint8Array(bytes), signal);
      return true;
    },
  );
  await sent;
  return { from: "gpu" };
}

/** A part of a block from Python, for the GPU and the store. */
async function put(engine: Engine, params: Params, { buffers }: ServiceContext): Promise<Record<string, unknown>> {
  const [bytes] = buffers;
  const offset = Number(params.offset);
  if (!bytes) throw new EngineError("validation", "a block without bytes");
  if (offset === 0) sinkOf(engine, params).write(0, bytes);
  else {
    const gpu = gpuOf(engine);
    const record = gpu.buffers.get(Number(params.buffer));
    gpu.buffers.range(record, offset, bytes.byteLength, "a block");
    hoodOf(engine).store.get(String(params.block))?.set(bytes, offset);
    gpu.device.queue.writeBuffer(record.buffer, offset, bytes);
  }
  return {};
}

/** Messages of zeros as fast as the channel takes them: what a bare channel carries. */
async function bare(engine: Engine, params: Params, { signal }: ServiceContext): Promise<Record<string, unknown>> {
  const { channel } = hoodOf(engine).find(params).blocks;
  const message = new Uint8Array(Number(params.message_bytes));
  const total = Number(params.size_bytes);
  const began = performance.now();
  const room = (): Promise<void> => new Promise((resolve) => channel.addEventListener("bufferedamountlow", () => resolve(), { once: true }));
  for (let sent = 0; sent < total; sent += message.byteLength) {
    signal.throwIfAborted();
    channel.send(message);
    if (channel.bufferedAmount > 4 << 20) await room();
  }
  while (channel.bufferedAmount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return { ms: performance.now() - began };
}

registerMessage("peer-open", open);
registerMessage("peer-signal", async (engine, params) => {
  for (const said of params.signals as Signal[]) await hoodOf(engine).find(params).heard(said);
  return {};
});
registerMessage("peer-close", async (engine, params) => {
  const hood = hoodOf(engine);
  hood.peers.get(String(params.peer))?.close("Python closed it");
  hood.peers.delete(String(params.peer));
  return {};
});
registerService("peer-receive", receive);
registerService("peer-send", send);
registerService("peer-bare", bare);
registerService("block-put", put);
registerMessage("block-drop", async (engine, params) => {
  for (const name of params.blocks as string[]) hoodOf(engine).store.drop(name);
  return {};
});
