// The threads of a block as fibres of one processor thread: who runs, and where threads meet.
//
// A thread runs until it must wait for others of its warp or block; then the next one that can run does. So a block's
// threads are in no real race, and a meeting that not all can reach is found instead of hanging.
#pragma once

namespace emulator {

struct Index {
  unsigned x, y, z;
};

extern Index thread_index, block_index, block_size, grid_size;

// Wait for all threads of the warp, or of the block, that have not returned.
void meet_warp();
void meet_block();

// What the lanes of the current warp handed over at their present meeting; `size` is at most kSlotBytes.
constexpr int kSlotBytes = 64;
void *own_slot();
const void *slot_of_lane(int lane);

}  // namespace emulator
