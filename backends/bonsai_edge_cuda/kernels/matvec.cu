// Decode: a Q1_0 matrix times one to eight columns of activations.
//
// A block of eight warps computes a tile of 32 rows, or some; each warp sums over an eighth of the columns. It rounds the
// activations of its own part, so no warp waits for another before the end, where the parts are added in their order.
// Rounding costs about as much as multiplying two tiles: where there are tiles enough, a block takes several.
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

// How a kernel shares out its work: columns of activations, tiles of a block, and blocks of 128 columns at a time.
template <int kColumns_, int kTiles_>
struct Shape {
  static constexpr int kColumns = kColumns_, kTiles = kTiles_;
  static constexpr int kLoads = kColumns > 2 ? 2 : 4;  // of weights under way, for each lane
  static constexpr int kChunk = kLoads > kTiles ? kLoads / kTiles : 1;
};

// What a warp keeps in shared memory: some blocks of activations, and at first its lanes' sums of squares, at the end
// their sums of products.
template <class S>
struct WarpMemory {
  DotInput blocks[S::kChunk][S::kColumns];
  float sums[S::kTiles][S::kColumns][kWarpLanes];
};

// Round the blocks first .. last - 1 of all columns, and add to the squares of what comes before the norm's weight.
template <class S>
__device__ __forceinline__ void prepare_chunk(const Input &input, int first, int last, int num_blocks, int lane,
                                              WarpMemory<S> &memory) {
#pragma unroll 1
  for (int column = 0; column < input.num_columns_used; ++column) {
    const long long row = input.rows ? input.rows[column] : column;
    float squares = memory.sums[0][column][lane];
#pragma unroll 1
    for (int block = first; block < last; ++block) {
      float x[4];
      load_block(input.x + row * num_blocks * kBlockColumns, input.weight, block, lane, x, squares);
      store_dot_input(memory.blocks[block - first][column], quantize_block(x), lane);
    }
    memory.sums[0][column][lane] = squares;
  }
}

template <class S>
struct Weights {
  uint4 signs[S::kChunk][S::kTiles];
  uint16 scales[S::kChunk][S::kTiles];
};

// Tiles that are not there are the last one again.
template <class S>
__device__ __forceinline__ void load_weights(const Matrix &matrix, int first_tile, int last_tile, int block, int last,
                                             int lane, Weights<S> &weights) {
#pragma unroll
  for (int i = 0; i < S::kChunk; ++i) {
    if (block + i >= last) break;
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) {
      const int entry = tile_entry(matrix, min(first_tile + tile, last_tile), block + i, lane);
      weights.signs[i][tile] = load_streamed(matrix.signs + entry);
      weights.scales[i][tile] = matrix.scales[entry];
    }
  }
}

// Sum over the warp's segment, for each tile and column a sum of the lane's row of the tile.
template <class S>
__device__ __forceinline__ void sum_segment(const Matrix &matrix, const Input &input, int first_tile, int last_tile,
                                            WarpMemory<S> &memory, float (&sums)[S::kTiles][S::kColumns]) {
  const int lane = lane_index(), first = segment_begin(warp_index(), matrix.num_blocks);
  const int last = segment_begin(warp_index() + 1, matrix.num_blocks);
  Weights<S> next;
  load_weights(matrix, first_tile, last_tile, first, last, lane, next);
  wait_for_previous_kernel();
#pragma unroll
  for (int column = 0; column < S::kColumns; ++column) {
    memory.sums[0][column][lane] = 0.0f;
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) sums[tile][column] = 0.0f;
  }
#pragma unroll 1
  for (int chunk = first; chunk < last; chunk += S::kChunk) {
    const Weights<S> weights = next;
    load_weights(matrix, first_tile, last_tile, chunk + S::kChunk, last, lane, next);
    __syncwarp();  // until all lanes have read what the chunk before left
    prepare_chunk(input, chunk, min(chunk + S::kChunk, last), matrix.num_blocks, lane, memory);
    __syncwarp();
#pragma unroll
    for (int i = 0; i < S::kChunk; ++i) {
      if (chunk + i >= last) break;
#pragma unroll
      for (int column = 0; column < S::kColumns; ++column) {
        if (column >= input.num_columns_used) break;
        const DotInput &block = memory.blocks[i][column];
#pragma unroll
        for (int tile = 0; tile < S::kTiles; ++tile) {
          const int product = 2 * dot_of_row(weights.signs[i][tile], block, lane) - block.sum;
          const float scale = half_to_float(weights.scales[i][tile]) * block.scale;
          sums[tile][column] = fmaf(static_cast<float>(product), scale, sums[tile][column]);
        }
      }
    }
  }
}

// Call store(column, row, value of the row, value of the row 16 further on) for every column and row of the tiles, a
// warp a tile and column. Values are those of RMSNorm(input) if the input has a weight.
template <class S, class Store>
__device__ __forceinline__ void multiply_tiles(const Matrix &matrix, int num_rows, const Input &input, float eps,
                                               Store store) {
  __shared__ WarpMemory<S> memory[kSegments];
  __shared__ float squares[S::kColumns][kSegments];
  const int lane = lane_index(), warp = warp_index(), first_tile = blockIdx.x * S::kTiles;
  const int last_tile = (num_rows - 1) / kTileRows;
  if (first_tile > last_tile) return;
  launch_next_kernel();
  float sums[S::kTiles][S::kColumns];
  sum_segment(matrix, input, first_tile, last_tile, memory[warp], sums);
#pragma unroll
  for (int column = 0; column < S::kColumns; ++column) {
    const float total = warp_total(memory[warp].sums[0][column][lane]);
    if (lane == 0) squares[column][warp] = total;
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) memory[warp].sums[tile][column][lane] = sums[tile][column];
  }
  __syncthreads();
#pragma unroll 1
  for (int part = warp; part < S::kTiles * input.num_columns_used; part += kSegments) {
    const int tile = part % S::kTiles, column = part / S::kTiles;
    float product = 0.0f, square = 0.0f;
#pragma unroll
    for (int segment = 0; segment < kSegments; ++segment) {
      product += memory[segment].sums[tile][column][lane];
      square += squares[column][segment];
    }
    if (input.weight) product *= inverse_rms(square, matrix.num_blocks * kBlockColumns, eps);
    const float after_16 = __shfl_xor_sync(kAllLanes, product, 2);
    store(column, (first_tile + tile) * kTileRows + row_of_lane(lane), product, after_16);
  }
}

template <class S>
__device__ __forceinline__ void project(const Input &input, float eps, const Matrix &matrix, float *out, int num_rows) {
  multiply_tiles<S>(matrix, num_rows, input, eps, [=](int column, int row, float value, float) {
    if (row < num_rows) out[static_cast<long long>(column) * num_rows + row] = value;
  });
}

template <class S>
__device__ __forceinline__ void project_add(const Input &input, const Matrix &matrix, float *out, int num_rows) {
  multiply_tiles<S>(matrix, num_rows, input, 0.0f, [=](int column, int row, float value, float) {
    if (row < num_rows) out[static_cast<long long>(column) * num_rows + row] += value;
  });
}

// Rows come in runs of 16 of gate and 16 of up.
template <class S>
__device__ __forceinline__ void gate_up(const Input &input, float eps, const Matrix &matrix, float *out, int num_rows) {
  multiply_tiles<S>(matrix, num_rows, input, eps, [=](int column, int row, float gate, float up) {
    const int index = row / kTileRows * (kTileRows / 2) + row % kTileRows;
    if (row % kTileRows < kTileRows / 2 && row < num_rows)
      out[static_cast<long long>(column) * (num_rows / 2) + index] = silu(gate) * up;
  });
}

}  // namespace

#define PROJECT(name, columns, tiles)                                                                                 \
  KERNEL(name##_c##columns, kThreads, const float *x, const int *rows, int num_columns_used, const float *norm,       \
         float eps, const uint4 *signs, const uint16 *scales, float *out, int num_rows, int num_blocks) {             \
    project<Shape<columns, tiles>>({x, rows, norm, num_columns_used}, eps, {signs, scales, num_blocks}, out,          \
                                   num_rows);                                                                         \
  }

#define MATVEC_KERNELS(columns)                                                                                       \
  PROJECT(project, columns, 1)                                                                                        \
  PROJECT(project_head, columns, (columns > 2 ? 2 : 4))                                                               \
  KERNEL(project_add_c##columns, kThreads, const float *in, int num_columns_used, const uint4 *signs,                 \
         const uint16 *scales, float *out, int num_rows, int num_blocks) {                                            \
    project_add<Shape<columns, 1>>({in, nullptr, nullptr, num_columns_used}, {signs, scales, num_blocks}, out,        \
                                   num_rows);                                                                         \
  }                                                                                                                   \
  KERNEL(gate_up_c##columns, kThreads, const float *x, int num_columns_used, const float *norm, float eps,            \
         const uint4 *signs, const uint16 *scales, float *out, int num_rows, int num_blocks) {                        \
    gate_up<Shape<columns, 2>>({x, nullptr, norm, num_columns_used}, eps, {signs, scales, num_blocks}, out,           \
                               num_rows);                                                                             \
  }

MATVEC_KERNELS(1)
MATVEC_KERNELS(2)
MATVEC_KERNELS(4)
MATVEC_KERNELS(8)
