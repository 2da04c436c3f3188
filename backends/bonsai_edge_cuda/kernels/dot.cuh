// The product of a tile's signs with a block of activations, by the fastest instructions of the architecture.
//
// All ways compute the same whole numbers: for each row the sum of code * multiplier over the columns whose bit is set.
#pragma once

#include "tiles.cuh"

// One block of activations in shared memory. With bit planes: lane 4p + group holds planes p and 8 + p of its group.
// Without: word 8 * group + j holds the codes of columns j, j + 8, j + 16 and j + 24 of the group.
struct DotInput {
#if BONSAI_BIT_PLANES
  uint2 planes[kWarpLanes];
#else
  uint32 codes[kWarpLanes];
  int multipliers[4];
#endif
  float scale;
  int sum;
};

__device__ __forceinline__ void store_dot_input(DotInput &input, const QuantizedBlock &block, int lane) {
#if BONSAI_BIT_PLANES
  input.planes[lane % 8 * 4 + lane / 8] = bit_planes(block, lane);
#else
  input.codes[lane] = packed_codes(block);
  if (lane % 8 == 0) input.multipliers[lane / 8] = block.multiplier;
#endif
  if (lane == 0) {
    input.scale = block.scale;
    input.sum = block.sum;
  }
}

// Sum four values over the four lanes of a quad; lane t receives the total of value t.
__device__ __forceinline__ int distribute_totals(const int (&values)[4], int lane) {
  const bool is_upper = lane & 2, is_odd = lane & 1;
  int kept[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int given = is_upper ? values[i] : values[2 + i];
    kept[i] = (is_upper ? values[2 + i] : values[i]) + __shfl_xor_sync(kAllLanes, given, 2);
  }
  return (is_odd ? kept[1] : kept[0]) + __shfl_xor_sync(kAllLanes, is_odd ? kept[0] : kept[1], 1);
}

#if BONSAI_BIT_PLANES

// Two planes of the low and two of the high byte meet in a lane, for rows g and g + 8 of the two halves of the tile.
__device__ __forceinline__ int dot_of_row(const uint4 &signs, const DotInput &input, int lane) {
  const uint2 planes = input.planes[lane];
  const int first = 1 << lane % 4 * 2;
  const int values[4] = {first, first * 2, first * 256, lane % 4 == 3 ? -(1 << 15) : first * 512};
  const uint32 words[4] = {signs.x, signs.y, signs.z, signs.w};
  int sums[4];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    int low[4], high[4];
    mma_b1(low, words[2 * half], words[2 * half + 1], planes.x);
    mma_b1(high, words[2 * half], words[2 * half + 1], planes.y);
    for (int i = 0; i < 2; ++i)
      sums[2 * half + i] = low[2 * i] * values[0] + low[2 * i + 1] * values[1] + high[2 * i] * values[2] +
                           high[2 * i + 1] * values[3];
  }
  return distribute_totals(sums, lane);
}

#else

// Byte b of word k of the codes belongs to bit 8b + k of the signs.
__device__ __forceinline__ int dot_of_row(const uint4 &signs, const DotInput &input, int lane) {
  const int group = lane % 4;
  const uint32 words[4] = {signs.x, signs.y, signs.z, signs.w};
  int sums[4] = {};
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const uint32 codes = input.codes[8 * group + k];
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[i] = dot_s8(words[i] >> k & 0x01010101u, codes, sums[i]);
  }
  for (int i = 0; i < 4; ++i) sums[i] *= input.multipliers[group];
  return distribute_totals(sums, lane);
}

#endif
