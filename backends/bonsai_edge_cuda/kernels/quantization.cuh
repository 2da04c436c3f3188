// Activations as int8: a warp rounds a block of 128 columns at a time.
//
// Every group of 32 columns has a scale of its own, which is a whole multiple, 1 to 256, of one float that the block
// shares. So the sum of a block's products is a whole number, whichever instructions compute it, and it fits in 23 bits.
#pragma once

#include "primitives.cuh"

constexpr int kBlockColumns = 128;
constexpr int kSegments = 8;  // Sums over columns are made in so many parts, one a warp, and added in their order.
constexpr int kFinestMultiplier = 256;
constexpr float kLargestCode = 127.0f;
constexpr float kSmallestPeak = 1e-32f;  // the inverse of a step must be a number; a block below this counts as zeros
constexpr float kLargestFloat = 3.402823466e+38f;

// Lane 8 * group + j holds columns j, j + 8, j + 16, j + 24 of its group of 32.
__device__ __forceinline__ int first_column_of_lane(int lane) { return lane / 8 * 32 + lane % 8; }

struct QuantizedBlock {
  int codes[4];    // of the lane's columns
  int multiplier;  // of the lane's group
  float scale;     // of the block: a column is code * multiplier * scale
  int sum;         // of code * multiplier over the block
};

// Where a segment begins: `segment` may be kSegments.
__device__ __forceinline__ int segment_begin(int segment, int num_blocks) { return segment * num_blocks / kSegments; }

__device__ __forceinline__ uint32 magnitude_bits(float x) { return __float_as_uint(x) & 0x7fffffffu; }

// Load the lane's four columns of a block of a row, add their squares, and apply the weight of the norm, if there is one.
__device__ __forceinline__ void load_block(const float *row, const float *weight, int block, int lane, float (&x)[4],
                                           float &squares) {
  const int first = block * kBlockColumns + first_column_of_lane(lane);
#pragma unroll
  for (int i = 0; i < 4; ++i) x[i] = row[first + 8 * i];
  if (!weight) return;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    squares = fmaf(x[i], x[i], squares);
    x[i] *= weight[first + 8 * i];
  }
}

// Magnitudes are compared as whole numbers, so that a NaN is the largest and reaches the scale.
__device__ __forceinline__ QuantizedBlock quantize_block(const float (&x)[4]) {
  uint32 peak = max(max(magnitude_bits(x[0]), magnitude_bits(x[1])), max(magnitude_bits(x[2]), magnitude_bits(x[3])));
#pragma unroll
  for (int distance = 1; distance < 8; distance *= 2) peak = max(peak, __shfl_xor_sync(kAllLanes, peak, distance));
  const float group_peak = __uint_as_float(peak), block_peak = __uint_as_float(warp_max(peak));
  QuantizedBlock block;
  const float multiplier =
      block_peak > kSmallestPeak ? fminf(ceilf(group_peak * reciprocal(block_peak) * kFinestMultiplier), kFinestMultiplier) : 0.0f;
  block.multiplier = block_peak <= kLargestFloat ? static_cast<int>(multiplier) : 0;  // not if it is no number
  block.scale = block_peak * (1.0f / (kLargestCode * kFinestMultiplier));
  const float step = block.scale * multiplier;
  const float inverse = block.multiplier > 0 ? reciprocal(step) : 0.0f;
#pragma unroll
  for (int i = 0; i < 4; ++i) block.codes[i] = round_to_int(x[i] * inverse);
  block.sum = warp_sum((block.codes[0] + block.codes[1] + block.codes[2] + block.codes[3]) * block.multiplier);
  return block;
}

struct BytePlanes {
  uint32 low, high;
};

// The lower bytes of four numbers, and their second ones.
__device__ __forceinline__ BytePlanes split_bytes(int x0, int x1, int x2, int x3) {
  const uint32 pair0 = __byte_perm(x0, x1, 0x5140), pair1 = __byte_perm(x2, x3, 0x5140);
  return {__byte_perm(pair0, pair1, 0x5410), __byte_perm(pair0, pair1, 0x7632)};
}

// The codes of the lane's columns as int8, the first in the lowest byte.
__device__ __forceinline__ uint32 packed_codes(const QuantizedBlock &block) {
  return split_bytes(block.codes[0], block.codes[1], block.codes[2], block.codes[3]).low;
}

// Exchange rows and columns of four 8 × 8 bit matrices: row j is lane j of each eight, and the bytes are the matrices.
// At each of three stages a lane keeps half of its bits and takes the others from its partner's, moved up or down.
__device__ __forceinline__ uint32 transpose_bits(uint32 rows, int lane) {
  const uint32 kept_by_lower[3] = {0x0f0f0f0fu, 0x33333333u, 0x55555555u};
#pragma unroll
  for (int stage = 0; stage < 3; ++stage) {
    const int distance = 4 >> stage;
    const bool is_upper = lane & distance;
    const uint32 kept = is_upper ? ~kept_by_lower[stage] : kept_by_lower[stage];
    const uint32 other = __shfl_xor_sync(kAllLanes, rows, distance);
    const uint32 moved = __funnelshift_l(other, other, is_upper ? 32 - distance : distance);
    rows = (rows & kept) | (moved & ~kept);
  }
  return rows;
}

// Return bit planes of code * multiplier, two's complement of 16 bits: lane 8 * group + p receives planes p and 8 + p of
// its group; bit i is column i.
__device__ __forceinline__ uint2 bit_planes(const QuantizedBlock &block, int lane) {
  const BytePlanes bytes = split_bytes(block.codes[0] * block.multiplier, block.codes[1] * block.multiplier,
                                       block.codes[2] * block.multiplier, block.codes[3] * block.multiplier);
  return make_uint2(transpose_bits(bytes.low, lane), transpose_bits(bytes.high, lane));
}

// 1 / √(mean square + eps) from the sum of squares.
__device__ __forceinline__ float inverse_rms(float sum_of_squares, int num_columns, float eps) {
  return 1.0f / sqrtf(sum_of_squares / num_columns + eps);
}

__device__ __forceinline__ float warp_total(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(kAllLanes, x, distance);
  return x;
}
