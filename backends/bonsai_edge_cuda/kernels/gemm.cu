// Prefill: a Q1_0 matrix times many rows of rounded activations, on int8 tensor cores.
//
// A block computes 128 rows of the matrix for 64 tokens, a warp 32 by 32. Sign bits become bytes of 0 and 1 in registers.
// Blocks of 128 columns come through shared memory, two ahead. Whole numbers and the order of the sums are decode's.
#include "activation.cuh"
#include "quantized_rows.cuh"
#include "tiles.cuh"

namespace {

constexpr int kTiles = 4, kTokens = 64, kWarpTokens = 32, kWarps = 8, kStages = 3;
constexpr int kThreads = kWarps * kWarpLanes;
constexpr int kCodeWords = kBlockColumns / 4;
constexpr int kPaddedWords = kCodeWords + 4;  // so that the lanes of a warp read from different banks
constexpr int kTokenTiles = kWarpTokens / 8;

struct Activations {
  const uint32 *codes;
  const BlockHeader *headers;
  const float *factors;
  int num_tokens;
};

struct Stage {
  alignas(16) uint32 codes[kTokens][kPaddedWords];
  BlockHeader headers[kTokens];
  uint4 signs[kTiles][kWarpLanes];
  alignas(16) uint16 scales[kTiles][kWarpLanes];
};

// Sums of a warp's 32 rows and tokens: rows 16m + g, 16m + g + 8 of token tile n, tokens 2t, 2t + 1.
template <class T>
using Accumulators = T[2][kTokenTiles][4];

// Begin to copy a block of columns. Tiles and tokens that are not there are the last ones again.
__device__ __forceinline__ void copy_stage(const Matrix &matrix, int num_rows, const Activations &activations, int block,
                                           Stage &stage) {
  const int thread = threadIdx.x, last_token = activations.num_tokens - 1;
  const int first_tile = blockIdx.x * kTiles, last_tile = (num_rows - 1) / kTileRows;
#pragma unroll
  for (int part = thread; part < kTokens * kCodeWords / 4; part += kThreads) {
    const int token = part / (kCodeWords / 4), word = part % (kCodeWords / 4) * 4;
    const long long row = min(static_cast<int>(blockIdx.y) * kTokens + token, last_token);
    copy_ahead(&stage.codes[token][word], activations.codes + (row * matrix.num_blocks + block) * kCodeWords + word);
  }
  if (thread < kTokens) {
    const long long row = min(static_cast<int>(blockIdx.y) * kTokens + thread, last_token);
    copy_ahead(&stage.headers[thread], activations.headers + row * matrix.num_blocks + block);
  } else if (thread < kTokens + kTiles * kWarpLanes) {
    const int tile = (thread - kTokens) / kWarpLanes, lane = thread % kWarpLanes;
    copy_ahead(&stage.signs[tile][lane], matrix.signs + tile_entry(matrix, min(first_tile + tile, last_tile), block, lane));
  } else if (thread < kTokens + kTiles * (kWarpLanes + 4)) {
    const int part = thread - kTokens - kTiles * kWarpLanes, tile = part / 4, lane = part % 4 * 8;
    copy_ahead(&stage.scales[tile][lane], matrix.scales + tile_entry(matrix, min(first_tile + tile, last_tile), block, lane));
  }
}

// Add the products of a block of columns to the sums.
__device__ __forceinline__ void multiply_stage(const Stage &stage, int tile, int first_token, Accumulators<float> &sums) {
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  Accumulators<int> products = {};
#pragma unroll
  for (int group = 0; group < 4; ++group) {
    const uint4 signs = stage.signs[tile][4 * g + group];
    const uint32 words[4] = {signs.x, signs.y, signs.z, signs.w};
    uint32 a[2][4];
#pragma unroll
    for (int i = 0; i < 8; ++i) a[i / 4][i % 4] = words[i / 4 * 2 + i % 2] >> (t + i % 4 / 2 * 4) & 0x01010101u;
#pragma unroll
    for (int n = 0; n < kTokenTiles; ++n) {
      const uint32 *codes = stage.codes[first_token + 8 * n + g] + 8 * group + t;
      const BlockHeader *headers = stage.headers + first_token + 8 * n + 2 * t;
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        int d[4];
        mma_s8(d, a[m], codes[0], codes[4]);
#pragma unroll
        for (int i = 0; i < 4; ++i) products[m][n][i] += d[i] * headers[i % 2].multipliers[group];
      }
    }
  }
#pragma unroll
  for (int n = 0; n < kTokenTiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const BlockHeader &header = stage.headers[first_token + 8 * n + 2 * t + i % 2];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const float row_scale = half_to_float(stage.scales[tile][4 * g + 2 * m + i / 2]);
        // 1.5 * 2^23 holds whole numbers of 23 bits in its lowest ones: faster than a conversion.
        const float product = __int_as_float(2 * products[m][n][i] + 0x4b400000 - header.sum) - 12582912.0f;
        sums[m][n][i] = fmaf(product, row_scale * header.scale, sums[m][n][i]);
      }
    }
  }
}

// Call store(token, row, value of the row, value of the row 16 further on) for the tokens and the lower halves of tiles.
template <class Store>
__device__ __forceinline__ void multiply(const Matrix &matrix, int num_rows, const Activations &activations, Store store) {
  __shared__ Stage stages[kStages];
  launch_next_kernel();
  wait_for_previous_kernel();
  const int lane = lane_index(), g = lane / 4, t = lane % 4, tile = warp_index() % kTiles;
  const int first_token = warp_index() / kTiles * kWarpTokens;
  Accumulators<float> totals = {};
#pragma unroll
  for (int block = 0; block < kStages - 1; ++block) {
    if (block < matrix.num_blocks) copy_stage(matrix, num_rows, activations, block, stages[block]);
    commit_copies();
  }
  int block = 0;
#pragma unroll 1
  for (int segment = 0; segment < kSegments; ++segment) {
    Accumulators<float> sums = {};
#pragma unroll 1
    for (; block < segment_begin(segment + 1, matrix.num_blocks); ++block) {
      wait_for_copies<kStages - 2>();
      __syncthreads();  // all have this block, and none reads the one whose place is filled next
      const int ahead = block + kStages - 1;
      if (ahead < matrix.num_blocks) copy_stage(matrix, num_rows, activations, ahead, stages[ahead % kStages]);
      commit_copies();
      multiply_stage(stages[block % kStages], tile, first_token, sums);
    }
#pragma unroll
    for (int i = 0; i < 2 * kTokenTiles * 4; ++i)
      totals[i / 4 / kTokenTiles][i / 4 % kTokenTiles][i % 4] += sums[i / 4 / kTokenTiles][i / 4 % kTokenTiles][i % 4];
  }
#pragma unroll
  for (int n = 0; n < kTokenTiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = blockIdx.y * kTokens + first_token + 8 * n + 2 * t + i % 2;
      if (token >= activations.num_tokens) continue;
      const float factor = activations.factors[token];
      store(token, (blockIdx.x * kTiles + tile) * kTileRows + g + i / 2 * 8, totals[0][n][i] * factor,
            totals[1][n][i] * factor);
    }
  }
}

}  // namespace

#define GEMM(name)                                                                                                   \
  KERNEL(name, kThreads, const uint32 *codes, const BlockHeader *headers, const float *factors, int num_tokens,      \
         const uint4 *signs, const uint16 *scales, float *out, int num_rows, int num_blocks)

GEMM(gemm) {
  multiply({signs, scales, num_blocks}, num_rows, {codes, headers, factors, num_tokens},
           [=](int token, int row, float value, float value_after_16) {
             float *at = out + static_cast<long long>(token) * num_rows + row;
             if (row < num_rows) at[0] = value;
             if (row + 16 < num_rows) at[16] = value_after_16;
           });
}

GEMM(gemm_add) {
  multiply({signs, scales, num_blocks}, num_rows, {codes, headers, factors, num_tokens},
           [=](int token, int row, float value, float value_after_16) {
             float *at = out + static_cast<long long>(token) * num_rows + row;
             if (row < num_rows) at[0] += value;
             if (row + 16 < num_rows) at[16] += value_after_16;
           });
}

// Rows come in runs of 16 of gate and 16 of up.
GEMM(gemm_swiglu) {
  multiply({signs, scales, num_blocks}, num_rows, {codes, headers, factors, num_tokens},
           [=](int token, int row, float gate, float up) {
             const int index = row / kTileRows * (kTileRows / 2) + row % kTileRows;
             if (row < num_rows) out[static_cast<long long>(token) * (num_rows / 2) + index] = silu(gate) * up;
           });
}
