// A Q1_0 matrix on the device: tiles of 32 rows times 128 columns, their sign bits as tensor cores want them.
//
// signs: (num_tiles, num_blocks, 32) uint4: lane 4g + t holds word t, columns 32t to 32t + 31, of rows g, g + 8, g + 16
// and g + 24. scales: (num_tiles, num_blocks, 32) float16: lane 4g + t holds the scale of row g + 8t. Together they have
// as many bytes as in a GGUF file, whose blocks of 18 bytes could not be loaded 16 bytes at a time.
#pragma once

#include "quantization.cuh"

constexpr int kTileRows = 32;
constexpr int kBlockBytes = 18;  // GGUF: float16 scale, 128 sign bits

struct Matrix {
  const uint4 *signs;
  const uint16 *scales;
  int num_blocks;  // columns / 128
};

__device__ __forceinline__ int tile_entry(const Matrix &matrix, int tile, int block, int lane) {
  return (tile * matrix.num_blocks + block) * kWarpLanes + lane;
}

// The row of a tile whose sums a lane ends with.
__device__ __forceinline__ int row_of_lane(int lane) { return lane / 4 + 8 * (lane % 4); }
__device__ __forceinline__ int lane_of_row(int row) { return row % 8 * 4 + row / 8; }
