/** Filling depth textures. */
import type { Gpu } from "./gpu.js";
import type { WriteTexture } from "./protocol.gen.js";
import type { Bytes } from "./session.js";
import depth from "./shaders/depth.wgsl";

export const DEPTH_FORMAT = "depth32float";

/** Draw rows of numbers between 0 and 1 into one layer of a depth texture. */
export async function writeDepth(gpu: Gpu, command: WriteTexture, bytes: Bytes): Promise<void> {
  const { device } = gpu;
  const { texture } = gpu.textures.get(command.texture);
  const [, top = 0, layer = 0] = command.origin;
  const [width = 1, height = 1] = command.size;
  const rows = device.createTexture({ format: "r32float", size: [width, height], usage: GPUTextureUsage.COPY_DST | GPUTextureUsage.TEXTURE_BINDING });
  device.queue.writeTexture({ texture: rows }, bytes, { bytesPerRow: command.bytes_per_row, rowsPerImage: height }, [width, height]);
  const module = device.createShaderModule({ code: depth });
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.FRAGMENT, texture: { sampleType: "unfilterable-float" } }],
  });
  const pipeline = await device.createRenderPipelineAsync({
    label: "depth",
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    vertex: { module },
    fragment: { module, targets: [] },
    depthStencil: { format: DEPTH_FORMAT, depthWriteEnabled: true, depthCompare: "always" },
  });
  const view = texture.createView({ dimension: "2d", baseArrayLayer: layer, arrayLayerCount: 1 });
  const pass = gpu.recorder.commands().beginRenderPass({
    colorAttachments: [],
    depthStencilAttachment: { view, depthLoadOp: "load", depthStoreOp: "store" },
  });
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: rows.createView() }] }));
  pass.setScissorRect(0, top, width, height);
  pass.draw(3, 1, 0, top);
  pass.end();
  gpu.recorder.defer(() => rows.destroy());
}
