// Decode: a Q1_0 matrix times one to eight columns of activations.
//
// A block of eight warps computes one tile of 32 rows; each warp sums over an eighth of the columns. It rounds the
// activations of its own part, so no warp waits for another before the end, where the parts are added in their order.
#include "activation.cuh"
#include "dot.cuh"

namespace {

constexpr int kThreads = kSegments * kWarpLanes;

// The vectors that are multiplied: column c is row `rows[c]` of x if there are rows, else row c; times `weight` if any.
struct Input {
  const float *x;
  const int *rows;
  const float *weight;
  int num_columns_used;
};

// What a warp keeps in shared memory: some blocks of activations, and first its lanes' sums of squares, at the end their
// sums of products.
template <int kColumns, int kChunk>
struct WarpMemory {
  DotInput blocks[kChunk][kColumns];
  float sums[kColumns][kWarpLanes];
};

// Round the blocks first .. last - 1 of all columns, and add to the squares of what comes before the norm's weight.
template <int kColumns, int kChunk>
__device__ __forceinline__ void prepare_chunk(const Input &input, int first, int last, int num_blocks, int lane,
                                              WarpMemory<kColumns, kChunk> &memory) {
#pragma unroll 1
  for (int column = 0; column < input.num_columns_used; ++column) {
    const long long row = input.rows ? input.rows[column] : column;
    float squares = memory.sums[column][lane];
#pragma unroll 1
    for (int block = first; block < last; ++block) {
      float x[4];
      load_block(input.x + row * num_blocks * kBlockColumns, input.weight, block, lane, x, squares);
      store_dot_input(memory.blocks[block - first][column], quantize_block(x), lane);
    }
    memory.sums[column][lane] = squares;
  }
}

template <int kCount>
__device__ __forceinline__ void load_weights(const Matrix &matrix, int tile, int block, int last, int lane,
                                             uint4 (&signs)[kCount], uint16 (&scales)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (block + i >= last) break;
    const int entry = tile_entry(matrix, tile, block + i, lane);
    signs[i] = load_streamed(matrix.signs + entry);
    scales[i] = matrix.scales[entry];
  }
}

// Sum over the blocks first .. last - 1, for each column a sum of the lane's row of the tile.
template <int kColumns, int kChunk>
__device__ __forceinline__ void sum_segment(const Matrix &matrix, const Input &input, int tile, int first, int last,
                                            WarpMemory<kColumns, kChunk> &memory, float (&sums)[kColumns]) {
  const int lane = lane_index();
  uint4 signs[kChunk], next_signs[kChunk];
  uint16 scales[kChunk], next_scales[kChunk];
  load_weights(matrix, tile, first, last, lane, next_signs, next_scales);
  wait_for_previous_kernel();
  for (int column = 0; column < kColumns; ++column) memory.sums[column][lane] = sums[column] = 0.0f;
#pragma unroll 1
  for (int chunk = first; chunk < last; chunk += kChunk) {
    for (int i = 0; i < kChunk; ++i) signs[i] = next_signs[i], scales[i] = next_scales[i];
    load_weights(matrix, tile, chunk + kChunk, last, lane, next_signs, next_scales);
    __syncwarp();  // until all lanes have read what the chunk before left
    prepare_chunk(input, chunk, min(chunk + kChunk, last), matrix.num_blocks, lane, memory);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      if (chunk + i >= last) break;
      const float row_scale = half_to_float(scales[i]);
#pragma unroll
      for (int column = 0; column < kColumns; ++column) {
        if (column >= input.num_columns_used) break;
        const DotInput &block = memory.blocks[i][column];
        const int product = 2 * dot_of_row(signs[i], block, lane) - block.sum;
        sums[column] = fmaf(static_cast<float>(product), row_scale * block.scale, sums[column]);
      }
    }
  }
}

// Call store(column, row, value of the row, value of the row 16 further on) for every row of the tile and column, by
// the warp that owns the column. Values are those of RMSNorm(input) if the input has a weight.
template <int kColumns, class Store>
__device__ __forceinline__ void multiply_tile(const Matrix &matrix, const Input &input, float eps, Store store) {
  constexpr int kChunk = kColumns > 2 ? 2 : 4;  // blocks whose activations are in shared memory at a time
  __shared__ WarpMemory<kColumns, kChunk> memory[kSegments];
  __shared__ float squares[kColumns][kSegments];
  launch_next_kernel();
  const int lane = lane_index(), warp = warp_index(), tile = blockIdx.x;
  float sums[kColumns];
  sum_segment(matrix, input, tile, segment_begin(warp, matrix.num_blocks), segment_begin(warp + 1, matrix.num_blocks),
              memory[warp], sums);
#pragma unroll
  for (int column = 0; column < kColumns; ++column) {
    const float total = warp_total(memory[warp].sums[column][lane]);
    if (lane == 0) squares[column][warp] = total;
    memory[warp].sums[column][lane] = sums[column];
  }
  __syncthreads();
  const int column = warp;
  if (column >= input.num_columns_used) return;
  float product = 0.0f, square = 0.0f;
  for (int segment = 0; segment < kSegments; ++segment) {
    product += memory[segment].sums[column][lane];
    square += squares[column][segment];
  }
  if (input.weight) product *= inverse_rms(square, matrix.num_blocks * kBlockColumns, eps);
  store(column, tile * kTileRows + row_of_lane(lane), product, __shfl_xor_sync(kAllLanes, product, 2));
}

template <int kColumns>
__device__ __forceinline__ void project(const Input &input, float eps, const Matrix &matrix, float *out, int num_rows) {
  multiply_tile<kColumns>(matrix, input, eps, [=](int column, int row, float value, float) {
    if (row < num_rows) out[static_cast<long long>(column) * num_rows + row] = value;
  });
}

template <int kColumns>
__device__ __forceinline__ void project_add(const Input &input, const Matrix &matrix, float *out, int num_rows) {
  multiply_tile<kColumns>(matrix, input, 0.0f, [=](int column, int row, float value, float) {
    if (row < num_rows) out[static_cast<long long>(column) * num_rows + row] += value;
  });
}

// Rows come in runs of 16 of gate and 16 of up.
template <int kColumns>
__device__ __forceinline__ void gate_up(const Input &input, float eps, const Matrix &matrix, float *out, int num_rows) {
  multiply_tile<kColumns>(matrix, input, eps, [=](int column, int row, float gate, float up) {
    const int index = row / kTileRows * (kTileRows / 2) + row % kTileRows;
    if (row % kTileRows < kTileRows / 2 && row < num_rows)
      out[static_cast<long long>(column) * (num_rows / 2) + index] = silu(gate) * up;
  });
}

}  // namespace

#define MATVEC_KERNELS(columns)                                                                                       \
  KERNEL(project_c##columns, kThreads, const float *x, const int *rows, int num_columns_used, const float *norm,      \
         float eps, const uint4 *signs, const uint16 *scales, float *out, int num_rows, int num_blocks) {             \
    project<columns>({x, rows, norm, num_columns_used}, eps, {signs, scales, num_blocks}, out, num_rows);             \
  }                                                                                                                   \
  KERNEL(project_add_c##columns, kThreads, const float *in, int num_columns_used, const uint4 *signs,                 \
         const uint16 *scales, float *out, int num_rows, int num_blocks) {                                            \
    project_add<columns>({in, nullptr, nullptr, num_columns_used}, {signs, scales, num_blocks}, out, num_rows);       \
  }                                                                                                                   \
  KERNEL(gate_up_c##columns, kThreads, const float *x, int num_columns_used, const float *norm, float eps,            \
         const uint4 *signs, const uint16 *scales, float *out, int num_rows, int num_blocks) {                        \
    gate_up<columns>({x, nullptr, norm, num_columns_used}, eps, {signs, scales, num_blocks}, out, num_rows);          \
  }

MATVEC_KERNELS(1)
MATVEC_KERNELS(2)
MATVEC_KERNELS(4)
MATVEC_KERNELS(8)
