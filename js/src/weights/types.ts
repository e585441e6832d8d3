/** What Python and the loader tell each other; the Python side is webgpu_widget/weights/driver.py. */

/** One file of a source. */
export interface FileSpec {
  /** Names this content in the cache. */
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly chunk_bytes: number;
  /** Where to fetch it; null: Python sends the chunks. */
  readonly url: string | null;
  /** Whether the server honours Range. */
  readonly ranges: boolean;
  /** ETag or Last-Modified as the probe saw them, "" when the server shows none. */
  readonly validator: string;
  readonly cache: boolean;
  /** Compare cached chunks with their hashes. */
  readonly verify: boolean;
  /** Of the whole file, in hex, where its server gives it and it is to be checked; else "". 128 digits are its SHA-512. */
  readonly sha256: string;
  /** The name of the check that is bringing the file from its beginning to its end, while one is. */
  readonly audit?: string;
  /** The name under which Python sends the hash of each chunk to this load; "" where it cannot. */
  readonly digests: string;
}

/** One buffer's worth of a tensor: `count` elements from `bytes` bytes at `offset` of file `file`. */
export interface ItemSpec {
  readonly id: number;
  readonly stage: number;
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
  /** Target buffers: the values, and for int8 and int4 the scales. */
  readonly outs: readonly number[];
  /** Pipelines, 0 for none. */
  readonly decode: number;
  readonly encode: number;
  /** A block of so many elements takes so many bytes in the file. */
  readonly block_elements: number;
  readonly block_bytes: number;
  /** Bits of an encoded element, and whether groups of 32 have a scale. */
  readonly out_bits: number;
  readonly grouped: boolean;
  /** [buffer, index] that a checking decoder raises. */
  readonly flag: readonly number[] | null;
}

export interface LoadSpec {
  readonly job: string;
  readonly files: readonly FileSpec[];
  readonly items: readonly ItemSpec[];
  /** Elements converted by one dispatch. */
  readonly piece_elements: number;
  /** Seconds without any progress after which it is given up. */
  readonly stall_s: number;
}

/** What `progress` carries. */
export interface LoadProgress {
  readonly [key: string]: unknown;
  /** Items that are in their buffers now. */
  readonly done: readonly number[];
  readonly bytes_done: number;
  readonly bytes_moved: number;
  readonly bytes_from_cache: number;
  readonly peak_buffer_bytes: number;
  readonly stage: number;
  readonly paused: boolean;
  readonly warnings: readonly string[];
  /** Chunks that Python is to send: [file, index]. */
  readonly want: readonly (readonly [number, number])[];
  /** Chunks whose hashes Python is to send: [file, first index, count]. */
  readonly hash: readonly (readonly [number, number, number])[];
}

export interface CacheEntry {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly complete: boolean;
  readonly used: number;
}

export function chunkCount(file: FileSpec): number {
  return Math.ceil(file.size / file.chunk_bytes);
}

export function chunkSize(file: FileSpec, index: number): number {
  return Math.min(file.chunk_bytes, file.size - index * file.chunk_bytes);
}
