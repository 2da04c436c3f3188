#include "fibres.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "launch.h"

namespace emulator {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 128 << 10;

enum class State { kReady, kAtWarpMeeting, kAtBlockMeeting, kReturned };

struct Fibre {
  State state;
  std::unique_ptr<char[]> stack;
  ucontext_t start;
  jmp_buf context;
  bool has_started;
};

struct Warp {
  int num_running, num_arrived;
  unsigned meeting;               // counts meetings: slots of even and odd ones differ, so none is written too early
  alignas(16) char slots[2][kLanes][kSlotBytes];
};

std::vector<Fibre> fibres;
std::vector<Warp> warps;
jmp_buf main_jump;
int current, num_threads, num_running, num_at_block_meeting;
const char *failure;
const std::function<void()> *body;

// Saves no signal mask: a system call a switch would cost more than all the rest.
void enter(int next) {
  current = next;
  thread_index = {static_cast<unsigned>(next), 0, 0};
  Fibre &fibre = fibres[next];
  if (fibre.has_started) _longjmp(fibre.context, 1);
  fibre.has_started = true;
  setcontext(&fibre.start);
}

// Look in the own warp first: its lanes mostly wait for one another.
int next_ready() {
  const int warp = current / kLanes * kLanes, lanes = std::min(kLanes, num_threads - warp);
  for (int i = 1; i <= lanes; ++i) {
    const int thread = warp + (current - warp + i) % lanes;
    if (fibres[thread].state == State::kReady) return thread;
  }
  for (int i = 1; i <= num_threads; ++i) {
    const int thread = (current + i) % num_threads;
    if (fibres[thread].state == State::kReady) return thread;
  }
  return -1;
}

[[noreturn]] void leave() {
  const int next = next_ready();
  if (next >= 0) enter(next);
  if (num_running > 0) failure = "Threads wait at a meeting that others of their warp or block do not reach.";
  _longjmp(main_jump, 1);
}

void wait() {
  Fibre &fibre = fibres[current];
  if (_setjmp(fibre.context) == 0) leave();
}

void release_warp(int warp) {
  ++warps[warp].meeting;
  warps[warp].num_arrived = 0;
  const int end = std::min((warp + 1) * kLanes, num_threads);
  for (int thread = warp * kLanes; thread < end; ++thread)
    if (fibres[thread].state == State::kAtWarpMeeting) fibres[thread].state = State::kReady;
}

void release_block() {
  num_at_block_meeting = 0;
  for (Fibre &fibre : fibres)
    if (fibre.state == State::kAtBlockMeeting) fibre.state = State::kReady;
}

void run_thread() {
  (*body)();
  fibres[current].state = State::kReturned;
  Warp &warp = warps[current / kLanes];
  --num_running;
  if (--warp.num_running == warp.num_arrived && warp.num_arrived > 0) release_warp(current / kLanes);
  if (num_running == num_at_block_meeting && num_running > 0) release_block();
  leave();
}

void prepare_fibres(int count) {
  num_threads = num_running = count;
  num_at_block_meeting = 0;
  fibres.resize(count);
  warps.assign((count + kLanes - 1) / kLanes, Warp{});
  for (int thread = 0; thread < count; ++thread) {
    Fibre &fibre = fibres[thread];
    if (!fibre.stack) fibre.stack = std::make_unique<char[]>(kStackBytes);
    fibre.state = State::kReady;
    fibre.has_started = false;
    ++warps[thread / kLanes].num_running;
    getcontext(&fibre.start);
    fibre.start.uc_stack.ss_sp = fibre.stack.get();
    fibre.start.uc_stack.ss_size = kStackBytes;
    fibre.start.uc_link = nullptr;
    makecontext(&fibre.start, run_thread, 0);
  }
}

}  // namespace

void meet_warp() {
  Warp &warp = warps[current / kLanes];
  if (++warp.num_arrived == warp.num_running) return release_warp(current / kLanes);
  fibres[current].state = State::kAtWarpMeeting;
  wait();
}

void meet_block() {
  if (++num_at_block_meeting == num_running) return release_block();
  fibres[current].state = State::kAtBlockMeeting;
  wait();
}

void *own_slot() {
  Warp &warp = warps[current / kLanes];
  return warp.slots[warp.meeting & 1][current % kLanes];
}

// To be called after the meeting.
const void *slot_of_lane(int lane) {
  Warp &warp = warps[current / kLanes];
  return warp.slots[(warp.meeting - 1) & 1][lane];
}

const char *run_block(int count, const std::function<void()> &kernel) {
  prepare_fibres(count);
  body = &kernel;
  failure = nullptr;
  current = 0;
  if (_setjmp(main_jump) == 0) enter(0);
  return failure;
}

}  // namespace emulator
