// What C++ cannot say: types, the declaration of kernels, and instructions, each under a name.
//
// No other file holds inline PTX, so that the same kernels can be compiled for a processor: there the test suite's
// emulator gives every name of this file a definition in plain C++.
#pragma once

using uint8 = unsigned char;
using uint16 = unsigned short;
using uint32 = unsigned int;

#ifdef BONSAI_EMULATED
#include "emulated_primitives.h"
#else

#define KERNEL(name, num_threads, ...) extern "C" __global__ void __launch_bounds__(num_threads, 1) name(__VA_ARGS__)

// Multiplying bits has a unit of its own from Ampere to Hopper; later architectures emulate it slowly.
#if __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ < 1000
#define BONSAI_BIT_PLANES 1
#else
#define BONSAI_BIT_PLANES 0
#endif

// d = popcounts of the ANDs of 16 rows with 8 columns of 128 bits.
// Lane 4g + t gives word t of rows g and g + 8 (a0, a1) and of column g (b); it receives rows g, g + 8 of columns 2t, 2t + 1.
__device__ __forceinline__ void mma_b1(int (&d)[4], uint32 a0, uint32 a1, uint32 b) {
#if BONSAI_BIT_PLANES
  asm("mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%7,%7,%7};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a0), "r"(a1), "r"(b), "r"(0));
#endif
}

// d = 16 rows times 8 columns of 32 int8. Lane 4g + t gives elements 4t..4t+3 and 16+4t.. of rows g and g + 8
// (a0, a2 and a1, a3) and of column g (b0, b1); it receives rows g, g + 8 of columns 2t, 2t + 1.
__device__ __forceinline__ void mma_s8(int (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
      : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(0));
}

// d += 16 rows times 8 columns of 16 float16. Lane 4g + t gives elements 2t, 2t+1 and 8+2t, 9+2t of rows g and g + 8
// (a0, a2 and a1, a3) and of column g (b0, b1); it holds rows g, g + 8 of columns 2t, 2t + 1.
__device__ __forceinline__ void mma_f16(float (&d)[4], const uint32 (&a)[4], uint32 b0, uint32 b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// c + the products of four int8.
__device__ __forceinline__ int dot_s8(uint32 a, uint32 b, int c) {
  return __dp4a(static_cast<int>(a), static_cast<int>(b), c);
}

__device__ __forceinline__ uint32 warp_max(uint32 x) { return __reduce_max_sync(0xffffffffu, x); }
__device__ __forceinline__ int warp_sum(int x) { return __reduce_add_sync(0xffffffffu, x); }

// 1 / x but for the last bit, of a normal number.
__device__ __forceinline__ float reciprocal(float x) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x));
  return inverse;
}

// The nearest whole number, the even one of two; 0 for what is no number.
__device__ __forceinline__ int round_to_int(float x) { return __float2int_rn(x); }

__device__ __forceinline__ float half_to_float(uint16 half) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
  return x;
}

__device__ __forceinline__ uint16 float_to_half(float x) {
  uint16 half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
}

// The first in the lower half.
__device__ __forceinline__ uint32 pack_halves(float first, float second) {
  uint32 packed;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
  return packed;
}

// Loads of what is read once: past the first-level cache.
__device__ __forceinline__ uint4 load_streamed(const uint4 *at) {
  uint4 x;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(at));
  return x;
}

// Loads of what other blocks of the same kernel wrote: from the second-level cache, which all share.
__device__ __forceinline__ float load_written(const float *at) { return __ldcg(at); }

// 16 bytes from global to shared memory while the threads go on.
__device__ __forceinline__ void copy_ahead(void *shared, const void *global) {
  const uint32 address = static_cast<uint32>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait for this thread's copies but those of the last `kNewer` commits.
template <int kNewer>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kNewer) : "memory");
}

// Let the next kernel's blocks start when this one's leave room. It must call `wait_for_previous_kernel`.
__device__ __forceinline__ void launch_next_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Wait until all that earlier kernels wrote can be read. To be called before anything is read that a step computes, and
// before anything is written.
__device__ __forceinline__ void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

#endif  // BONSAI_EMULATED

constexpr int kWarpLanes = 32;
constexpr uint32 kAllLanes = 0xffffffffu;

__device__ __forceinline__ int lane_index() { return threadIdx.x % kWarpLanes; }
__device__ __forceinline__ int warp_index() { return threadIdx.x / kWarpLanes; }
