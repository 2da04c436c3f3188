from dataclasses import replace

import pytest

from bonsai_edge.kv_cache import KVType
from bonsai_edge.measuring.bonsai_shapes import BONSAI_1_7B, BONSAI_4B, BONSAI_8B, BONSAI_SHAPES
from bonsai_edge.profiling.prediction import (
    decode_tokens_per_s,
    fit_costs,
    num_layer_weights,
    num_weights,
    prefill_tokens_per_s,
    weight_bytes,
)
from bonsai_edge.profiling.step_times import ShapeTimes
from sample_profile import COSTS

DEPTH = 2048


def times_of(spec, kv_type, costs=COSTS):
    """Return what a machine with these costs would be timed at, with a few layers of a shape."""
    few = replace(spec, num_layers=spec.num_layers // 4, vocab_size=4096, tied_embeddings=True)
    decode_s = 1 / decode_tokens_per_s(few, kv_type, costs)
    layers_bytes = num_layer_weights(few) * 18 // 128
    chunk_s = costs.chunk.of(layers_bytes, few.num_layers)
    kv_bytes, values = DEPTH * few.kv_bytes_per_token(kv_type), DEPTH * few.num_layers * few.attention_size
    return ShapeTimes(
        spec=few,
        depth=DEPTH,
        chunk_rows=32,
        decode_s=decode_s,
        deep_decode_s=1 / decode_tokens_per_s(few, kv_type, costs, DEPTH),
        chunk_s=chunk_s,
        deep_chunk_s=chunk_s + costs.chunk_attention.of(kv_bytes, values),
    )


def test_costs_of_a_machine_are_found_again_from_two_shapes():
    fitted = fit_costs(
        {kv: [times_of(shape.spec, kv) for shape in (BONSAI_1_7B, BONSAI_8B)] for kv in (KVType.F16, KVType.Q8)}
    )
    assert list(fitted) == ["f16", "q8"]
    for kv_type, costs in fitted.items():
        assert costs.decode.per_byte_s == pytest.approx(COSTS.decode.per_byte_s)
        assert costs.decode.per_layer_s == pytest.approx(COSTS.decode.per_layer_s)
        assert costs.chunk_attention.per_query_value_s == pytest.approx(COSTS.chunk_attention.per_query_value_s)
        for depth in (0, 4096):
            assert decode_tokens_per_s(BONSAI_4B.spec, KVType(kv_type), costs, depth) == pytest.approx(
                decode_tokens_per_s(BONSAI_4B.spec, KVType(kv_type), COSTS, depth)
            )


def test_what_does_not_depend_on_the_kv_type_is_taken_where_it_was_quiet():
    quiet = [times_of(shape.spec, KVType.F16) for shape in (BONSAI_1_7B, BONSAI_8B)]
    noisy = [replace(each, decode_s=9 * each.decode_s) for each in quiet]
    fitted = fit_costs({KVType.F16: quiet, KVType.Q4: noisy})
    assert fitted["q4"].decode.per_byte_s == pytest.approx(COSTS.decode.per_byte_s)


def test_noise_makes_no_cost_negative():
    narrow, wide = (times_of(shape.spec, KVType.F16) for shape in (BONSAI_1_7B, BONSAI_8B))
    wide = replace(wide, decode_s=2 * wide.decode_s, deep_decode_s=1.9 * wide.decode_s, chunk_s=0.5 * wide.chunk_s)
    costs = fit_costs({KVType.F16: [narrow, wide]})["f16"]
    assert min(costs.decode.per_byte_s, costs.chunk.per_byte_s, costs.decode_attention.per_kv_byte_s) >= 0
    assert min(costs.decode.per_layer_s, costs.chunk.per_layer_s, costs.decode_attention.per_query_value_s) >= 0
    assert decode_tokens_per_s(BONSAI_8B.spec, KVType.F16, costs, 100) > 0


def test_decoding_slows_down_with_depth_and_more_so_with_larger_caches():
    spec = BONSAI_8B.spec
    shallow, deep = (decode_tokens_per_s(spec, KVType.F16, COSTS, depth) for depth in (0, 8192))
    assert deep < shallow
    assert decode_tokens_per_s(spec, KVType.Q4, COSTS, 8192) > deep


def test_a_prompt_costs_whole_chunks_and_what_came_before_them():
    spec = BONSAI_1_7B.spec
    one, also_one = (1 / prefill_tokens_per_s(spec, KVType.F16, COSTS, n) * n for n in (32, 17))
    assert one == pytest.approx(also_one)
    assert 4 / prefill_tokens_per_s(spec, KVType.F16, COSTS, 128) > 4 / prefill_tokens_per_s(
        spec, KVType.F16, COSTS, 32
    )


@pytest.mark.parametrize("shape", BONSAI_SHAPES, ids=lambda shape: shape.spec.name)
def test_weights_are_what_the_published_file_holds_but_for_vocabulary_and_embedding(shape):
    embedding = 0 if shape.spec.tied_embeddings else shape.spec.vocab_size * shape.spec.hidden_size // 128 * 18
    rest = shape.file_bytes - weight_bytes(shape.spec) - embedding
    assert 5_000_000 < rest < 9_000_000  # the vocabulary of 151,669 tokens with its merges, and the norms
    assert num_layer_weights(shape.spec) < num_weights(shape.spec)
