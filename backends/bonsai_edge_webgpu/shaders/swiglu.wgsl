// silu(gate) * up, rounded to int8: a thread a group. A row of x is gate, then up. Constants: WIDTH, of one of them.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<uniform> num_rows: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3<u32>) {
  let group = thread.x;
  if (group >= num_rows * (WIDTH / 32u)) {
    return;
  }
  let gate_start = (group * 32u / WIDTH) * 2u * WIDTH + group * 32u % WIDTH;
  var values: array<f32, 32>;
  for (var i = 0u; i < 32u; i++) {
    let gate = x[gate_start + i];
    values[i] = gate / (1.0 + exp(-gate)) * x[gate_start + WIDTH + i];
  }
  store_group(group, &values);
}
