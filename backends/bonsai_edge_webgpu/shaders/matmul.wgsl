// Products of a 1-bit matrix with int8 rows: 8 output features a workgroup, 8 threads each, which take every eighth block
// of 128 columns and are then added up in a fixed order, so that a result does not depend on what else is computed.
// Constants: TILE (rows a workgroup). Shapes are no constants, so that one kernel serves all matrices.

struct Shape {
  num_features: u32,
  num_blocks: u32,
  accumulate: u32,  // 1: add to what is there
}

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read> signs: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> weight_scales: array<u32>;
@group(0) @binding(3) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> scales: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> shape: Shape;
@group(0) @binding(6) var<uniform> num_rows: u32;

var<workgroup> partial: array<array<f32, TILE>, 64>;

const BYTES = 0x01010101u;

fn sum_of_ones(signs32: u32, at: u32) -> i32 {
  let low = quants[at];
  let high = quants[at + 1u];
  return dot4I8Packed(signs32 & BYTES, low.x)
    + dot4I8Packed(signs32 >> 1u & BYTES, low.y)
    + dot4I8Packed(signs32 >> 2u & BYTES, low.z)
    + dot4I8Packed(signs32 >> 3u & BYTES, low.w)
    + dot4I8Packed(signs32 >> 4u & BYTES, high.x)
    + dot4I8Packed(signs32 >> 5u & BYTES, high.y)
    + dot4I8Packed(signs32 >> 6u & BYTES, high.z)
    + dot4I8Packed(signs32 >> 7u & BYTES, high.w);
}

fn block_product(block_signs: vec4<u32>, block: u32) -> f32 {
  let at = block * 8u;
  let first = scales[block * 2u];
  let second = scales[block * 2u + 1u];
  return f32(sum_of_ones(block_signs.x, at)) * first.x + first.y
    + f32(sum_of_ones(block_signs.y, at + 2u)) * first.z + first.w
    + f32(sum_of_ones(block_signs.z, at + 4u)) * second.x + second.y
    + f32(sum_of_ones(block_signs.w, at + 6u)) * second.z + second.w;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let feature = workgroup.x * 8u + thread / 8u;
  let first_row = workgroup.y * TILE;
  var sums: array<f32, TILE>;
  if (feature < shape.num_features) {
    for (var block = thread % 8u; block < shape.num_blocks; block += 8u) {
      let at = feature * shape.num_blocks + block;
      let block_signs = signs[at];
      let scale = unpack2x16float(weight_scales[at / 2u])[at % 2u];
      for (var i = 0u; i < TILE; i++) {
        let row = min(first_row + i, num_rows - 1u);
        sums[i] += scale * block_product(block_signs, row * shape.num_blocks + block);
      }
    }
  }
  partial[thread] = sums;
  workgroupBarrier();
  if (thread % 8u == 0u && feature < shape.num_features) {
    for (var i = 0u; i < TILE && first_row + i < num_rows; i++) {
      var sum = 0.0;
      for (var lane = 0u; lane < 8u; lane++) {
        sum += partial[thread + lane][i];
      }
      let at = (first_row + i) * shape.num_features + feature;
      if (shape.accumulate == 1u) {
        sum += out[at];
      }
      out[at] = sum;
    }
  }
}
