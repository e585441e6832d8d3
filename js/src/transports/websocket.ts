import type { ToBrowser, ToPython } from "../protocol.gen.js";
import { decodeFrame, disown, encodeFrame } from "./frame.js";
import type { Link, LinkEvents } from "./link.js";

/** A WebSocket to the hub in the Python process. */
export class WebSocketLink implements Link {
  readonly kind = "websocket";
  private readonly socket: WebSocket;
  private over = false;

  constructor(
    url: string,
    private readonly events: LinkEvents,
  ) {
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.events.opened(this);
    this.socket.onmessage = (event: MessageEvent<unknown>) => this.receive(event.data);
    this.socket.onerror = () => this.end("the connection failed");
    this.socket.onclose = (event) => this.end(event.reason || `the connection was closed (${event.code})`);
  }

  private receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return;
    try {
      const { message, buffers } = decodeFrame(data);
      disown(data);
      this.events.message(this, message as ToBrowser, buffers);
    } catch (error) {
      console.error("webgpu_widget: a frame that cannot be read", error);
      this.end(String(error));
    }
  }

  private end(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.socket.close();
    this.events.closed(this, reason);
  }

  send(message: ToPython, buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(encodeFrame(message, buffers));
  }

  close(): void {
    this.over = true;
    this.socket.close();
  }
}
