// The sum of a number of each of 64 threads, in a fixed order. Joined in front of the kernels that norm.

var<workgroup> partial_sums: array<f32, 64>;

fn workgroup_sum(thread: u32, number: f32) -> f32 {
  partial_sums[thread] = number;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (thread < half) {
      partial_sums[thread] += partial_sums[thread + half];
    }
    workgroupBarrier();
  }
  return partial_sums[0];
}
