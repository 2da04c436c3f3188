// Prefill: rows of activations rounded once for a whole matrix product, exactly as decode rounds them for itself.
#include "quantized_rows.cuh"

// A block a row, a warp a segment of its columns. factors receives 1 / rms, or 1 if there is no norm.
KERNEL(quantize_rows, kSegments *kWarpLanes, const float *in, const int *rows, const float *norm, float eps,
       uint32 *codes, BlockHeader *headers, float *factors, int num_blocks) {
  __shared__ float segment_squares[kSegments];
  launch_next_kernel();
  wait_for_previous_kernel();
  const int lane = lane_index(), warp = warp_index();
  const long long source = rows ? rows[blockIdx.x] : blockIdx.x, first = static_cast<long long>(blockIdx.x) * num_blocks;
  float squares = 0.0f;
  for (int block = segment_begin(warp, num_blocks); block < segment_begin(warp + 1, num_blocks); ++block) {
    float x[4];
    load_block(in + source * num_blocks * kBlockColumns, norm, block, lane, x, squares);
    const QuantizedBlock quantized = quantize_block(x);
    codes[(first + block) * kWarpLanes + lane] = packed_codes(quantized);
    BlockHeader header = {quantized.scale, quantized.sum, {}};
#pragma unroll
    for (int group = 0; group < 4; ++group)
      header.multipliers[group] = static_cast<uint16>(__shfl_sync(kAllLanes, quantized.multiplier, 8 * group));
    if (lane == 0) headers[first + block] = header;
  }
  const float total = warp_total(squares);
  if (lane == 0) segment_squares[warp] = total;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float square = 0.0f;
  for (int segment = 0; segment < kSegments; ++segment) square += segment_squares[segment];
  factors[blockIdx.x] = norm ? inverse_rms(square, num_blocks * kBlockColumns, eps) : 1.0f;
}
