// The pages of the KV cache: planes of 32 tokens of one head, as float16, as int8 or as 4 bits.
//
// pages: (num_pages, num_layers, 2, num_kv_heads) planes, keys before values. A plane is 32 rows of codes, then float16
// scales (head_dim / 32, 32) if the type has any. 4-bit codes: a byte holds column i of a group of 32 in its lower half and
// column i + 16 in its upper one. The arithmetic is that of `bonsai_edge.kv_cache`.
#pragma once

#include "primitives.cuh"

constexpr int kPageTokens = 32;
constexpr int kGroupValues = 32;

enum class KVType { kF16, kQ8, kQ4 };

template <KVType kType>
__device__ __forceinline__ constexpr int code_bits() {
  return kType == KVType::kF16 ? 16 : kType == KVType::kQ8 ? 8 : 4;
}

template <KVType kType, int kHeadDim>
struct Planes {
  static constexpr int kRowBytes = kHeadDim * code_bits<kType>() / 8;
  static constexpr int kScaleBytes = kType == KVType::kF16 ? 0 : kHeadDim / kGroupValues * 2;
  static constexpr int kBytes = kPageTokens * (kRowBytes + kScaleBytes);

  uint8 *pages;
  int layer, num_layers, num_kv_heads;

  // is_value: 0 or 1.
  __device__ __forceinline__ uint8 *plane(int page, int head, int is_value) const {
    const long long index = ((static_cast<long long>(page) * num_layers + layer) * 2 + is_value) * num_kv_heads + head;
    return pages + index * kBytes;
  }

  static __device__ __forceinline__ uint16 *scale(uint8 *plane, int slot, int group) {
    return reinterpret_cast<uint16 *>(plane + kPageTokens * kRowBytes) + group * kPageTokens + slot;
  }
};

// Store a group of 32 values, one a lane, to a row of a plane.
template <KVType kType, int kHeadDim>
__device__ __forceinline__ void store_group(uint8 *plane, int slot, int group, float x, int lane) {
  using P = Planes<kType, kHeadDim>;
  uint8 *row = plane + slot * P::kRowBytes;
  if (kType == KVType::kF16) {
    reinterpret_cast<uint16 *>(row)[group * kGroupValues + lane] = float_to_half(x);
    return;
  }
  constexpr float kLargest = kType == KVType::kQ8 ? 127.0f : 15.0f;
  const float peak = __uint_as_float(warp_max(__float_as_uint(x) & 0x7fffffffu));
  const uint16 scale = float_to_half(peak / kLargest);
  if (lane == 0) *P::scale(plane, slot, group) = scale;
  const float steps = x / (scale & 0x7fff ? half_to_float(scale) : 1.0f);
  if (kType == KVType::kQ8) {
    const float code = fminf(fmaxf(rintf(steps), -127.0f), 127.0f);
    row[group * kGroupValues + lane] = static_cast<uint8>(static_cast<int>(code));
  } else {
    const int code = static_cast<int>(fminf(fmaxf(rintf((steps + 15.0f) / 2.0f), 0.0f), 15.0f));
    const int upper = __shfl_xor_sync(kAllLanes, code, 16);
    if (lane < 16) row[group * 16 + lane] = static_cast<uint8>(code | upper << 4);
  }
}

// Load kCount (2, 4 or 8) values that follow one another from `column`, a multiple of kCount, as pairs of float16.
template <KVType kType, int kHeadDim, int kCount>
__device__ __forceinline__ void load_values(const uint8 *plane, int slot, int column, uint32 (&pairs)[kCount / 2]) {
  using P = Planes<kType, kHeadDim>;
  const uint8 *row = plane + slot * P::kRowBytes;
  if (kType == KVType::kF16) {
    const uint32 *at = reinterpret_cast<const uint32 *>(row) + column / 2;
    if (kCount == 8) {
      const uint4 words = *reinterpret_cast<const uint4 *>(at);
      pairs[0] = words.x, pairs[1 % (kCount / 2)] = words.y;
      pairs[2 % (kCount / 2)] = words.z, pairs[3 % (kCount / 2)] = words.w;
    } else if (kCount == 4) {
      const uint2 words = *reinterpret_cast<const uint2 *>(at);
      pairs[0] = words.x, pairs[1 % (kCount / 2)] = words.y;
    } else {
      pairs[0] = at[0];
    }
    return;
  }
  const int group = column / kGroupValues, in_group = column % kGroupValues;
  const float scale = half_to_float(*P::scale(const_cast<uint8 *>(plane), slot, group));
  const uint8 *codes = kType == KVType::kQ8 ? row + column : row + group * 16 + in_group % 16;
  const int shift = in_group / 16 * 4;
#pragma unroll
  for (int i = 0; i < kCount; i += 2) {
    const uint32 two = *reinterpret_cast<const uint16 *>(codes + i);
    float first, second;
    if (kType == KVType::kQ8) {
      first = static_cast<signed char>(two & 0xff), second = static_cast<signed char>(two >> 8);
    } else {
      first = 2 * static_cast<int>(two >> shift & 15) - 15, second = 2 * static_cast<int>(two >> (8 + shift) & 15) - 15;
    }
    pairs[i / 2] = pack_halves(first * scale, second * scale);
  }
}
