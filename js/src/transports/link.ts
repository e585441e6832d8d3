import type { AnyModel } from "@anywidget/types";
import type { ToBrowser, ToPython } from "../protocol.gen.js";

/** Of a widget's model, what speaks with its Python side. */
export type Channel = Pick<AnyModel, "on" | "off" | "send">;

/** One way to Python. */
export interface Link {
  readonly kind: "comm" | "websocket";
  /** Hand a message over; the bytes are free again when this returns. Never throws: a link that fails reports `closed`. */
  send(message: ToPython, buffers: readonly Uint8Array<ArrayBuffer>[]): void;
  close(): void;
}

/** What a link reports. */
export interface LinkEvents {
  opened(link: Link): void;
  message(link: Link, message: ToBrowser, buffers: readonly Uint8Array<ArrayBuffer>[]): void;
  closed(link: Link, reason: string): void;
}
