// One query head of one row a workgroup: an online softmax over the pages of its sequence, 64 positions at a time.
// Constants: NUM_HEADS, NUM_KV_HEADS, HEAD_DIM, PAGE_TOKENS, SCALE.

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<Row>;
@group(0) @binding(5) var<storage, read> page_tables: array<u32>;
@group(0) @binding(6) var<uniform> table_pages: u32;

const PAIRS = HEAD_DIM / 2u;
const PAIRS_A_THREAD = (PAIRS + 63u) / 64u;
const LOWEST = -3.0e38;

var<workgroup> query: array<vec2<f32>, PAIRS>;
var<workgroup> scores: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.x;
  let row = workgroup.y;
  let kv_head = head / (NUM_HEADS / NUM_KV_HEADS);
  let start = (row * NUM_HEADS + head) * HEAD_DIM;
  for (var i = thread; i < PAIRS; i += 64u) {
    query[i] = vec2<f32>(queries[start + 2u * i], queries[start + 2u * i + 1u]) * SCALE;
  }
  let length = rows[row].position + 1u;
  let table = rows[row].sequence * table_pages;
  var largest = LOWEST;
  var total = 0.0;
  var sums: array<vec2<f32>, PAIRS_A_THREAD>;
  for (var first = 0u; first < length; first += 64u) {
    let position = min(first + thread, length - 1u);
    let slot = page_tables[table + position / PAGE_TOKENS] * PAGE_TOKENS + position % PAGE_TOKENS;
    let at = (slot * NUM_KV_HEADS + kv_head) * PAIRS;
    workgroupBarrier();  // the query is there; nobody reads the scores of the positions before any more
    var score = 0.0;
    for (var i = 0u; i < PAIRS; i++) {
      score += dot(query[i], unpack2x16float(keys[at + i]));
    }
    scores[thread] = select(LOWEST, score, first + thread < length);
    places[thread] = at;
    workgroupBarrier();
    let count = min(64u, length - first);
    let before = largest;
    for (var i = 0u; i < count; i++) {
      largest = max(largest, scores[i]);
    }
    let rescale = exp(before - largest);
    total *= rescale;
    for (var j = 0u; j < PAIRS_A_THREAD; j++) {
      sums[j] *= rescale;
    }
    for (var i = 0u; i < count; i++) {
      let weight = exp(scores[i] - largest);
      total += weight;
      for (var j = 0u; j < PAIRS_A_THREAD; j++) {
        let pair = min(thread + 64u * j, PAIRS - 1u);
        sums[j] += weight * unpack2x16float(values[places[i] + pair]);
      }
    }
  }
  for (var j = 0u; j < PAIRS_A_THREAD; j++) {
    let pair = thread + 64u * j;
    if (pair < PAIRS) {
      out[start + 2u * pair] = sums[j].x / total;
      out[start + 2u * pair + 1u] = sums[j].y / total;
    }
  }
}
