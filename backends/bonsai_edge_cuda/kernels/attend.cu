// Decode's attention: blocks share out a row's chunks of 128 positions, and the last to end merges them in their order.
#include "attention.cuh"

namespace {

constexpr int kWarps = kChunkPages;  // a warp a page for the scores, and a part of the columns each for the values
constexpr int kThreads = kWarps * kWarpLanes;

struct Partials {
  float *out;         // (rows, num_kv_heads, max_chunks, group, head_dim)
  float *peaks_sums;  // (rows, num_kv_heads, max_chunks, group, 2)
  uint32 *tickets;    // (rows, num_kv_heads), zero between launches
  int max_chunks;
};

struct ChunkMemory {
  float peaks[kWarps][kTileRowsOfQuery];
  uint32 probabilities[kTileRowsOfQuery][kChunkTokens / 2 + 4];  // pairs of float16; no two lanes meet in a bank
};

// Attend to a chunk and store each head's unnormalized result, peak and sum.
template <KVType kType, int kHeadDim>
__device__ __forceinline__ void attend_chunk(const Cache<kType, kHeadDim> &cache, const Queries<kHeadDim> &queries,
                                             int chunk, int position, int group, ChunkMemory &memory, float *out,
                                             float *peaks_sums) {
  constexpr int kColumns = kHeadDim / kWarps / 8;  // of the values, for each lane
  const int lane = lane_index(), warp = warp_index(), g = lane / 4, t = lane % 4;
  float scores[kPageTokens / 8][4];
  score_page(cache, queries, chunk * kChunkPages + warp, position, lane, scores);
  const int positions[2] = {position, position};
  const float2 own = mask_scores(scores, chunk * kChunkTokens + warp * kPageTokens, positions, lane);
  if (t == 0) memory.peaks[warp][g] = own.x, memory.peaks[warp][g + 8] = own.y;
  __syncthreads();
  float peaks[2] = {kMasked, kMasked};
#pragma unroll
  for (int i = 0; i < 2; ++i)
    for (int other = 0; other < kWarps; ++other) peaks[i] = fmaxf(peaks[i], memory.peaks[other][g + 8 * i]);
#pragma unroll
  for (int n = 0; n < kPageTokens / 8; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i)
      memory.probabilities[g + 8 * i][warp * kPageTokens / 2 + 4 * n + t] =
          probabilities(scores[n][2 * i], scores[n][2 * i + 1], peaks[i]);
  __syncthreads();
  const int first_column = warp * kHeadDim / kWarps + kColumns * g;
  float result[kColumns][4] = {}, sums[4] = {};
#pragma unroll
  for (int step = 0; step < kChunkTokens / 16; ++step) {
    uint32 values[kColumns][2], a[4];
    load_value_pairs<kType, kHeadDim, kColumns>(cache, chunk * kChunkTokens + 16 * step, position, first_column, lane, values);
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = memory.probabilities[g + i % 2 * 8][8 * step + i / 2 * 4 + t];
    mma_f16(sums, a, kTwoOnes, kTwoOnes);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) mma_f16(result[j], a, values[j][0], values[j][1]);
  }
  // Column 2t + i % 2 of product j is the head's column kColumns * (2t + i % 2) + j of the warp's part.
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int head = g + i / 2 * 8;
    if (head >= group) continue;
    if (warp == 0 && t == 0 && i % 2 == 0) peaks_sums[2 * head] = peaks[i / 2], peaks_sums[2 * head + 1] = sums[i];
    float *at = out + head * kHeadDim + warp * kHeadDim / kWarps + kColumns * (2 * t + i % 2);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) at[j] = result[j][i];
  }
}

// Return whether this block is the last of so many to come here; then all have written what they had.
__device__ __forceinline__ bool is_last_block(uint32 *ticket, uint32 num_blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(ticket, 1u) == num_blocks - 1;
    if (is_last) *ticket = 0;
  }
  __syncthreads();
  if (is_last) __threadfence();
  return is_last;
}

template <int kHeadDim>
__device__ __forceinline__ void merge_chunks(const float *out, const float *peaks_sums, int num_chunks, int group,
                                             float *o) {
  for (int element = threadIdx.x; element < group * kHeadDim; element += kThreads) {
    Merged merged;
    float result = 0.0f;
    const int head = element / kHeadDim;
#pragma unroll 4
    for (int chunk = 0; chunk < num_chunks; ++chunk) {
      const int index = chunk * group + head;
      const float2 factors = merge_factors(merged, load_written(peaks_sums + 2 * index), load_written(peaks_sums + 2 * index + 1));
      result = merge_element(result, load_written(out + chunk * group * kHeadDim + element), factors);
    }
    o[element] = result / merged.sum;
  }
}

template <KVType kType, int kHeadDim>
__device__ __forceinline__ void attend(const uint16 *q, int position, int num_heads, Cache<kType, kHeadDim> cache,
                                       const Partials &partials, float *o) {
  __shared__ ChunkMemory memory;
  const int row = blockIdx.z, kv_head = blockIdx.y, num_splits = gridDim.x, lane = lane_index();
  const int num_kv_heads = gridDim.y, group = num_heads / num_kv_heads, num_chunks = position / kChunkTokens + 1;
  if (static_cast<int>(blockIdx.x) >= num_chunks) return;
  const int first_head = row * num_heads + kv_head * group, upper = lane / 4, lower = upper + 8;
  Queries<kHeadDim> queries;
  load_queries(upper < group ? q + (first_head + upper) * kHeadDim : nullptr,
               lower < group ? q + (first_head + lower) * kHeadDim : nullptr, lane, queries);
  const long long first_chunk = (static_cast<long long>(row) * num_kv_heads + kv_head) * partials.max_chunks;
  float *out = partials.out + first_chunk * group * kHeadDim, *peaks_sums = partials.peaks_sums + first_chunk * group * 2;
#pragma unroll 1
  for (int chunk = blockIdx.x; chunk < num_chunks; chunk += num_splits) {
    __syncthreads();  // until all have read what the chunk before left in the memory
    attend_chunk(cache, queries, chunk, position, group, memory, out + chunk * group * kHeadDim, peaks_sums + chunk * group * 2);
  }
  if (is_last_block(partials.tickets + row * num_kv_heads + kv_head, min(num_splits, num_chunks)))
    merge_chunks<kHeadDim>(out, peaks_sums, num_chunks, group, o + first_head * kHeadDim);
}

}  // namespace

#define ATTEND(name, type, head_dim)                                                                                  \
  KERNEL(attend_##name##_d##head_dim, kThreads, const uint16 *q, const int *positions, const int *sequence_ids,       \
         const int *page_tables, int max_pages, uint8 *pages, int layer, int num_layers, int num_heads,               \
         int num_kv_heads, float *o, float *partial_out, float *partial_peaks_sums, uint32 *tickets, int max_chunks) { \
    launch_next_kernel();                                                                                             \
    wait_for_previous_kernel();                                                                                       \
    const int row = blockIdx.z;                                                                                       \
    if (positions[row] < 0) return;                                                                                   \
    attend<type, head_dim>(q, positions[row], num_heads,                                                              \
                           {{pages, layer, num_layers, num_kv_heads},                                                 \
                            page_tables + sequence_ids[row] * max_pages,                                              \
                            static_cast<int>(blockIdx.y)},                                                            \
                           {partial_out, partial_peaks_sums, tickets, max_chunks}, o);                                \
  }

ATTEND(f16, KVType::kF16, 64)
ATTEND(f16, KVType::kF16, 128)
ATTEND(q8, KVType::kQ8, 64)
ATTEND(q8, KVType::kQ8, 128)
ATTEND(q4, KVType::kQ4, 64)
ATTEND(q4, KVType::kQ4, 128)
