// Rows of rounded activations in global memory.
#pragma once

#include "quantization.cuh"

// Codes: (rows, num_blocks, 4 groups, 8 words): word j holds the int8 of columns j, j + 8, j + 16 and j + 24 of the group.
// Headers: (rows, num_blocks).
struct alignas(16) BlockHeader {
  float scale;
  int sum;  // of code * multiplier
  uint16 multipliers[4];
};
