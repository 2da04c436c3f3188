"""What is timed: prompts, and tokens decoded from some depth of context, alone or several sequences together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Phase = Literal["prefill", "decode"]


class Case(msgspec.Struct, frozen=True):
    """`num_tokens` of each of `num_sequences`, which have `depth` tokens of context before.

    Prefill runs the tokens of one sequence as a prompt, with logits for the last; decode runs one of each sequence at
    a time, with logits for each. Nothing is sampled.
    """

    phase: Phase
    num_tokens: int
    depth: int = 0
    num_sequences: int = 1

    @property
    def name(self) -> str:
        """The name of llama-bench, `pp512` or `tg128`, with the depth (`@ d4096`) and the sequences (`x 8`)."""
        name = f"{'pp' if self.phase == 'prefill' else 'tg'}{self.num_tokens}"
        depth = f" @ d{self.depth}" if self.depth else ""
        return f"{name}{depth}{f' x {self.num_sequences}' if self.num_sequences > 1 else ''}"

    @property
    def all_tokens(self) -> int:
        """The tokens of all sequences, which the speed counts."""
        return self.num_tokens * self.num_sequences

    @property
    def longest(self) -> int:
        """The tokens of one sequence in the end, those before included."""
        return self.depth + self.num_tokens


class Plan(msgspec.Struct, frozen=True):
    """How much is measured.

    Every number of threads gets the decode and the prefill case; the largest also the depths and the batches.
    """

    decode_tokens: int
    prefill_tokens: int
    depths: Sequence[int]
    depth_tokens: int
    batches: Sequence[int]
    batch_tokens: int
    rounds: int

    def cases(self, *, with_sweeps: bool) -> list[Case]:
        """Return the cases of one run, each once; the sweeps are those over depth and batch."""
        cases = [Case("decode", self.decode_tokens), Case("prefill", self.prefill_tokens)]
        if with_sweeps:
            cases += [Case("decode", self.depth_tokens, depth=depth) for depth in sorted(self.depths)]
            cases += [Case("decode", self.batch_tokens, num_sequences=size) for size in sorted(self.batches)]
        return list(dict.fromkeys(cases))


FULL = Plan(
    decode_tokens=128,
    prefill_tokens=512,
    depths=(0, 512, 2048, 4096),
    depth_tokens=32,
    batches=(1, 2, 4, 8),
    batch_tokens=16,
    rounds=5,
)
QUICK = msgspec.structs.replace(FULL, depths=(0, 512), batches=(1, 8), rounds=2)
