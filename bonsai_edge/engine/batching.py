"""Several generations in one forward step: decoding ones add a token each, prompts fill what room is left."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypeAlias

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.step_part import StepPart
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import BonsaiError

Outcome: TypeAlias = int | BonsaiError | None
"""What a step brought to one generation: a token, none (it may have ended), or why it cannot go on."""


def advance(engine: Engine, generations: Sequence[TokenGeneration]) -> list[Outcome]:
    """Run one step of all that decode, and of as many prompts as fit into a chunk, in their order.

    The generations are open and have not ended; a step of prompts takes about a tenth of a second. An error concerns
    the generation in whose place it is; its caller closes it.
    """
    started = time.perf_counter()
    outcomes: list[Outcome] = [None] * len(generations)
    parts: dict[int, StepPart] = {}
    num_decoding = sum(generation.is_decoding for generation in generations)
    rows_left = min(engine.chunk_rows, engine.runner.max_batch_rows - num_decoding)
    for index, generation in enumerate(generations):
        most_rows = 1 if generation.is_decoding else rows_left
        if most_rows == 0:
            continue
        try:
            part = generation.next_part(most_rows)
        except BonsaiError as exc:
            outcomes[index] = exc
            continue
        if part is not None:
            parts[index] = part
            rows_left -= 0 if generation.is_decoding else len(part.token_ids)
    if parts:
        logits = engine.step(list(parts.values()))
        elapsed_s = time.perf_counter() - started
    for index, part in parts.items():
        own, logits = logits[: len(part.logit_rows)], logits[len(part.logit_rows) :]
        try:
            outcomes[index] = generations[index].take(len(part.token_ids), own, elapsed_s)
        except BonsaiError as exc:
            outcomes[index] = exc
    return outcomes


def run_alone(generation: TokenGeneration) -> Generator[int]:
    """Yield the tokens of one generation; closing the iterator ends it. Raises what an Outcome may be."""
    with closing(generation):
        generation.open()
        while generation.finish_reason is None:
            (outcome,) = advance(generation.engine, [generation])
            if isinstance(outcome, BonsaiError):
                raise outcome
            if outcome is not None:
                yield outcome
