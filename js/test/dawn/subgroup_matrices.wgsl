// A matrix that is stored into an array of floats: Dawn counts the bytes of the matrix, not of an element.
enable f16;
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(128) fn main() {
  let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 8, 8>, row_major>(&a, 0u, 8u);
  let right = subgroupMatrixLoad<subgroup_matrix_right<f16, 8, 8>, row_major>(&a, 64u, 8u);
  subgroupMatrixStore<row_major>(&out, 0u, subgroupMatrixMultiplyAccumulate(left, right, subgroup_matrix_result<f32, 8, 8>()), 8u);
}
