// What brings weights to the device, and token embeddings out of them.
#include "tiles.cuh"

// Copy GGUF rows to their places in tiles: row r becomes row r / run * stride + offset + r % run. A thread a block.
KERNEL(repack_q1_0, 256, const uint16 *rows, uint32 *signs, uint16 *scales, int num_rows, int num_blocks, int run,
       int stride, int offset) {
  const long long index = blockIdx.x * 256LL + threadIdx.x;
  if (index >= static_cast<long long>(num_rows) * num_blocks) return;
  const int row = static_cast<int>(index / num_blocks), block = static_cast<int>(index % num_blocks);
  const uint16 *source = rows + index * (kBlockBytes / 2);
  const int target = row / run * stride + offset + row % run;
  const long long entry = (static_cast<long long>(target / kTileRows) * num_blocks + block) * kWarpLanes;
  const int row_in_tile = target % kTileRows;
  scales[entry + lane_of_row(row_in_tile)] = source[0];
  for (int word = 0; word < 4; ++word) {
    const uint32 bits = source[1 + 2 * word] | static_cast<uint32>(source[2 + 2 * word]) << 16;
    signs[(entry + row_in_tile % 8 * 4 + word) * 4 + row_in_tile / 8] = bits;
  }
}

// x (num_rows, 128 * num_blocks) = the rows of the embedding for the tokens. A thread a column of a block.
KERNEL(embed, 128, const int *token_ids, const uint32 *signs, const uint16 *scales, float *x, int num_blocks) {
  launch_next_kernel();
  wait_for_previous_kernel();
  const int token = token_ids[blockIdx.x], row_in_tile = token % kTileRows, column = threadIdx.x;
  for (int block = 0; block < num_blocks; ++block) {
    const long long entry = (static_cast<long long>(token / kTileRows) * num_blocks + block) * kWarpLanes;
    const float scale = half_to_float(scales[entry + lane_of_row(row_in_tile)]);
    const uint32 bits = signs[(entry + row_in_tile % 8 * 4 + column / 32) * 4 + row_in_tile / 8];
    const bool is_positive = bits >> column % 32 & 1;
    x[(static_cast<long long>(blockIdx.x) * num_blocks + block) * kBlockColumns + column] = is_positive ? scale : -scale;
  }
}
