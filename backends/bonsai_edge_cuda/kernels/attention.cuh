// Attention of 16 rows, each a head of a token, to a chunk of 128 positions, on tensor cores.
//
// A chunk's softmax is taken for itself, and chunks are merged in the order of positions. What a row becomes depends on
// no other row, nor on how many warps share the work: decode and prefill give the same bits.
//
// Which of a head's columns meet in which product is free, if both sides agree: so each lane loads columns that lie
// beside one another, straight from the pages.
#pragma once

#include "kv_pages.cuh"

constexpr int kTileRowsOfQuery = 16;
constexpr int kChunkPages = 4;
constexpr int kChunkTokens = kChunkPages * kPageTokens;
constexpr float kMasked = -3.402823466e+38f;  // finite, so that differences are numbers

// Where the keys and values of one sequence are.
template <KVType kType, int kHeadDim>
struct Cache {
  Planes<kType, kHeadDim> planes;
  const int *page_table;
  int kv_head;

  __device__ __forceinline__ const uint8 *plane(int page_index, int is_value) const {
    return planes.plane(page_table[page_index], kv_head, is_value);
  }
};

// The lane's part of 16 queries: for columns 32i + 8t .. 32i + 8t + 7 of rows g and g + 8.
template <int kHeadDim>
struct Queries {
  uint32 words[kHeadDim / 16][4];
};

// `upper` and `lower` point to rows g and g + 8, or are null for rows that are not there.
template <int kHeadDim>
__device__ __forceinline__ void load_queries(const uint16 *upper, const uint16 *lower, int lane,
                                             Queries<kHeadDim> &queries) {
#pragma unroll
  for (int i = 0; i < kHeadDim / 32; ++i) {
    const int column = 32 * i + lane % 4 * 8;
    const uint4 zero = make_uint4(0, 0, 0, 0);
    const uint4 a = upper ? *reinterpret_cast<const uint4 *>(upper + column) : zero;
    const uint4 b = lower ? *reinterpret_cast<const uint4 *>(lower + column) : zero;
    const uint32 first[4] = {a.x, b.x, a.y, b.y}, second[4] = {a.z, b.z, a.w, b.w};
#pragma unroll
    for (int word = 0; word < 4; ++word) {
      queries.words[2 * i][word] = first[word];
      queries.words[2 * i + 1][word] = second[word];
    }
  }
}

// scores[n] = the 16 rows times keys 8n .. 8n + 7 of a page, the lane's part of them; keys behind `last` count as zero.
template <KVType kType, int kHeadDim>
__device__ __forceinline__ void score_page(const Cache<kType, kHeadDim> &cache, const Queries<kHeadDim> &queries,
                                           int page_index, int last, int lane, float (*scores)[4]) {
  const int num_tokens = last - page_index * kPageTokens + 1;
  const uint8 *plane = num_tokens > 0 ? cache.plane(page_index, 0) : nullptr;
#pragma unroll
  for (int n = 0; n < kPageTokens / 8; ++n) {
    const int slot = 8 * n + lane / 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[n][i] = 0.0f;
#pragma unroll
    for (int i = 0; i < kHeadDim / 32; ++i) {
      uint32 keys[4] = {};
      if (slot < num_tokens) load_values<kType, kHeadDim, 8>(plane, slot, 32 * i + lane % 4 * 8, keys);
      mma_f16(scores[n], queries.words[2 * i], keys[0], keys[1]);
      mma_f16(scores[n], queries.words[2 * i + 1], keys[2], keys[3]);
    }
  }
}

// Mask what lies behind the lane's rows: scores of kTiles * 8 positions from `first` on. Return the rows' maxima.
template <int kTiles>
__device__ __forceinline__ float2 mask_scores(float (&scores)[kTiles][4], int first, const int (&positions)[2], int lane) {
  float peaks[2] = {kMasked, kMasked};
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (first + 8 * n + lane % 4 * 2 + i % 2 > positions[i / 2]) scores[n][i] = kMasked;
      peaks[i / 2] = fmaxf(peaks[i / 2], scores[n][i]);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    peaks[i] = fmaxf(peaks[i], __shfl_xor_sync(kAllLanes, peaks[i], 1));
    peaks[i] = fmaxf(peaks[i], __shfl_xor_sync(kAllLanes, peaks[i], 2));
  }
  return make_float2(peaks[0], peaks[1]);
}

// Return 2^(score - peak) of two neighbours as float16; nothing can be seen of a chunk whose peak is masked.
__device__ __forceinline__ uint32 probabilities(float first, float second, float peak) {
  const float reference = peak == kMasked ? 0.0f : peak;
  return pack_halves(exp2f(first - reference), exp2f(second - reference));
}

// The values of 16 positions that meet in one product, from `first` on, kCount columns of a lane from `column` on:
// values[j] are positions 2t, 2t + 1 and 8 + 2t, 9 + 2t of column j. Values behind `last` count as zero.
template <KVType kType, int kHeadDim, int kCount>
__device__ __forceinline__ void load_value_pairs(const Cache<kType, kHeadDim> &cache, int first, int last, int column,
                                                 int lane, uint32 (&values)[kCount][2]) {
  if (first > last) {
#pragma unroll
    for (int j = 0; j < kCount; ++j) values[j][0] = values[j][1] = 0;
    return;
  }
  const uint8 *plane = cache.plane(first / kPageTokens, 1);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int position = first + 8 * half + lane % 4 * 2;
    uint32 even[kCount / 2] = {}, odd[kCount / 2] = {};
    if (position <= last) load_values<kType, kHeadDim, kCount>(plane, position % kPageTokens, column, even);
    if (position < last) load_values<kType, kHeadDim, kCount>(plane, position % kPageTokens + 1, column, odd);
#pragma unroll
    for (int j = 0; j < kCount / 2; ++j) {
      values[2 * j][half] = (even[j] & 0xffffu) | odd[j] << 16;
      values[2 * j + 1][half] = even[j] >> 16 | (odd[j] & 0xffff0000u);
    }
  }
}

constexpr uint32 kTwoOnes = 0x3c003c00u;  // float16

// Softmax over the chunks so far: of one element, with the row's largest exponent and sum.
struct Merged {
  float peak = kMasked, sum = 0.0f;
};

// What the elements so far, and those of the next chunk, are multiplied by.
__device__ __forceinline__ float2 merge_factors(Merged &merged, float peak, float sum) {
  const float before = merged.peak;
  merged.peak = fmaxf(before, peak);
  const float kept = exp2f(before - merged.peak), added = exp2f(peak - merged.peak);
  merged.sum = fmaf(sum, added, merged.sum * kept);
  return make_float2(kept, added);
}

__device__ __forceinline__ float merge_element(float before, float x, const float2 &factors) {
  return fmaf(x, factors.y, before * factors.x);
}
