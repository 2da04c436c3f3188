// Prefill's attention: a warp takes 16 rows, which are tokens times the heads that share keys, through all their chunks.
#include "attention.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpLanes;
constexpr int kColumns = 8;  // of the values, for each lane at a time
constexpr int kChunkTiles = kChunkTokens / 8;

// The lane's rows g and g + 8 of the warp's 16; a row that is not there has the position -1.
struct LaneRows {
  int tokens[2], heads[2], positions[2];
};

__device__ __forceinline__ LaneRows rows_of_lane(int first_token, int num_tokens, int group, const int *positions) {
  const int tokens_per_warp = kTileRowsOfQuery / group, skipped = warp_index() * tokens_per_warp;
  LaneRows rows;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = lane_index() / 4 + 8 * i, token = row / group;
    const bool is_there = token < tokens_per_warp && skipped + token < num_tokens;
    rows.tokens[i] = first_token + skipped + token;
    rows.heads[i] = row % group;
    rows.positions[i] = is_there ? positions[rows.tokens[i]] : -1;
  }
  return rows;
}

// result[c][j] is merged with the chunk's sums for column j of the lanes' columns 64c + 8g .. 64c + 8g + 7.
// `scores` is each lane's own, for which there are not enough registers: those of 8 positions in each element.
template <KVType kType, int kHeadDim>
__device__ __forceinline__ void attend_chunk(const Cache<kType, kHeadDim> &cache, const Queries<kHeadDim> &queries,
                                             int chunk, int last, const int (&positions)[2],
                                             float4 (&scores)[kChunkTiles][kWarpLanes], Merged (&merged)[2],
                                             float (&result)[kHeadDim / 64][kColumns][4]) {
  const int lane = lane_index();
  float2 peaks = make_float2(kMasked, kMasked);
#pragma unroll 1
  for (int page = 0; page < kChunkPages; ++page) {
    float of_page[kPageTokens / 8][4];
    score_page(cache, queries, chunk * kChunkPages + page, last, lane, of_page);
    const float2 own = mask_scores(of_page, chunk * kChunkTokens + page * kPageTokens, positions, lane);
    peaks = make_float2(fmaxf(peaks.x, own.x), fmaxf(peaks.y, own.y));
#pragma unroll
    for (int n = 0; n < kPageTokens / 8; ++n)
      scores[page * kPageTokens / 8 + n][lane] = {of_page[n][0], of_page[n][1], of_page[n][2], of_page[n][3]};
  }
  float sums[4] = {}, products[kHeadDim / 64][kColumns][4] = {};
#pragma unroll 1
  for (int step = 0; step < kChunkTiles / 2; ++step) {
    uint32 a[4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 x = scores[2 * step + half][lane];
      a[2 * half] = probabilities(x.x, x.y, peaks.x);
      a[2 * half + 1] = probabilities(x.z, x.w, peaks.y);
    }
    mma_f16(sums, a, kTwoOnes, kTwoOnes);
#pragma unroll
    for (int part = 0; part < kHeadDim / 64; ++part) {
      uint32 values[kColumns][2];
      load_value_pairs<kType, kHeadDim, kColumns>(cache, chunk * kChunkTokens + 16 * step, last, 64 * part + lane / 4 * 8,
                                                  lane, values);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) mma_f16(products[part][j], a, values[j][0], values[j][1]);
    }
  }
  const float2 factors[2] = {merge_factors(merged[0], peaks.x, sums[0]), merge_factors(merged[1], peaks.y, sums[2])};
#pragma unroll
  for (int part = 0; part < kHeadDim / 64; ++part)
#pragma unroll
    for (int j = 0; j < kColumns; ++j)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        result[part][j][i] = merge_element(result[part][j][i], products[part][j][i], factors[i / 2]);
}

template <KVType kType, int kHeadDim>
__device__ __forceinline__ void attend_rows(const uint16 *q, const LaneRows &rows, int num_heads, int group,
                                            const Cache<kType, kHeadDim> &cache, float *o) {
  const int lane = lane_index(), t = lane % 4;
  int last = max(rows.positions[0], rows.positions[1]);
#pragma unroll
  for (int distance = 4; distance < kWarpLanes; distance *= 2) last = max(last, __shfl_xor_sync(kAllLanes, last, distance));
  if (last < 0) return;
  long long offsets[2];
#pragma unroll
  for (int i = 0; i < 2; ++i)
    offsets[i] = (static_cast<long long>(rows.tokens[i]) * num_heads + cache.kv_head * group + rows.heads[i]) * kHeadDim;
  Queries<kHeadDim> queries;
  load_queries(rows.positions[0] >= 0 ? q + offsets[0] : nullptr, rows.positions[1] >= 0 ? q + offsets[1] : nullptr,
               lane, queries);
  __shared__ float4 scores[kWarps][kChunkTiles][kWarpLanes];
  Merged merged[2];
  float result[kHeadDim / 64][kColumns][4] = {};
#pragma unroll 1
  for (int chunk = 0; chunk <= last / kChunkTokens; ++chunk)
    attend_chunk(cache, queries, chunk, last, rows.positions, scores[warp_index()], merged, result);
  // Column 2t + i % 2 of product j is the head's column 8 * (2t + i % 2) + j of the part.
#pragma unroll
  for (int part = 0; part < kHeadDim / 64; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (rows.positions[i / 2] < 0) continue;
      float *at = o + offsets[i / 2] + 64 * part + kColumns * (2 * t + i % 2);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) at[j] = result[part][j][i] / merged[i / 2].sum;
    }
}

}  // namespace

// tiles: (num_tiles, 2): the first row and the number of rows, all of one sequence.
#define ATTEND_ROWS(name, type, head_dim)                                                                            \
  KERNEL(attend_rows_##name##_d##head_dim, kThreads, const int *tiles, const uint16 *q, const int *positions,        \
         const int *sequence_ids, const int *page_tables, int max_pages, uint8 *pages, int layer, int num_layers,    \
         int num_heads, int num_kv_heads, float *o) {                                                                \
    launch_next_kernel();                                                                                            \
    wait_for_previous_kernel();                                                                                      \
    const int first_row = tiles[2 * blockIdx.x], num_rows = tiles[2 * blockIdx.x + 1], group = num_heads / num_kv_heads; \
    const LaneRows rows = rows_of_lane(first_row, num_rows, group, positions);                                       \
    attend_rows<type, head_dim>(q, rows, num_heads, group,                                                           \
                                {{pages, layer, num_layers, num_kv_heads},                                           \
                                 page_tables + sequence_ids[first_row] * max_pages,                                  \
                                 static_cast<int>(blockIdx.y)},                                                      \
                                o);                                                                                  \
  }

ATTEND_ROWS(f16, KVType::kF16, 64)
ATTEND_ROWS(f16, KVType::kF16, 128)
ATTEND_ROWS(q8, KVType::kQ8, 64)
ATTEND_ROWS(q8, KVType::kQ8, 128)
ATTEND_ROWS(q4, KVType::kQ4, 64)
ATTEND_ROWS(q4, KVType::kQ4, 128)
