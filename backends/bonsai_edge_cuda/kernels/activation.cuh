// The activation function of the MLP.
#pragma once

#include "primitives.cuh"

// x * sigmoid(x); for very negative x the exponential is infinity and the quotient the right 0.
__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }
