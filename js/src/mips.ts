/** Texture read-back, and mip levels by a small compute kernel. */
import { EngineError } from "./errors.js";
import type { Gpu } from "./gpu.js";
import halve from "./shaders/halve.wgsl";
import tighten from "./shaders/tighten.wgsl";
import type { ReadPart } from "./staging.js";
import { levelSize } from "./textures.js";

const ROW_ALIGN = 256;

/** Copy mip level 0 row by row into a buffer, and read its rows as one tight item. */
export async function readTexture(gpu: Gpu, handle: number, send: (part: ReadPart) => Promise<void>): Promise<void> {
  const record = gpu.textures.get(handle);
  const [width, height, depth] = levelSize(record.description, 0);
  const rowBytes = width * record.texelBytes;
  const bytesPerRow = Math.ceil(rowBytes / ROW_ALIGN) * ROW_ALIGN;
  const size = bytesPerRow * height * depth;
  if (size > gpu.device.limits.maxBufferSize)
    throw new EngineError("limit", `reading the texture needs a buffer of ${size} bytes`, {
      limit: "maxBufferSize",
      wanted: size,
      allowed: gpu.device.limits.maxBufferSize,
    });
  const padded = gpu.device.createBuffer({ label: "texture rows", size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE });
  gpu.recorder.commands().copyTextureToBuffer({ texture: record.texture }, { buffer: padded, bytesPerRow, rowsPerImage: height }, [width, height, depth]);
  const total = rowBytes * height * depth;
  const tightSize = Math.ceil(total / 4) * 4;
  let source = padded;
  if (bytesPerRow !== rowBytes) {
    source = gpu.device.createBuffer({ label: "texture", size: tightSize, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE });
    if (rowBytes % 4 === 0) {
      const encoder = gpu.recorder.commands();
      for (let row = 0; row < height * depth; row++) encoder.copyBufferToBuffer(padded, row * bytesPerRow, source, row * rowBytes, rowBytes);
    } else tightenBytes(gpu, padded, source, bytesPerRow, rowBytes, tightSize / 4);
    gpu.recorder.defer(() => padded.destroy());
  }
  const buffer = { handle: -1, label: "texture", sizeBytes: tightSize, buffer: source, stamp: 0, groups: [], compactAt: 64 };
  await send({ item: 0, record: buffer, offset: 0, sizeBytes: tightSize, itemOffset: 0, itemBytes: total });
  source.destroy();
}

/** Rows whose length is no multiple of 4 bytes cannot be copied one by one. */
function tightenBytes(gpu: Gpu, rows: GPUBuffer, tight: GPUBuffer, pitch: number, row: number, words: number): void {
  const pipeline = gpu.helper(`tighten ${pitch} ${row} ${words}`, tighten, { PITCH: pitch, ROW: row, WORDS: words });
  const pass = gpu.recorder.ownPass(pipeline, [{ buffer: rows }, { buffer: tight }]);
  const groups = Math.ceil(words / 64);
  const x = Math.min(groups, 32768);
  pass.dispatchWorkgroups(x, Math.ceil(groups / x));
  pass.end();
}

const MIP_FORMATS = new Set([
  "rgba8unorm",
  "rgba8unorm-srgb",
  "bgra8unorm",
  "r8unorm",
  "rg8unorm",
  "r16float",
  "rg16float",
  "rgba16float",
  "r32float",
  "rg32float",
  "rgba32float",
]);

/** Fill the mip levels of a texture from level 0: each texel is the mean of four, a box filter. */
export async function makeMips(gpu: Gpu, handle: number): Promise<void> {
  const { texture, description } = gpu.textures.get(handle);
  const { format, dimension, mip_levels: levels } = description;
  if (!MIP_FORMATS.has(format) || dimension === "1d" || dimension === "3d") {
    throw new EngineError(
      "format",
      `mip levels are made for two-dimensional textures of the formats ${[...MIP_FORMATS].join(", ")}, not for ${dimension} ${format}`,
    );
  }
  const { device } = gpu;
  const module = device.createShaderModule({ code: halve });
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.FRAGMENT, texture: { sampleType: "unfilterable-float" } }],
  });
  const pipeline = await device.createRenderPipelineAsync({
    label: "mips",
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    vertex: { module },
    fragment: { module, targets: [{ format: format as GPUTextureFormat }] },
  });
  const encoder = gpu.recorder.commands();
  for (let layer = 0; layer < (description.size[2] ?? 1); layer++) {
    for (let level = 1; level < levels; level++) {
      const view = (at: number): GPUTextureView =>
        texture.createView({ dimension: "2d", baseMipLevel: at, mipLevelCount: 1, baseArrayLayer: layer, arrayLayerCount: 1 });
      const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: view(level - 1) }] });
      const pass = encoder.beginRenderPass({ colorAttachments: [{ view: view(level), loadOp: "clear", storeOp: "store" }] });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.draw(3);
      pass.end();
    }
  }
}
