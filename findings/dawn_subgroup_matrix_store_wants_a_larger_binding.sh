#!/usr/bin/env bash
# WebGPU, Dawn: a layout whose minBindingSize is what WebGPU's rule gives for the variable (array<f32>: one element, 4 bytes)
# is refused as soon as the entry point moves a subgroup matrix through that variable: "The shader uses more bytes of the
# buffer (256) than the layout's minBindingSize (4)". Dawn counts a subgroupMatrixLoad or -Store as a use of as many bytes
# as the matrix has (8 x 8 floats: 256; 8 x 8 halves: 128), whatever the offset, and whatever the declared type.
# Nothing in the module's declarations shows it: one that reflects WGSL to make explicit layouts has to read the bodies.
# Whom it hurts: engines with explicit bind group layouts (for dynamic offsets, say) on GPUs with matrix units: the same
# layout is right for the module without the matrix, and for every adapter without the feature, so tests on a CPU pass.
# Expected: the minimum of the declared type, as for any other access by an index; robustness covers the rest.
# What helps: minBindingSize 0, which leaves the comparison to each dispatch, or layout "auto".
# Seen with npm webgpu 0.6.2 (Dawn; its null backend has the feature) and Node 20, on 2026-12-01; the same words in
# Chromium 156.0.8078.114 on an NVIDIA H200 for 16 x 16 floats (1024).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund webgpu@0.6.2
cat > layouts.mjs <<'JS'
import { readFileSync } from "node:fs";
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
console.log(`webgpu ${JSON.parse(readFileSync("node_modules/webgpu/package.json")).version}, Node ${process.versions.node.split(".")[0]}`);
const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: ["chromium-experimental-subgroup-matrix", "shader-f16"] });
const around = (body) => `enable f16;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read_write> values: array<BODY>;
@compute @workgroup_size(128) fn main() { ${body} }`;
const modules = {
  "one element": around("values[0] = 1;").replace("BODY", "f32"),
  "a matrix of 8 x 8 floats": around("subgroupMatrixStore<row_major>(&values, 0u, subgroup_matrix_result<f32, 8, 8>(), 8u);").replace("BODY", "f32"),
  "a matrix of 8 x 8 halves": around("_ = subgroupMatrixLoad<subgroup_matrix_left<f16, 8, 8>, row_major>(&values, 0u, 8u);").replace("BODY", "f16"),
};

async function taken(code, minBindingSize) {
  device.pushErrorScope("validation");
  const entries = [{ binding: 0, visibility: 4, buffer: { type: "storage", minBindingSize } }];
  const layout = device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
  device.createComputePipeline({ layout, compute: { module: device.createShaderModule({ code }) } });
  return (await device.popErrorScope())?.message.split("\n")[0] ?? "taken";
}

const seen = {};
for (const [name, code] of Object.entries(modules)) {
  for (const size of [0, 4, 128, 256]) {
    const said = await taken(code, size);
    seen[`${name}, ${size}`] = said === "taken";
    console.log(`${name}, minBindingSize ${size}: ${said}`);
  }
}
const refused = Object.keys(seen).filter((key) => !seen[key]);
const described = ["a matrix of 8 x 8 floats, 4", "a matrix of 8 x 8 floats, 128", "a matrix of 8 x 8 halves, 4"];
const same = JSON.stringify(refused) === JSON.stringify(described);
console.log(same ? "as described" : "THE BEHAVIOUR HAS CHANGED");
process.exit(same ? 0 : 1);
JS
node layouts.mjs 2>/dev/null
# Output seen:
# webgpu 0.6.2, Node 20
# one element, minBindingSize 0: taken
# one element, minBindingSize 4: taken
# one element, minBindingSize 128: taken
# one element, minBindingSize 256: taken
# a matrix of 8 x 8 floats, minBindingSize 0: taken
# a matrix of 8 x 8 floats, minBindingSize 4: The shader uses more bytes of the buffer (256) than the layout's minBindingSize (4).
# a matrix of 8 x 8 floats, minBindingSize 128: The shader uses more bytes of the buffer (256) than the layout's minBindingSize (128).
# a matrix of 8 x 8 floats, minBindingSize 256: taken
# a matrix of 8 x 8 halves, minBindingSize 0: taken
# a matrix of 8 x 8 halves, minBindingSize 4: The shader uses more bytes of the buffer (128) than the layout's minBindingSize (4).
# a matrix of 8 x 8 halves, minBindingSize 128: taken
# a matrix of 8 x 8 halves, minBindingSize 256: taken
# as described
