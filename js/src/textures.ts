/** Textures and samplers. */
import { DEPTH_FORMAT } from "./depth.js";
import { EngineError, limitError } from "./errors.js";
import type { CreateTexture, WriteTexture } from "./protocol.gen.js";
import type { Bytes } from "./session.js";

/** Bytes a texel of the formats that arrays map to. */
export const TEXEL_BYTES: Readonly<Record<string, number>> = {
  r8unorm: 1,
  r8snorm: 1,
  r8uint: 1,
  r8sint: 1,
  rg8unorm: 2,
  rg8snorm: 2,
  rg8uint: 2,
  rg8sint: 2,
  rgba8unorm: 4,
  "rgba8unorm-srgb": 4,
  rgba8snorm: 4,
  rgba8uint: 4,
  rgba8sint: 4,
  bgra8unorm: 4,
  "bgra8unorm-srgb": 4,
  r16uint: 2,
  r16sint: 2,
  r16float: 2,
  rg16uint: 4,
  rg16sint: 4,
  rg16float: 4,
  rgba16uint: 8,
  rgba16sint: 8,
  rgba16float: 8,
  r32uint: 4,
  r32sint: 4,
  r32float: 4,
  rg32uint: 8,
  rg32sint: 8,
  rg32float: 8,
  rgba32uint: 16,
  rgba32sint: 16,
  rgba32float: 16,
  [DEPTH_FORMAT]: 4,
};

/** The limits of a texture's sides, by what a shader sees it as. */
const SIDE_LIMITS = {
  "1d": "maxTextureDimension1D",
  "2d": "maxTextureDimension2D",
  "2d-array": "maxTextureDimension2D",
  cube: "maxTextureDimension2D",
  "cube-array": "maxTextureDimension2D",
  "3d": "maxTextureDimension3D",
} as const;

const SAMPLER_KEYS: Readonly<Record<string, readonly (keyof GPUSamplerDescriptor)[]>> = {
  filter: ["magFilter", "minFilter", "mipmapFilter"],
  mag_filter: ["magFilter"],
  min_filter: ["minFilter"],
  mipmap_filter: ["mipmapFilter"],
  address: ["addressModeU", "addressModeV", "addressModeW"],
  address_u: ["addressModeU"],
  address_v: ["addressModeV"],
  address_w: ["addressModeW"],
  compare: ["compare"],
};

export interface TextureRecord {
  readonly texture: GPUTexture;
  readonly view: GPUTextureView;
  readonly description: CreateTexture;
  readonly texelBytes: number;
  readonly sizeBytes: number;
}

/** Width, height and depth of a mip level: layers do not shrink. */
export function levelSize(description: CreateTexture, level: number): [number, number, number] {
  const [width = 1, height = 1, depth = 1] = description.size;
  const half = (size: number): number => Math.max(1, size >> level);
  return [half(width), half(height), description.dimension === "3d" ? half(depth) : depth];
}

export class TextureStore {
  private readonly records = new Map<number, TextureRecord>();
  private readonly samplers = new Map<string, GPUSampler>();
  bytes = 0;

  constructor(private readonly device: GPUDevice) {}

  get(handle: number): TextureRecord {
    const record = this.records.get(handle);
    if (!record)
      throw new EngineError("unknown-handle", `there is no texture ${handle} in the browser: it was freed, or it belonged to a device or page that is gone`, {
        handle,
      });
    return record;
  }

  view(handle: number): GPUTextureView {
    return this.get(handle).view;
  }

  create(description: CreateTexture): TextureRecord {
    const { format, dimension, mip_levels: mipLevelCount, storage } = description;
    const texelBytes = TEXEL_BYTES[format];
    if (texelBytes === undefined)
      throw new EngineError("format", `the texture format ${format} is not one of ${Object.keys(TEXEL_BYTES).join(", ")}`, { format });
    const [width = 1, height = 1, depth = 1] = description.size;
    const limits = this.device.limits;
    const limit = SIDE_LIMITS[dimension];
    const most = limits[limit];
    const widest = dimension === "3d" ? Math.max(width, height, depth) : Math.max(width, height);
    if (widest > most) throw limitError(`a texture of ${width} x ${height} x ${depth} texels`, limit, widest, most);
    if (dimension !== "3d" && depth > limits.maxTextureArrayLayers)
      throw limitError(`a texture of ${depth} layers`, "maxTextureArrayLayers", depth, limits.maxTextureArrayLayers);
    const { TEXTURE_BINDING, STORAGE_BINDING, RENDER_ATTACHMENT, COPY_DST, COPY_SRC } = GPUTextureUsage;
    const texture = this.device.createTexture({
      label: `texture ${description.texture}`,
      format: format as GPUTextureFormat,
      dimension: dimension === "1d" || dimension === "3d" ? dimension : "2d",
      size: [width, height, depth],
      mipLevelCount,
      usage: TEXTURE_BINDING | COPY_DST | COPY_SRC | (storage ? STORAGE_BINDING : 0) | (mipLevelCount > 1 || format === DEPTH_FORMAT ? RENDER_ATTACHMENT : 0),
    });
    const view = texture.createView(storage ? { dimension, mipLevelCount: 1 } : { dimension });
    let sizeBytes = 0;
    for (let level = 0; level < mipLevelCount; level++) sizeBytes += texelBytes * levelSize(description, level).reduce((product, size) => product * size, 1);
    const record: TextureRecord = { texture, view, description, texelBytes, sizeBytes };
    this.records.set(description.texture, record);
    this.bytes += sizeBytes;
    return record;
  }

  write(command: WriteTexture, bytes: Bytes): void {
    const { texture } = this.get(command.texture);
    const [x = 0, y = 0, z = 0] = command.origin;
    const [width = 1, height = 1, depth = 1] = command.size;
    this.device.queue.writeTexture(
      { texture, mipLevel: command.mip_level, origin: [x, y, z] },
      bytes,
      { bytesPerRow: command.bytes_per_row, rowsPerImage: height },
      [width, height, depth],
    );
  }

  /** Take a texture out; the caller destroys it once nothing that is being recorded uses it. */
  remove(handle: number): TextureRecord | undefined {
    const record = this.records.get(handle);
    if (record) {
      this.records.delete(handle);
      this.bytes -= record.sizeBytes;
    }
    return record;
  }

  /** The sampler of a description; one of each is kept. */
  sampler(description: Readonly<Record<string, string>>): GPUSampler {
    const key = JSON.stringify(Object.entries(description).sort());
    const known = this.samplers.get(key);
    if (known) return known;
    const descriptor: Record<string, string> = {};
    for (const [name, value] of Object.entries(description)) {
      const keys = SAMPLER_KEYS[name];
      if (!keys) throw new EngineError("binding", `a sampler has no ${name}; it has ${Object.keys(SAMPLER_KEYS).join(", ")}`);
      for (const found of keys) descriptor[found] = value;
    }
    const sampler = this.device.createSampler(descriptor as GPUSamplerDescriptor);
    this.samplers.set(key, sampler);
    return sampler;
  }

  destroy(): void {
    for (const record of this.records.values()) record.texture.destroy();
    this.records.clear();
    this.samplers.clear();
    this.bytes = 0;
  }
}
