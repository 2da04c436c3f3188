"""Answers that share their steps, on the embedded model: what each says does not depend on the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import bonsai_edge
from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk
from bonsai_edge.model import Model
from bonsai_edge.text_generation import TextGeneration

PROMPTS = ["go to the kitchen", "pick up the red cube and bring it to me", "what is the time", "dock"]
OPTIONS = [
    GenerationOptions(max_tokens=60, temperature=0),
    GenerationOptions(max_tokens=40, temperature=1.0, seed=3),
    GenerationOptions(max_tokens=50, temperature=0.7, seed=4, repetition_penalty=1.2),
    GenerationOptions(max_tokens=12),
]


@pytest.fixture(scope="module")
def model():
    with bonsai_edge.load("seedling", sessions=4) as model:
        yield model


def begin(model: Model, index: int) -> TextGeneration:
    return model.begin([Message("user", PROMPTS[index])], OPTIONS[index])


def finish(model: Model, generations: Sequence[TextGeneration]) -> list[GenerationResult]:
    results: dict[int, GenerationResult] = {}
    while running := [each for each in generations if not each.is_finished]:
        for generation, events in zip(running, model.advance(running), strict=True):
            assert not isinstance(events, BonsaiError)
            for event in events:
                if isinstance(event, GenerationResult):
                    results[generations.index(generation)] = event
    return [results[index] for index in range(len(generations))]


@pytest.fixture(scope="module")
def alone(model: Model) -> list[list[int]]:
    results = []
    for index in range(len(PROMPTS)):
        generation = begin(model, index)
        generation.open()
        results += finish(model, [generation])
    return [result.token_ids for result in results]


def test_together_they_say_what_each_says_alone(model: Model, alone: list[list[int]]) -> None:
    generations = [begin(model, index) for index in range(len(PROMPTS))]
    for each in generations:
        each.open()
    assert [result.token_ids for result in finish(model, generations)] == alone


def test_one_that_was_suspended_says_the_same(model: Model, alone: list[list[int]]) -> None:
    generations = [begin(model, index) for index in range(len(PROMPTS))]
    for each in generations:
        each.open()
    for _ in range(5):
        model.advance(generations)
    generations[1].suspend()
    others = [each for index, each in enumerate(generations) if index != 1]
    finish(model, others)
    with model.engine.sequence(model.engine.pool.num_pages * 32 - 31) as everything:
        everything.prefill([1] * (model.engine.pool.num_pages * 32 - 40))  # nothing of it stays in the cache
    generations[1].open()
    (result,) = finish(model, [generations[1]])
    assert result.token_ids == alone[1]


def test_log_probabilities_come_with_the_tokens(model: Model) -> None:
    events = list(model.generate("go", max_tokens=8, temperature=0, logprobs=2))
    chunks = [event for event in events if isinstance(event, TextChunk)]
    found = [logprob for chunk in chunks for logprob in chunk.logprobs or ()]
    assert [each.token_id for each in found] == [token_id for chunk in chunks for token_id in chunk.token_ids]
    for each in found:
        assert each.top[0] == (each.token_id, each.logprob), "greedy takes the likeliest"
        assert each.top[1][1] <= each.logprob <= 0


def test_without_asking_there_are_no_log_probabilities(model: Model) -> None:
    assert all(
        event.logprobs is None
        for event in model.generate("go", max_tokens=4, temperature=0)
        if isinstance(event, TextChunk)
    )
