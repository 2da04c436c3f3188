// One head of one row in a warp: loading, RMSNorm, RoPE, and queries as attention takes them.
#pragma once

#include "kv_pages.cuh"
#include "quantization.cuh"

// Lane l holds elements l + 32i and l + 32i + head_dim / 2, which RoPE turns together.
template <int kHeadDim>
struct HeadValues {
  static constexpr int kPairs = kHeadDim / 64;
  float first[kPairs], second[kPairs];
};

template <int kHeadDim>
__device__ __forceinline__ void load_head(const float *at, int lane, HeadValues<kHeadDim> &x) {
#pragma unroll
  for (int i = 0; i < x.kPairs; ++i) {
    x.first[i] = at[lane + 32 * i];
    x.second[i] = at[lane + 32 * i + kHeadDim / 2];
  }
}

template <int kHeadDim>
__device__ __forceinline__ void norm_head(const float *weight, float eps, int lane, HeadValues<kHeadDim> &x) {
  float squares = 0.0f;
#pragma unroll
  for (int i = 0; i < x.kPairs; ++i) squares = fmaf(x.second[i], x.second[i], fmaf(x.first[i], x.first[i], squares));
  const float factor = inverse_rms(warp_total(squares), kHeadDim, eps);
#pragma unroll
  for (int i = 0; i < x.kPairs; ++i) {
    x.first[i] *= factor * weight[lane + 32 * i];
    x.second[i] *= factor * weight[lane + 32 * i + kHeadDim / 2];
  }
}

// cos_sin: (2, head_dim / 2), the cosines and sines of the row's position.
template <int kHeadDim>
__device__ __forceinline__ void rotate_head(const float *cos_sin, int lane, HeadValues<kHeadDim> &x) {
#pragma unroll
  for (int i = 0; i < x.kPairs; ++i) {
    const float cosine = cos_sin[lane + 32 * i], sine = cos_sin[lane + 32 * i + kHeadDim / 2];
    const float first = x.first[i], second = x.second[i];
    x.first[i] = fmaf(first, cosine, -(second * sine));
    x.second[i] = fmaf(first, sine, second * cosine);
  }
}

// As float16, times log2(e) / √head_dim, so that scores are exponents of 2.
template <int kHeadDim>
__device__ __forceinline__ void store_query(uint16 *at, int lane, const HeadValues<kHeadDim> &x) {
  const float scale = 1.44269504f / sqrtf(static_cast<float>(kHeadDim));
#pragma unroll
  for (int i = 0; i < x.kPairs; ++i) {
    at[lane + 32 * i] = float_to_half(x.first[i] * scale);
    at[lane + 32 * i + kHeadDim / 2] = float_to_half(x.second[i] * scale);
  }
}
