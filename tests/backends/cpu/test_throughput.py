from bonsai_edge_cpu.plugin import CpuBackend


def test_kernels_multiply_as_fast_as_a_processor_does_and_prompts_faster_than_tokens() -> None:
    throughput = CpuBackend().measure_kernels(1)
    assert 1e8 < throughput.decode_macs_per_s < throughput.prefill_macs_per_s < 1e14
