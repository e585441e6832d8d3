/**
 * One message with its buffers as one WebSocket frame: the header's length (u32, little-endian), the header
 * `{"message": ..., "buffers": [byte lengths]}` as UTF-8 JSON, then each buffer at the next multiple of 8 from the frame's start.
 */

type Bytes = Uint8Array<ArrayBuffer>;

const ALIGN = 8;
/** Room for the header in front of bytes that were made to be sent. */
const HEAD_BYTES = 1024;
const SPACE = 0x20;
const padded = (size: number): number => Math.ceil(size / ALIGN) * ALIGN;

/** Bytes with room in front of them, so that a frame of them needs no copy. */
export function makeSendable(sizeBytes: number): Bytes {
  return new Uint8Array(new ArrayBuffer(HEAD_BYTES + padded(sizeBytes)), HEAD_BYTES, sizeBytes);
}

/** Make a frame. One buffer of `makeSendable` becomes the frame itself. */
export function encodeFrame(message: object, buffers: readonly Bytes[]): ArrayBuffer {
  const header = new TextEncoder().encode(JSON.stringify({ message, buffers: buffers.map((buffer) => buffer.byteLength) }));
  const [only] = buffers;
  if (
    only &&
    buffers.length === 1 &&
    only.byteOffset === HEAD_BYTES &&
    only.buffer.byteLength === HEAD_BYTES + padded(only.byteLength) &&
    header.byteLength <= HEAD_BYTES - 4
  ) {
    const frame = new Uint8Array(only.buffer);
    new DataView(only.buffer).setUint32(0, HEAD_BYTES - 4, true);
    frame.set(header, 4);
    frame.fill(SPACE, 4 + header.byteLength, HEAD_BYTES);
    return only.buffer;
  }
  let offset = padded(4 + header.byteLength);
  const frame = new Uint8Array(offset + buffers.reduce((sum, buffer) => sum + padded(buffer.byteLength), 0));
  new DataView(frame.buffer).setUint32(0, header.byteLength, true);
  frame.set(header, 4);
  for (const buffer of buffers) {
    frame.set(buffer, offset);
    offset += padded(buffer.byteLength);
  }
  return frame.buffer;
}

const received = new WeakSet<ArrayBuffer>();

/** Note that a frame came by a socket of this page, which reads it no more: whoever uses its only buffer may transfer the frame. */
export function disown(frame: ArrayBuffer): void {
  received.add(frame);
}

/** Whether nobody else reads the frame that a lone buffer lies in. A Jupyter page's messages have other listeners. */
export function isDisowned(frame: ArrayBuffer): boolean {
  return received.has(frame);
}

/** Take a frame apart; the buffers are views of it. Throws when the lengths do not add up. */
export function decodeFrame(frame: ArrayBuffer): { message: unknown; buffers: Uint8Array<ArrayBuffer>[] } {
  if (frame.byteLength < 4) throw new RangeError(`a frame of ${frame.byteLength} bytes is too short for its header's length`);
  const length = new DataView(frame).getUint32(0, true);
  if (4 + length > frame.byteLength) throw new RangeError(`the frame's header should have ${length} bytes, and ${frame.byteLength - 4} follow`);
  const header: unknown = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
  if (typeof header !== "object" || header === null || !("message" in header) || !("buffers" in header) || !Array.isArray(header.buffers)) {
    throw new TypeError("the frame's header is not a message with a list of buffers");
  }
  let offset = padded(4 + length);
  const buffers = header.buffers.map((size: unknown) => {
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || offset + size > frame.byteLength)
      throw new RangeError(`the frame has no room for a buffer of ${String(size)} bytes at ${offset}`);
    const view = new Uint8Array(frame, offset, size);
    offset += padded(size);
    return view;
  });
  return { message: header.message, buffers };
}
