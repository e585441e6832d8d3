/** Blocks from browser to browser over WebRTC; Python carries the signalling and says what goes where. */
import type { Engine } from "../engine.js";
import { EngineError } from "../errors.js";
import type { Gpu } from "../gpu.js";
import type { BlockMoved, BlockPut, IceCandidate, IceServer, Nothing, PeerBare, PeerOpen, PeerSignal, SessionDescription, Took } from "../protocol.gen.js";
import { registerMessage, registerService, type ServiceContext } from "../services.js";
import { BlockChannel, type Sink } from "./channel.js";
import { BlockStore } from "./store.js";

function description({ type, sdp }: RTCSessionDescription): SessionDescription {
  return { type, sdp };
}

function candidate({ candidate: text, sdpMid, sdpMLineIndex, usernameFragment }: RTCIceCandidate): IceCandidate {
  return { candidate: text, sdp_mid: sdpMid, sdp_m_line_index: sdpMLineIndex, username_fragment: usernameFragment };
}

function candidateInit(said: IceCandidate): RTCIceCandidateInit {
  return { candidate: said.candidate, sdpMid: said.sdp_mid, sdpMLineIndex: said.sdp_m_line_index, usernameFragment: said.username_fragment };
}

function iceServer({ urls, username, credential }: IceServer): RTCIceServer {
  return { urls: typeof urls === "string" ? urls : [...urls], ...(username !== undefined && { username }), ...(credential !== undefined && { credential }) };
}

class Peer {
  readonly connection: RTCPeerConnection;
  readonly blocks: BlockChannel;
  private readonly early: RTCIceCandidateInit[] = [];
  private turn: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    iceServers: readonly IceServer[],
    private readonly tell: (signal: PeerSignal) => void,
  ) {
    this.connection = new RTCPeerConnection({ iceServers: iceServers.map(iceServer) });
    // Both sides make it, so that none has to wait to be told of it.
    const channel = this.connection.createDataChannel("blocks", { negotiated: true, id: 0, ordered: true });
    this.blocks = new BlockChannel(channel, name);
    this.connection.onicecandidate = ({ candidate: found }) => {
      if (found) tell({ description: null, candidate: candidate(found) });
    };
    this.connection.onconnectionstatechange = () => {
      if (this.connection.connectionState === "failed") this.close("no way to it was found");
    };
  }

  private describe(): void {
    const { localDescription } = this.connection;
    if (localDescription) this.tell({ description: description(localDescription), candidate: null });
  }

  /** Resolves when bytes can flow. */
  async opened(initiator: boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (initiator) {
      await this.connection.setLocalDescription(await this.connection.createOffer());
      this.describe();
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
  heard(signal: PeerSignal): Promise<void> {
    this.turn = this.turn.then(() => this.dealWith(signal)).catch((error: unknown) => this.close(String(error)));
    return this.turn;
  }

  private async dealWith({ description: other, candidate: way }: PeerSignal): Promise<void> {
    if (other) {
      await this.connection.setRemoteDescription(other);
      for (const one of this.early.splice(0)) await this.connection.addIceCandidate(one);
      if (other.type === "offer") {
        await this.connection.setLocalDescription(await this.connection.createAnswer());
        this.describe();
      }
    } else if (way) {
      if (this.connection.remoteDescription) await this.connection.addIceCandidate(candidateInit(way));
      else this.early.push(candidateInit(way));
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

  find(name: string): Peer {
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

async function open(engine: Engine, params: PeerOpen, { progress, signal }: ServiceContext<"peer-open">): Promise<Took> {
  const hood = hoodOf(engine);
  const name = params.peer;
  hood.peers.get(name)?.close("it is opened anew");
  if (typeof RTCPeerConnection === "undefined") throw new EngineError("internal", "this browser has no WebRTC");
  const began = performance.now();
  const peer = new Peer(name, params.ice_servers, (said) => progress({ signal: said }));
  hood.peers.set(name, peer);
  for (const said of params.signals) void peer.heard(said);
  try {
    await peer.opened(params.initiator, params.timeout_ms, signal);
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
function sinkOf(engine: Engine, params: Pick<BlockMoved, "block" | "buffer" | "size_bytes">): Sink {
  const gpu = gpuOf(engine);
  const record = gpu.buffers.get(params.buffer);
  const totalBytes = params.size_bytes;
  gpu.buffers.range(record, 0, totalBytes, "a block");
  if (record.stamp === gpu.recorder.serial) gpu.recorder.flush();
  const kept = hoodOf(engine).store.make(params.block, totalBytes);
  return {
    totalBytes,
    write: (offset, bytes) => {
      kept?.set(bytes, offset);
      if (!gpu.dead) gpu.device.queue.writeBuffer(record.buffer, offset, bytes);
    },
  };
}

async function receive(engine: Engine, params: BlockMoved, { signal }: ServiceContext<"peer-receive">): Promise<Took> {
  const peer = hoodOf(engine).find(params.peer);
  const began = performance.now();
  try {
    await peer.blocks.receive(params.transfer, sinkOf(engine, params), signal);
  } catch (error) {
    hoodOf(engine).store.drop(params.block);
    throw error;
  }
  return { ms: performance.now() - began };
}

async function send(engine: Engine, params: BlockMoved, { signal }: ServiceContext<"peer-send">): Promise<Nothing> {
  const hood = hoodOf(engine);
  const { blocks } = hood.find(params.peer);
  const transfer = params.transfer;
  const total = params.size_bytes;
  const kept = hood.store.get(params.block);
  if (kept?.byteLength === total) {
    await blocks.send(transfer, 0, total, kept, signal);
    return {};
  }
  const gpu = gpuOf(engine);
  const record = gpu.buffers.get(params.buffer);
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
  return {};
}

/** A part of a block from Python, for the GPU and the store. */
async function put(engine: Engine, params: BlockPut, { buffers }: ServiceContext<"block-put">): Promise<Nothing> {
  const [bytes] = buffers;
  const offset = params.offset;
  if (!bytes) throw new EngineError("validation", "a block without bytes");
  if (offset === 0) sinkOf(engine, params).write(0, bytes);
  else {
    const gpu = gpuOf(engine);
    const record = gpu.buffers.get(params.buffer);
    gpu.buffers.range(record, offset, bytes.byteLength, "a block");
    hoodOf(engine).store.get(params.block)?.set(bytes, offset);
    gpu.device.queue.writeBuffer(record.buffer, offset, bytes);
  }
  return {};
}

/** Messages of zeros as fast as the channel takes them: what a bare channel carries. */
async function bare(engine: Engine, params: PeerBare, { signal }: ServiceContext<"peer-bare">): Promise<Took> {
  const { channel } = hoodOf(engine).find(params.peer).blocks;
  const message = new Uint8Array(params.message_bytes);
  const total = params.size_bytes;
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
  for (const said of params.signals) await hoodOf(engine).find(params.peer).heard(said);
  return {};
});
registerMessage("peer-close", async (engine, params) => {
  const hood = hoodOf(engine);
  hood.peers.get(params.peer)?.close("Python closed it");
  hood.peers.delete(params.peer);
  return {};
});
registerService("peer-receive", receive);
registerService("peer-send", send);
registerService("peer-bare", bare);
registerService("block-put", put);
registerMessage("block-drop", async (engine, params) => {
  for (const name of params.blocks) hoodOf(engine).store.drop(name);
  return {};
});
