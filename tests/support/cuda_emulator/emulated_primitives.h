// What kernels use of CUDA, in plain C++: the twin of the device part of `primitives.cuh`.
//
// Warp operations hand over each lane's operands, meet, and compute by definition. Nothing here is fast but the fibres.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "fibres.h"
#include "launch.h"

#define KERNEL(name, num_threads, ...)                                                \
  extern "C" void name(__VA_ARGS__);                                                  \
  static const emulator::Registered registered_##name(#name, num_threads, name);      \
  extern "C" void name(__VA_ARGS__)

// Blocks run one after another, in one thread: what a block shares is what is static.
#define __shared__ static
#define __device__
#define __forceinline__ inline
#define threadIdx emulator::thread_index
#define blockIdx emulator::block_index
#define blockDim emulator::block_size
#define gridDim emulator::grid_size

using std::max;
using std::min;

struct alignas(8) uint2 {
  uint32 x, y;
};
struct alignas(16) uint4 {
  uint32 x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

inline uint2 make_uint2(uint32 x, uint32 y) { return {x, y}; }
inline uint4 make_uint4(uint32 x, uint32 y, uint32 z, uint32 w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }

inline uint32 __float_as_uint(float x) {
  uint32 bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float __uint_as_float(uint32 bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
inline float __int_as_float(int bits) { return __uint_as_float(static_cast<uint32>(bits)); }

inline uint32 __byte_perm(uint32 x, uint32 y, uint32 selectors) {
  const uint64_t bytes = x | static_cast<uint64_t>(y) << 32;
  uint32 chosen = 0;
  for (int i = 0; i < 4; ++i) chosen |= static_cast<uint32>(bytes >> (selectors >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return chosen;
}

inline uint32 __funnelshift_l(uint32 low, uint32 high, uint32 shift) {
  return static_cast<uint32>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31) >> 32);
}

inline void __syncthreads() { emulator::meet_block(); }
inline void __syncwarp() { emulator::meet_warp(); }
inline void __threadfence() {}

template <class T>
T atomicAdd(T *at, T x) {
  const T before = *at;
  *at += x;
  return before;
}

namespace emulator {

// Hand over this lane's operand and return how to read those of all lanes.
template <class T>
auto exchange(const T &operand) {
  static_assert(sizeof(T) <= kSlotBytes && std::is_trivially_copyable_v<T>);
  std::memcpy(own_slot(), &operand, sizeof(T));
  meet_warp();
  return [](int lane) {
    T x;
    std::memcpy(&x, slot_of_lane(lane), sizeof(T));
    return x;
  };
}

inline float half_bits_to_float(uint16 bits) {
  _Float16 half;
  std::memcpy(&half, &bits, 2);
  return half;
}

inline float half_of_word(uint32 word, int index) { return half_bits_to_float(word >> 16 * index); }

inline int lane() { return thread_index.x % 32; }

}  // namespace emulator

template <class T>
T __shfl_xor_sync(uint32, T x, int mask) {
  return emulator::exchange(x)(emulator::lane() ^ mask);
}

template <class T>
T __shfl_sync(uint32, T x, int lane) {
  return emulator::exchange(x)(lane & 31);
}

template <class T>
T __shfl_up_sync(uint32, T x, unsigned distance) {
  const int lane = emulator::lane();
  return emulator::exchange(x)(lane < static_cast<int>(distance) ? lane : lane - distance);
}

inline uint32 warp_max(uint32 x) {
  const auto of_lane = emulator::exchange(x);
  for (int lane = 0; lane < 32; ++lane) x = std::max(x, of_lane(lane));
  return x;
}

inline int warp_sum(int x) {
  const auto of_lane = emulator::exchange(x);
  int sum = 0;
  for (int lane = 0; lane < 32; ++lane) sum += of_lane(lane);
  return sum;
}

// Matrix products: `row(i)` and `column(i)` are lane 4i's fragments of row i and of column i.

inline void mma_b1(int (&d)[4], uint32 a0, uint32 a1, uint32 b) {
  struct Fragment {
    uint32 a[2], b;
  };
  const auto of_lane = emulator::exchange(Fragment{{a0, a1}, b});
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    d[i] = 0;
    for (int word = 0; word < 4; ++word)
      d[i] += __builtin_popcount(of_lane(4 * g + word).a[i / 2] & of_lane(4 * (2 * t + i % 2) + word).b);
  }
}

inline int dot_s8(uint32 a, uint32 b, int c) {
  for (int i = 0; i < 4; ++i) c += static_cast<int8_t>(a >> 8 * i) * static_cast<int8_t>(b >> 8 * i);
  return c;
}

inline void mma_s8(int (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  struct Fragment {
    uint32 a[4], b[2];
  };
  const auto of_lane = emulator::exchange(Fragment{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    d[i] = 0;
    for (int part = 0; part < 4; ++part) {
      const Fragment row = of_lane(4 * g + part), column = of_lane(4 * (2 * t + i % 2) + part);
      d[i] = dot_s8(row.a[i / 2], column.b[0], dot_s8(row.a[2 + i / 2], column.b[1], d[i]));
    }
  }
}

inline void mma_f16(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  struct Fragment {
    uint32 a[4], b[2];
  };
  const auto of_lane = emulator::exchange(Fragment{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const int g = emulator::lane() / 4, t = emulator::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    for (int k = 0; k < 16; ++k) {
      const uint32 row = of_lane(4 * g + k % 8 / 2).a[i / 2 + k / 8 * 2];
      const uint32 column = of_lane(4 * (2 * t + i % 2) + k % 8 / 2).b[k / 8];
      d[i] += emulator::half_of_word(row, k % 2) * emulator::half_of_word(column, k % 2);
    }
  }
}

inline float reciprocal(float x) { return 1.0f / x; }
inline int round_to_int(float x) { return std::isnan(x) ? 0 : static_cast<int>(std::nearbyint(x)); }

inline float half_to_float(uint16 half) { return emulator::half_bits_to_float(half); }

inline uint16 float_to_half(float x) {
  const _Float16 half = static_cast<_Float16>(x);
  uint16 bits;
  std::memcpy(&bits, &half, 2);
  return bits;
}

inline uint32 pack_halves(float first, float second) {
  return float_to_half(first) | static_cast<uint32>(float_to_half(second)) << 16;
}

inline uint4 load_streamed(const uint4 *at) { return *at; }
inline float load_written(const float *at) { return *at; }

// At once: nobody may rely on a copy before he has waited for it, which the emulator cannot tell.
inline void copy_ahead(void *shared, const void *global) { std::memcpy(shared, global, 16); }
inline void commit_copies() {}
template <int kNewer>
void wait_for_copies() {}

inline void launch_next_kernel() {}
inline void wait_for_previous_kernel() {}
