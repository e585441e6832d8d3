import type { ToBrowser, ToPython } from "../protocol.gen.js";
import type { Channel, Link, LinkEvents } from "./link.js";

/** The widget's comm, by anywidget's custom messages. */
export class CommLink implements Link {
  readonly kind = "comm";
  private readonly listener: (content: unknown, buffers: unknown) => void;

  constructor(
    private readonly model: Channel,
    events: LinkEvents,
  ) {
    this.listener = (content, buffers) => {
      if (typeof content !== "object" || content === null || !("kind" in content)) return;
      const views = Array.isArray(buffers) ? buffers.map(asBytes) : [];
      events.message(this, content as ToBrowser, views);
    };
    model.on("msg:custom", this.listener);
  }

  // JupyterLab's serializer measures a view and sends the whole ArrayBuffer behind it, so only whole ArrayBuffers may go out.
  // https://github.com/jupyterlab/jupyterlab/blob/v4.4.0/packages/services/src/kernel/serialize.ts
  send(message: ToPython, buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    const tight = buffers.map((bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer));
    try {
      this.model.send(message, undefined, tight);
    } catch (error) {
      // The comm is closed or its kernel is gone; nothing can be said on it, and nothing is lost by not saying it.
      console.debug("webgpu_widget: the comm takes no messages", error);
    }
  }

  close(): void {
    this.model.off("msg:custom", this.listener);
  }
}

function asBytes(buffer: unknown): Uint8Array<ArrayBuffer> {
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer);
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
  throw new TypeError("a comm message with a buffer that is no buffer");
}
