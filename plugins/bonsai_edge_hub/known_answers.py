"""Compares a loaded model with published answers: what its tokenizer gives and what it says when it is greedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bonsai_edge import GenerationOptions, Model
from bonsai_edge.engine.batching import run_alone
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge_hub.catalogue import KnownAnswer


@dataclass(frozen=True)
class CheckResult:
    """One check; where it fails, the first position that differs and the ids there, None past the end of a list."""

    check: str
    passed: bool
    num_ids: int
    first_difference: int | None = None
    expected_id: int | None = None
    actual_id: int | None = None


def check_answers(model: Model, answers: Sequence[KnownAnswer]) -> list[CheckResult]:
    """Check tokenizer and continuation of each answer; the continuation starts from the published ids."""
    results = []
    for answer in answers:
        results.append(_compare("tokenizer", answer.prompt_ids, model.tokenizer.encode(answer.prompt, special=True)))
        results.append(_compare("continuation", answer.answer_ids, _continue(model, answer)))
    return results


def _continue(model: Model, answer: KnownAnswer) -> list[int]:
    """Decode greedily, through stop tokens, exactly as many tokens as were published."""
    sampler = Sampler(GenerationOptions(temperature=0), SamplingDefaults(), model.spec.vocab_size)
    generation = TokenGeneration(
        model.engine, answer.prompt_ids, sampler, len(answer.answer_ids), stop_ids=(), cancelled=lambda: False
    )
    return list(run_alone(generation))


def _compare(check: str, expected: Sequence[int], actual: Sequence[int]) -> CheckResult:
    for position, (expected_id, actual_id) in enumerate(zip_longest(expected, actual)):
        if expected_id != actual_id:
            return CheckResult(check, False, len(expected), position, expected_id, actual_id)
    return CheckResult(check, True, len(expected))
