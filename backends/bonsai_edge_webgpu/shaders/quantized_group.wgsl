// What products take: columns rounded to int8 in groups of 32, with one scale each. Joined in front of the kernels that
// make them. Byte j of word k of a group is column k + 8 j, so that shifting 32 sign bits by k leaves the signs of word k
// at the bottom of each byte. With it goes (2 scale, -scale * sum): the signed sum is 2 * (sum where the bit is 1) - sum.

@group(0) @binding(0) var<storage, read_write> quants: array<u32>;
@group(0) @binding(1) var<storage, read_write> scales: array<vec2<f32>>;

fn store_group(index: u32, values: ptr<function, array<f32, 32>>) {
  var peak = 0.0;
  for (var i = 0u; i < 32u; i++) {
    peak = max(peak, abs((*values)[i]));
  }
  let scale = peak / 127.0;
  let steps = select(0.0, 127.0 / peak, peak > 0.0);
  var sum = 0;
  for (var k = 0u; k < 8u; k++) {
    let columns = vec4<f32>((*values)[k], (*values)[k + 8u], (*values)[k + 16u], (*values)[k + 24u]);
    let rounded = clamp(vec4<i32>(round(columns * steps)), vec4<i32>(-127), vec4<i32>(127));
    sum += rounded.x + rounded.y + rounded.z + rounded.w;
    let bytes = vec4<u32>(rounded & vec4<i32>(255));
    quants[index * 8u + k] = bytes.x | bytes.y << 8u | bytes.z << 16u | bytes.w << 24u;
  }
  scales[index] = vec2<f32>(2.0 * scale, -scale * f32(sum));
}
