// RMSNorm of one row a workgroup, rounded to int8. Row r of the result is row source_rows[r] of x.
// Constants: WIDTH, EPSILON.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> source_rows: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let start = source_rows[workgroup.x] * WIDTH;
  var sum = 0.0;
  for (var i = thread; i < WIDTH; i += 64u) {
    sum += x[start + i] * x[start + i];
  }
  let factor = 1.0 / sqrt(workgroup_sum(thread, sum) / f32(WIDTH) + EPSILON);
  for (var group = thread; group < WIDTH / 32u; group += 64u) {
    var values: array<f32, 32>;
    for (var i = 0u; i < 32u; i++) {
      let column = group * 32u + i;
      values[i] = x[start + column] * factor * weight[column];
    }
    store_group(workgroup.x * (WIDTH / 32u) + group, &values);
  }
}
