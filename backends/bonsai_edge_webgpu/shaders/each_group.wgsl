// The numbers that `number_at` of the kernel behind it makes of x, rounded to int8: a thread a group. Constants: WIDTH.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<uniform> num_rows: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3<u32>) {
  let group = thread.x;
  if (group >= num_rows * (WIDTH / 32u)) {
    return;
  }
  var values: array<f32, 32>;
  for (var i = 0u; i < 32u; i++) {
    values[i] = number_at(group * 32u + i);
  }
  store_group(group, &values);
}
