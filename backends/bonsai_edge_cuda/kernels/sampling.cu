// Choosing the next tokens on the device, with the arithmetic of `bonsai_edge.engine.sampling` and given random numbers.
#include "primitives.cuh"

namespace {

using uint64 = unsigned long long;

constexpr int kThreads = 1024;
constexpr int kMostCandidates = 1024;
constexpr int kDigits = 256;
constexpr int kNotANumber = -1;

// Of one row. temperature 0 is greedy; top_k is 1 to kMostCandidates.
struct Sampling {
  float temperature, top_p, min_p;
  int top_k;
};

// Larger for larger logits, and for smaller ids among equal ones; of what is not a number the largest.
__device__ __forceinline__ uint64 sorting_key(float logit, int id) {
  const uint32 bits = __float_as_uint(logit);
  const uint32 ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64>(logit == logit ? ordered : 0xffffffffu) << 32 | (0xffffffffu - id);
}

__device__ __forceinline__ int id_of_key(uint64 key) { return static_cast<int>(0xffffffffu - static_cast<uint32>(key)); }

// Return the smallest of the `count` largest keys, or a number below it and above all others: digit by digit, from
// the highest, until the keys that begin like the wanted one are just those that are still wanted.
__device__ __forceinline__ uint64 select_largest(const float *logits, int vocab_size, int count) {
  __shared__ uint32 histogram[kDigits];
  __shared__ uint64 prefix;
  __shared__ int wanted;
  __shared__ bool is_found;
  uint64 known = 0;
  int still_wanted = count;
  for (int shift = 56; shift >= 0; shift -= 8) {
    if (threadIdx.x < kDigits) histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int id = threadIdx.x; id < vocab_size; id += kThreads) {
      const uint64 key = sorting_key(logits[id], id);
      if (shift == 56 || key >> (shift + 8) == known >> (shift + 8)) atomicAdd(&histogram[key >> shift & 0xff], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = kDigits - 1, rest = still_wanted;
      while (static_cast<int>(histogram[digit]) < rest) rest -= histogram[digit--];
      prefix = known | static_cast<uint64>(digit) << shift;
      wanted = rest;
      is_found = static_cast<int>(histogram[digit]) == rest;
    }
    __syncthreads();
    known = prefix;
    still_wanted = wanted;
    if (is_found) break;
  }
  return known;
}

// Sort descending; `count` is a power of 2 (bitonic sort, Batcher 1968).
__device__ __forceinline__ void sort_keys(uint64 *keys, int count) {
  for (int length = 2; length <= count; length *= 2) {
    for (int distance = length / 2; distance > 0; distance /= 2) {
      const int i = threadIdx.x, partner = i ^ distance;
      if (i < count && partner > i) {
        const bool is_descending = (i & length) == 0;
        const uint64 a = keys[i], b = keys[partner];
        if ((a < b) == is_descending) keys[i] = b, keys[partner] = a;
      }
      __syncthreads();
    }
  }
}

// Write the softmax of the first `count` candidates, not divided by its sum, and return that sum to all threads.
__device__ __forceinline__ double weigh(const float *logits, const uint64 *keys, int count, float temperature,
                                        double *weights) {
  __shared__ double sum;
  const double peak = logits[id_of_key(keys[0])];
  if (static_cast<int>(threadIdx.x) < count)
    weights[threadIdx.x] = exp((logits[id_of_key(keys[threadIdx.x])] - peak) / temperature);
  __syncthreads();
  if (threadIdx.x == 0) {
    sum = 0.0;
    for (int i = 0; i < count; ++i) sum += weights[i];
  }
  __syncthreads();
  return sum;
}

// How many candidates the filters leave: by their probabilities before temperature, like llama.cpp's default chain.
__device__ __forceinline__ int filter(const double *weights, double sum, int count, const Sampling &sampling) {
  int kept = count;
  if (sampling.top_p < 1.0f) {
    double cumulative = 0.0;
    for (kept = 0; kept < count && cumulative < sampling.top_p; ++kept) cumulative += weights[kept] / sum;
  }
  int likely = kept;
  if (sampling.min_p > 0.0f)
    for (likely = 1; likely < kept && weights[likely] >= sampling.min_p * weights[0];) ++likely;
  return likely;
}

}  // namespace

// tokens[row] = a token of row `row` of logits (rows, vocab_size), drawn by uniforms[row] in [0, 1); -1 if the logits
// are not numbers.
KERNEL(sample, kThreads, const float *all_logits, int vocab_size, const Sampling *samplings, const double *uniforms,
       int *tokens) {
  __shared__ uint64 keys[kMostCandidates];
  __shared__ double weights[kMostCandidates];
  __shared__ uint32 num_found;
  __shared__ int num_kept;
  launch_next_kernel();
  wait_for_previous_kernel();
  const int row = blockIdx.x;
  const float *logits = all_logits + static_cast<long long>(row) * vocab_size;
  const Sampling sampling = samplings[row];
  const int count = sampling.temperature == 0.0f ? 1 : min(min(sampling.top_k, vocab_size), kMostCandidates);
  const uint64 least = select_largest(logits, vocab_size, count);
  int padded = 1;
  while (padded < count) padded *= 2;
  for (int i = threadIdx.x; i < padded; i += kThreads) keys[i] = 0;
  if (threadIdx.x == 0) num_found = 0;
  __syncthreads();
  for (int id = threadIdx.x; id < vocab_size; id += kThreads) {
    const uint64 key = sorting_key(logits[id], id);
    if (key >= least) keys[atomicAdd(&num_found, 1u)] = key;
  }
  __syncthreads();
  sort_keys(keys, padded);
  const float largest = logits[id_of_key(keys[0])];
  if (!(largest - largest == 0.0f)) {  // infinite or not a number
    if (threadIdx.x == 0) tokens[row] = kNotANumber;
    return;
  }
  if (count == 1) {
    if (threadIdx.x == 0) tokens[row] = id_of_key(keys[0]);
    return;
  }
  const double sum = weigh(logits, keys, count, 1.0f, weights);
  if (threadIdx.x == 0) num_kept = filter(weights, sum, count, sampling);
  __syncthreads();
  const double total = weigh(logits, keys, num_kept, sampling.temperature, weights);
  if (threadIdx.x != 0) return;
  double cumulative = weights[0];
  int drawn = 0;
  while (drawn < num_kept - 1 && cumulative <= uniforms[row] * total) cumulative += weights[++drawn];
  tokens[row] = id_of_key(keys[drawn]);
}

// Make the tokens the next step's: row r is unused if its position is negative. `history` (max_steps, num_rows) receives
// them as step *num_steps, which counts up; what comes after max_steps is not kept.
KERNEL(advance_rows, 32, const int *tokens, int *token_ids, int *positions, int *history, int *num_steps, int max_steps,
       int num_rows) {
  launch_next_kernel();
  wait_for_previous_kernel();
  const int step = *num_steps;
  for (int row = threadIdx.x; row < num_rows; row += kWarpLanes) {
    if (step < max_steps) history[step * num_rows + row] = tokens[row];
    if (positions[row] < 0) continue;
    token_ids[row] = tokens[row];
    ++positions[row];
  }
  __syncwarp();
  if (threadIdx.x == 0) *num_steps = step + 1;
}
