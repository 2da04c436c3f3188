#include "launch.h"

#include <map>
#include <string>

#include "fibres.h"

namespace emulator {

namespace {

struct Kernel {
  unsigned block_threads;
  int num_arguments;
  Invoke invoke;
};

std::map<std::string, Kernel> &kernels() {
  static std::map<std::string, Kernel> by_name;
  return by_name;
}

}  // namespace

void Registered::add(const char *name, unsigned block_threads, int num_arguments, Invoke invoke) {
  kernels().emplace(name, Kernel{block_threads, num_arguments, std::move(invoke)});
}

}  // namespace emulator

// Run a kernel on grid_x * grid_y * grid_z blocks, one after another. Return null, or a sentence that says why not.
extern "C" const char *bonsai_launch(const char *name, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                     unsigned block_threads, void **arguments) {
  using namespace emulator;
  const auto found = kernels().find(name);
  if (found == kernels().end()) return "No kernel has this name.";
  if (block_threads != found->second.block_threads) return "The kernel is made for another number of threads.";
  grid_size = {grid_x, grid_y, grid_z};
  block_size = {block_threads, 1, 1};
  for (unsigned z = 0; z < grid_z; ++z)
    for (unsigned y = 0; y < grid_y; ++y)
      for (unsigned x = 0; x < grid_x; ++x) {
        block_index = {x, y, z};
        if (const char *failure = run_block(block_threads, [&] { found->second.invoke(arguments); })) return failure;
      }
  return nullptr;
}

// The number of arguments of a kernel, -1 if there is none of this name.
extern "C" int bonsai_num_arguments(const char *name) {
  const auto found = emulator::kernels().find(name);
  return found == emulator::kernels().end() ? -1 : found->second.num_arguments;
}

// The names of all kernels, a line each.
extern "C" const char *bonsai_kernel_names() {
  static std::string names;
  if (names.empty())
    for (const auto &kernel : emulator::kernels()) names += kernel.first + "\n";
  return names.c_str();
}
