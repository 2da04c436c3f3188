"""Speed against llama.cpp, measured as `benchmarks/vs_llama_cpp.py` does; only right on a machine at rest."""

import pytest

from bonsai_edge.plugin_manager import device_profile

LEAST_DECODE_RATIO = 1.5


@pytest.mark.slow
def test_decode_of_the_1_7b_shape_is_one_and_a_half_times_as_fast_as_llama_cpp(bonsai_1_7b, report):
    compare = pytest.importorskip("vs_llama_cpp", reason="llama-cpp-python is not installed (extra `peer`)").compare
    comparison = compare(
        bonsai_1_7b,
        backend="cpu",
        threads=device_profile().usable_cores,
        num_prompt=128,
        num_decode=64,
        repetitions=3,
    )
    for test, ratio in comparison.ratios.items():
        ours, theirs = comparison.bonsai_edge[test].tokens_per_s, comparison.llama_cpp[test].tokens_per_s
        report(f"1.7b {test}", f"cpu {ours:.1f} tokens/s, llama.cpp {theirs:.1f} tokens/s, ratio {ratio:.2f}")
    assert comparison.ratios["tg64"] >= LEAST_DECODE_RATIO
