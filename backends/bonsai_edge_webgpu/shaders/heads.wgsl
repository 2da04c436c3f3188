// One head of one row a workgroup: queries and keys are normed and turned by RoPE, keys and values stored as float16.
// A row of qkv is NUM_HEADS queries, NUM_KV_HEADS keys, as many values. `norms` is the weight for queries, then for keys.
// Constants: NUM_HEADS, NUM_KV_HEADS, HEAD_DIM, EPSILON.

@group(0) @binding(0) var<storage, read_write> queries: array<f32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read> norms: array<f32>;
@group(0) @binding(5) var<storage, read> cos_sin: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> rows: array<Row>;

const PAIRS = HEAD_DIM / 2u;

var<workgroup> turned: array<f32, HEAD_DIM>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.x;
  let row = workgroup.y;
  let start = (row * (NUM_HEADS + 2u * NUM_KV_HEADS) + head) * HEAD_DIM;
  if (head >= NUM_HEADS + NUM_KV_HEADS) {
    let at = (rows[row].slot * NUM_KV_HEADS + head - NUM_HEADS - NUM_KV_HEADS) * PAIRS;
    for (var i = thread; i < PAIRS; i += 64u) {
      values[at + i] = pack2x16float(vec2<f32>(qkv[start + 2u * i], qkv[start + 2u * i + 1u]));
    }
    return;
  }
  var sum = 0.0;
  for (var i = thread; i < HEAD_DIM; i += 64u) {
    sum += qkv[start + i] * qkv[start + i];
  }
  let factor = 1.0 / sqrt(workgroup_sum(thread, sum) / f32(HEAD_DIM) + EPSILON);
  let norm = select(0u, HEAD_DIM, head >= NUM_HEADS);
  for (var i = thread; i < PAIRS; i += 64u) {
    let angle = cos_sin[row * PAIRS + i];
    let first = qkv[start + i] * factor * norms[norm + i];
    let second = qkv[start + PAIRS + i] * factor * norms[norm + PAIRS + i];
    turned[i] = first * angle.x - second * angle.y;
    turned[PAIRS + i] = first * angle.y + second * angle.x;
  }
  workgroupBarrier();
  if (head < NUM_HEADS) {
    for (var i = thread; i < HEAD_DIM; i += 64u) {
      queries[(row * NUM_HEADS + head) * HEAD_DIM + i] = turned[i];
    }
  } else {
    let at = (rows[row].slot * NUM_KV_HEADS + head - NUM_HEADS) * PAIRS;
    for (var i = thread; i < PAIRS; i += 64u) {
      keys[at + i] = pack2x16float(vec2<f32>(turned[2u * i], turned[2u * i + 1u]));
    }
  }
}
