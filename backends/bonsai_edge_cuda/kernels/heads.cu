// Between the projections and attention: norms of queries and keys, RoPE, and writing to the KV cache.
#include "heads.cuh"

// A warp a head of a row: queries, then keys, then values, as they lie in qkv. It keeps pairs (i, i + head_dim / 2).
namespace {

constexpr int kWarps = 4;

struct Rows {
  const float *qkv;
  const int *positions, *sequence_ids, *page_tables;
  int max_pages, num_heads, num_kv_heads;
};

struct HeadNorms {
  const float *q, *k;
  float eps;
};

template <KVType kType, int kHeadDim>
__device__ __forceinline__ void prepare_heads(const Rows &rows, const HeadNorms &norms, const float *rope, uint16 *q,
                                              const Planes<kType, kHeadDim> &planes) {
  launch_next_kernel();
  wait_for_previous_kernel();
  const int row = blockIdx.x, head = blockIdx.y * kWarps + warp_index(), lane = lane_index();
  const int position = rows.positions[row], num_all = rows.num_heads + 2 * rows.num_kv_heads;
  if (head >= num_all || position < 0) return;
  HeadValues<kHeadDim> x;
  load_head(rows.qkv + (static_cast<long long>(row) * num_all + head) * kHeadDim, lane, x);
  if (head < rows.num_heads + rows.num_kv_heads) {
    norm_head(head < rows.num_heads ? norms.q : norms.k, norms.eps, lane, x);
    rotate_head(rope + static_cast<long long>(position) * kHeadDim, lane, x);
  }
  if (head < rows.num_heads) {
    store_query(q + (static_cast<long long>(row) * rows.num_heads + head) * kHeadDim, lane, x);
    return;
  }
  const int page = rows.page_tables[rows.sequence_ids[row] * rows.max_pages + position / kPageTokens];
  const int kv_head = head - rows.num_heads, is_value = kv_head >= rows.num_kv_heads;
  uint8 *plane = planes.plane(page, kv_head - is_value * rows.num_kv_heads, is_value);
#pragma unroll
  for (int i = 0; i < HeadValues<kHeadDim>::kPairs; ++i) {
    store_group<kType, kHeadDim>(plane, position % kPageTokens, i, x.first[i], lane);
    store_group<kType, kHeadDim>(plane, position % kPageTokens, HeadValues<kHeadDim>::kPairs + i, x.second[i], lane);
  }
}

}  // namespace

#define PREPARE_HEADS(name, type, head_dim)                                                                            \
  KERNEL(prepare_heads_##name##_d##head_dim, kWarps *kWarpLanes, const float *qkv, const float *q_norm,                \
         const float *k_norm, float eps, const float *rope, const int *positions, const int *sequence_ids,             \
         const int *page_tables, int max_pages, uint16 *q, uint8 *pages, int layer, int num_layers, int num_heads,     \
         int num_kv_heads) {                                                                                           \
    prepare_heads<type, head_dim>({qkv, positions, sequence_ids, page_tables, max_pages, num_heads, num_kv_heads},     \
                                  {q_norm, k_norm, eps}, rope, q, {pages, layer, num_layers, num_kv_heads});           \
  }

PREPARE_HEADS(f16, KVType::kF16, 64)
PREPARE_HEADS(f16, KVType::kF16, 128)
PREPARE_HEADS(q8, KVType::kQ8, 64)
PREPARE_HEADS(q8, KVType::kQ8, 128)
PREPARE_HEADS(q4, KVType::kQ4, 64)
PREPARE_HEADS(q4, KVType::kQ4, 128)
