"""Predicts how fast a model runs from what steps of synthetic models cost on this machine. Pure arithmetic.

A step costs so much for each byte of weights, for each layer, and in each layer for each position that it attends to.
The costs come from two models of different width, on the machine itself: so they contain whatever limits it, the
memory's bandwidth, the units that multiply, and the meetings of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.kv_cache import KVType
from bonsai_edge.measuring.synthetic_model import matrix_bytes
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.profiling.step_times import ShapeTimes


class WeightCost(msgspec.Struct, frozen=True):
    """What a step costs for each byte of weights and for each layer."""

    per_byte_s: float
    per_layer_s: float

    def of(self, num_bytes: float, num_layers: float) -> float:
        """Return the seconds of so much of both."""
        return self.per_byte_s * num_bytes + self.per_layer_s * num_layers


class AttentionCost(msgspec.Struct, frozen=True):
    """What attending costs for each byte of cached keys and values, and for each value of a query head that meets them.

    For a chunk of a prompt, of all its rows together.
    """

    per_kv_byte_s: float
    per_query_value_s: float

    def of(self, kv_bytes: float, query_values: float) -> float:
        """Return the seconds of so much of both."""
        return self.per_kv_byte_s * kv_bytes + self.per_query_value_s * query_values


class StepCosts(msgspec.Struct, frozen=True):
    """What steps cost with a KV type and a number of threads; a chunk has `chunk_rows` tokens of a prompt."""

    chunk_rows: int
    decode: WeightCost
    chunk: WeightCost
    decode_attention: AttentionCost
    chunk_attention: AttentionCost


def fit_costs(times: Mapping[KVType, Sequence[ShapeTimes]]) -> dict[str, StepCosts]:
    """Return the costs that explain the times of two shapes, by the name of the KV type.

    What does not depend on the KV type is taken from the one that was disturbed the least.
    """
    shapes = next(iter(times.values()))
    weights = [(weight_bytes(shape.spec), shape.spec.num_layers) for shape in shapes]
    layers_alone = [(_layer_bytes(shape.spec), shape.spec.num_layers) for shape in shapes]
    by_shape = list(zip(*times.values(), strict=True))
    decode_s = [min(each.decode_s for each in same) for same in by_shape]
    chunk_s = [min(each.chunk_s for each in same) for same in by_shape]
    decode = WeightCost(*_solve(weights, decode_s))
    chunk = WeightCost(*_solve(layers_alone, chunk_s))
    return {
        kv_type.value: StepCosts(
            chunk_rows=shapes[0].chunk_rows,
            decode=decode,
            chunk=chunk,
            decode_attention=_attention_cost(kv_type, own, [each.deep_decode_s - each.decode_s for each in own]),
            chunk_attention=_attention_cost(kv_type, own, [each.deep_chunk_s - each.chunk_s for each in own]),
        )
        for kv_type, own in times.items()
    }


def decode_tokens_per_s(spec: ModelSpec, kv_type: KVType, costs: StepCosts, depth: int = 0) -> float:
    """Predict the speed of decoding after `depth` tokens."""
    seconds = costs.decode.of(weight_bytes(spec), spec.num_layers)
    return 1 / (seconds + costs.decode_attention.of(*_attended(spec, kv_type, depth)))


def prefill_tokens_per_s(spec: ModelSpec, kv_type: KVType, costs: StepCosts, num_tokens: int) -> float:
    """Predict the speed of a prompt of so many tokens from an empty context."""
    num_chunks = -(-num_tokens // costs.chunk_rows)
    positions_before = costs.chunk_rows * num_chunks * (num_chunks - 1) / 2  # of all chunks together
    seconds = (
        num_chunks * costs.chunk.of(_layer_bytes(spec), spec.num_layers)
        + costs.chunk_attention.of(*_attended(spec, kv_type, positions_before))
        + costs.decode.of(weight_bytes(spec) - _layer_bytes(spec), 0)
    )
    return num_tokens / seconds


def weight_bytes(spec: ModelSpec) -> int:
    """Return the bytes of the Q1_0 matrices that decoding a token reads: all, but of an untied embedding none."""
    sizes = matrix_bytes(spec)
    return sum(sizes.values()) - (0 if spec.tied_embeddings else sizes["token_embd.weight"])


def num_weights(spec: ModelSpec) -> int:
    """Return the weights that take part in decoding a token: multiply-adds, attention left out."""
    return _num_weights(weight_bytes(spec))


def num_layer_weights(spec: ModelSpec) -> int:
    """Return the weights that take part in each token of a prompt, of which only the last has logits."""
    return _num_weights(_layer_bytes(spec))


def _num_weights(num_bytes: int) -> int:
    return num_bytes // GGMLType.Q1_0.block_bytes * GGMLType.Q1_0.block_elements


def _layer_bytes(spec: ModelSpec) -> int:
    return sum(size for name, size in matrix_bytes(spec).items() if name.startswith("blk."))


def _attended(spec: ModelSpec, kv_type: KVType, num_positions: float) -> tuple[float, float]:
    """Return the bytes of so many cached positions, all layers, and the values of query heads that meet them."""
    return (
        num_positions * spec.kv_bytes_per_token(kv_type),
        num_positions * spec.num_layers * spec.attention_size,
    )


def _attention_cost(kv_type: KVType, shapes: Sequence[ShapeTimes], seconds: Sequence[float]) -> AttentionCost:
    return AttentionCost(*_solve([_attended(shape.spec, kv_type, shape.depth) for shape in shapes], seconds))


def _solve(amounts: Sequence[tuple[float, float]], seconds: Sequence[float]) -> tuple[float, float]:
    """Solve two equations for two costs; where noise would make one negative it is 0, and the other fits both best."""
    (a, b), (c, d) = amounts
    s, t = seconds
    determinant = a * d - b * c
    first, other = (s * d - b * t) / determinant, (a * t - c * s) / determinant
    if other < 0:
        return max(0.0, (a * s + c * t) / (a * a + c * c)), 0.0
    if first < 0:
        return 0.0, max(0.0, (b * s + d * t) / (b * b + d * d))
    return first, other
