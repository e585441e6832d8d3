/** A file of a load, as Python names it and as this page brings it. */
import type { FileSpec as Told } from "../protocol.gen.js";

export interface FileSpec extends Told {
  /** The name of the check that is bringing the file from its beginning to its end, while one is. */
  readonly audit?: string;
}

export function chunkCount(file: FileSpec): number {
  return Math.ceil(file.size / file.chunk_bytes);
}

export function chunkSize(file: FileSpec, index: number): number {
  return Math.min(file.chunk_bytes, file.size - index * file.chunk_bytes);
}
