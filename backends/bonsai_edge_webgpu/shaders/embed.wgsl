// The rows of the 1-bit embedding that belong to tokens, as numbers: a thread a column. Constants: WIDTH.

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> signs: array<u32>;
@group(0) @binding(2) var<storage, read> weight_scales: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<Row>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let token_id = rows[workgroup.x].token_id;
  for (var column = thread; column < WIDTH; column += 64u) {
    let sign = signs[(token_id * WIDTH + column) / 32u] >> (column % 32u) & 1u;
    let block = (token_id * (WIDTH / 128u)) + column / 128u;
    let scale = unpack2x16float(weight_scales[block / 2u])[block % 2u];
    x[workgroup.x * WIDTH + column] = select(-scale, scale, sign == 1u);
  }
}
