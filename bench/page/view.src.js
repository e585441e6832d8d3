// A shader view and a bare requestAnimationFrame loop of the same shader, in turns, in one page. Posts what it found to /done.
import { Runtime, registry } from "../../js/src/runtime.js";
import { Painter } from "../../js/src/views/shader/painter.js";
import { drawPixels } from "../../js/src/views/shader/pixels.js";
import { Player } from "../../js/src/views/shader/player.js";

const query = new URLSearchParams(location.search);
const SIZE = [Number(query.get("width") ?? 1280), Number(query.get("height") ?? 720)];
const SECONDS = Number(query.get("seconds") ?? 4);
const TURNS = Number(query.get("turns") ?? 3);
// Two spheres and a floor, marched: some hundred evaluations a pixel.
const IMAGE = `
fn field(p: vec3f, time: f32) -> f32 {
  let ball = length(p - vec3f(0.7 * sin(time), 0.4 + 0.2 * cos(2.0 * time), 0.0)) - 0.5;
  return min(min(ball, length(p - vec3f(-0.6, 0.3, 0.4)) - 0.4), p.y + 0.3);
}
fn image(position: vec2f, time: f32) -> vec4f {
  let q = (2.0 * position - vec2f(${SIZE[0]}.0, ${SIZE[1]}.0)) / ${SIZE[1]}.0;
  let ray = normalize(vec3f(q.x, -q.y, 1.8));
  let eye = vec3f(0.0, 0.6, -3.0);
  var far = 0.0;
  for (var i = 0; i < 80; i++) {
    let near = field(eye + far * ray, time);
    if (near < 0.001 || far > 20.0) { break; }
    far += near;
  }
  let p = eye + far * ray;
  let e = vec2f(0.001, 0.0);
  let normal = normalize(vec3f(field(p + e.xyy, time) - field(p - e.xyy, time), field(p + e.yxy, time) - field(p - e.yxy, time), field(p + e.yyx, time) - field(p - e.yyx, time)));
  let light = max(dot(normal, normalize(vec3f(0.6, 0.8, -0.5))), 0.0);
  return vec4f(mix(vec3f(0.9, 0.6, 0.3) * light, vec3f(0.5, 0.7, 0.9), clamp(far / 20.0, 0.0, 1.0)), 1.0);
}`;
const BARE = `${IMAGE}
@group(0) @binding(0) var<uniform> now: vec4f;
@vertex fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(i % 2u) * 4.0 - 1.0, f32(i / 2u) * 4.0 - 1.0, 0.0, 1.0);
}
@fragment fn draw(@builtin(position) at: vec4f) -> @location(0) vec4f { return image(at.xy, now.x); }`;

const frame = () => new Promise(requestAnimationFrame);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function modelOf(traits) {
  const heard = new Map();
  return {
    get: (name) => traits[name],
    set: (name, value) => {
      traits[name] = value;
      for (const act of heard.get(`change:${name}`) ?? []) act();
    },
    save_changes: () => undefined,
    on: (name, act) => heard.set(name, [...(heard.get(name) ?? []), act]),
    off: () => undefined,
    send: () => undefined,
  };
}

class Bare {
  constructor(device) {
    this.device = device;
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = SIZE;
    this.canvas.style.cssText = "display:block;width:640px";
    this.format = navigator.gpu.getPreferredCanvasFormat();
    this.uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  }

  async compile(format) {
    const module = this.device.createShaderModule({ code: BARE });
    await module.getCompilationInfo();
    const pipeline = await this.device.createRenderPipelineAsync({ layout: "auto", vertex: { module }, fragment: { module, targets: [{ format }] } });
    const group = this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: this.uniform } }] });
    return { pipeline, group };
  }

  draw({ pipeline, group }, view, time, after = () => undefined) {
    const { device } = this;
    device.queue.writeBuffer(this.uniform, 0, new Float32Array([time, 0, 0, 0]));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginRenderPass({ colorAttachments: [{ view, loadOp: "clear", storeOp: "store" }] });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.draw(3);
    pass.end();
    after(encoder);
    device.queue.submit([encoder.finish()]);
  }

  /** The picture of a time, read back. */
  async pixels(time) {
    const made = await this.compile("rgba8unorm");
    const [width, height] = SIZE;
    const bytesPerRow = Math.ceil((4 * width) / 256) * 256;
    const texture = this.device.createTexture({ size: SIZE, format: "rgba8unorm", usage: GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC });
    const buffer = this.device.createBuffer({ size: bytesPerRow * height, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this.draw(made, texture.createView(), time, (encoder) => encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, SIZE));
    await buffer.mapAsync(GPUMapMode.READ);
    const rows = new Uint8Array(buffer.getMappedRange());
    const tight = new Uint8Array(4 * width * height);
    for (let row = 0; row < height; row++) tight.set(rows.subarray(row * bytesPerRow, row * bytesPerRow + 4 * width), 4 * row * width);
    return tight;
  }

  async run() {
    document.body.replaceChildren(this.canvas);
    const context = this.canvas.getContext("webgpu");
    context.configure({ device: this.device, format: this.format, alphaMode: "opaque" });
    const made = await this.compile(this.format);
    const compiled = performance.now();
    this.draw(made, context.getCurrentTexture().createView(), 0);
    await this.device.queue.onSubmittedWorkDone();
    const first = performance.now() - compiled;
    let [frames, spent] = [0, 0];
    const begun = await frame();
    let now = begun;
    while (now - begun < 1000 * SECONDS) {
      const start = performance.now();
      this.draw(made, context.getCurrentTexture().createView(), (now - begun) / 1000);
      spent += performance.now() - start;
      frames++;
      now = await frame();
    }
    return { frames_per_second: (1000 * frames) / (now - begun), first_frame_ms: first, script_ms_a_frame: spent / frames };
  }
}

/** How many pixels of a canvas are bright in red, as it is shown: between two frames it may have nothing to copy. */
async function litPixels(canvas) {
  let lit = 0;
  for (let tries = 0; tries < 20 && lit === 0; tries++) {
    await frame();
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) if (data[at] > 100) lit++;
  }
  return lit;
}

async function runView(runtime) {
  const place = document.createElement("div");
  document.body.replaceChildren(place);
  registry().set("bench", runtime);
  const traits = { source: IMAGE, playing: true, time: 0, size: SIZE, mouse: [0, 0, 0, 0], error: "", status: {}, view_id: "v", gpu_id: "bench", transport: "comm", uniforms: [], _inputs: {} };
  const player = new Player(modelOf(traits));
  player.attach(place);
  const root = place.querySelector(".wgsv");
  const end = performance.now() + 20_000;
  while (Number(root.dataset.frame ?? 0) < 2 && performance.now() < end) await pause(5);
  const count = () => Number(root.dataset.frame);
  const begun = await frame();
  const from = count();
  let now = begun;
  while (now - begun < 1000 * SECONDS) now = await frame();
  const rate = (1000 * (count() - from)) / (now - begun);
  const lit = await litPixels(root.querySelector("canvas"));
  await pause(600);
  const found = {
    lit_pixels: lit,
    frames_per_second: rate,
    first_frame_ms: traits.status.first_frame_ms,
    compile_ms: traits.status.compile_ms,
    context: root.querySelector("canvas").dataset.kind,
    says: root.querySelector(".wgsv-info").textContent,
    problem: root.querySelector(".wgsv-problem").textContent,
  };
  player.destroy();
  return found;
}

async function main() {
  const runtime = new Runtime("page");
  const gpu = await runtime.engine.device();
  const { vendor, architecture, is_fallback: isFallback } = gpu.info;
  if (isFallback) throw new Error("a bare WebGPU canvas ends SwiftShader: this wants a GPU");
  const bare = new Bare(gpu.device);
  // The same picture, or the rates mean nothing.
  const painter = await Painter.build(gpu, IMAGE, {});
  const ours = await drawPixels(gpu, painter, { time: 1.5, delta: 0, frame: 0, size: SIZE, mouse: [0, 0, 0, 0] }, {}, 1, new AbortController().signal);
  const theirs = await bare.pixels(1.5);
  const largest = ours.bytes.reduce((most, byte, at) => Math.max(most, Math.abs(byte - theirs[at])), 0);
  const lit = theirs.filter((byte, at) => at % 4 === 0 && byte > 100).length;
  const turns = [];
  for (let turn = 0; turn < TURNS; turn++) turns.push({ bare: await bare.run(), view: await runView(runtime) });
  return { adapter: `${vendor} ${architecture}`, size: SIZE, turns, largest_difference: largest, lit_pixels: lit };
}

main()
  .catch((error) => ({ failed: String(error?.stack ?? error) }))
  .then((found) => fetch("/done", { method: "POST", body: JSON.stringify(found) }));
