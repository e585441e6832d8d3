import { beforeAll, expect, test, vi } from "vitest";
import { layoutEntry, usesSubgroupMatrices } from "../src/pipelines.js";
import { ModuleReflection } from "../src/reflection.js";

beforeAll(() => {
  vi.stubGlobal("GPUShaderStage", { COMPUTE: 4 });
});

const MATRICES = `enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(32) fn main() {
  subgroupMatrixStore<row_major>(&out, 0u, subgroup_matrix_result<f32, 16, 16>(), 16u);
}`;
const PLAIN = `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(32) fn main() { out[0] = 1; }`;

test.each([
  ["a module that stores a matrix leaves the size to each dispatch", MATRICES, 0],
  ["others promise one element", PLAIN, 4],
])("%s", (_, source, size) => {
  const [binding] = new ModuleReflection(source).reflection.bindings;
  if (!binding) throw new Error("out is not seen");
  expect(layoutEntry(binding, usesSubgroupMatrices(source)).buffer?.minBindingSize).toBe(size);
});
