// Kernels by name, called with arguments as CUDA's driver takes them: an array of addresses.
#pragma once

#include <functional>
#include <utility>

namespace emulator {

// Run a block of so many threads; return null, or why it could not end.
const char *run_block(int num_threads, const std::function<void()> &kernel);

// Runs the kernel in the current fibre.
using Invoke = std::function<void(void **)>;

class Registered {
 public:
  template <class... Arguments>
  Registered(const char *name, unsigned block_threads, void (*kernel)(Arguments...)) {
    add(name, block_threads, sizeof...(Arguments),
        [kernel](void **arguments) { call(kernel, arguments, std::index_sequence_for<Arguments...>()); });
  }

 private:
  static void add(const char *name, unsigned block_threads, int num_arguments, Invoke invoke);

  template <class... Arguments, size_t... kIndex>
  static void call(void (*kernel)(Arguments...), void **arguments, std::index_sequence<kIndex...>) {
    kernel(*static_cast<Arguments *>(arguments[kIndex])...);
  }
};

}  // namespace emulator
