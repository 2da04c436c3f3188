"""Measures what centring keys would bring: the error of a q4 cache with and without a constant taken from each key.

    python benchmarks/key_centring.py

Attention does not change when the same vector is subtracted from all keys of a head: each score of a query loses the
same number, and softmax does not see it. What is left is smaller and loses less by rounding. The vectors are means over
every other one of seedling's conversations, after RoPE; the error is measured on the others, in the float32 reference
with keys and values rounded to q4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bonsai_edge
from agreement import compare_logits
from bonsai_edge.backend import Batch
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType, round_to
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge.reference import ReferenceRunner

_CONVERSATIONS = Path(__file__).parents[1] / "tests" / "peer" / "data" / "robot_conversations.json"
_MODEL = "seedling"

Array = npt.NDArray[np.float32]
Store = Callable[[int, bool, Array], Array]
"""What a key (True) or value of a layer is kept as, float32 (num_rows, num_kv_heads, head_dim)."""


class StoringRunner(ReferenceRunner):
    """The reference with a say in what is stored."""

    store: Store

    def logits(self, texts: Sequence[Sequence[int]], store: Store) -> Array:
        """Return the logits after each token of all texts, float32 (num_tokens, vocab_size)."""
        self.store, self._num_stored = store, 0
        lengths = [len(text) for text in texts]
        width = -(-max(lengths) // PAGE_TOKENS)
        rows = np.arange(sum(lengths), dtype=np.int32)
        return self.forward(
            Batch(
                np.concatenate(texts).astype(np.int32),
                np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
                np.repeat(np.arange(len(texts), dtype=np.int32), lengths),
                np.arange(len(texts) * width, dtype=np.int32).reshape(-1, width),
                rows,
            )
        )

    def _stored(self, x: Array) -> Array:
        layer, is_value = divmod(self._num_stored, 2)  # keys come first in each layer
        self._num_stored += 1
        return self.store(layer, not is_value, x)


def read_texts() -> list[list[int]]:
    """Return the token ids of the conversations."""
    conversations = json.loads(_CONVERSATIONS.read_text())
    with bonsai_edge.load(_MODEL, backend="reference", context=PAGE_TOKENS) as model:
        return [
            model.encode_prompt([{"role": "user", "content": command}]) + model.tokenizer.encode(answer)
            for command, answer in conversations
        ]


def main() -> None:
    """Measure and print."""
    texts = read_texts()
    num_pages = sum(-(-max(map(len, texts)) // PAGE_TOKENS) for _ in texts)
    runner = StoringRunner(open_checkpoint(resolve_model_path(_MODEL)), num_pages)
    centres: list[Array] = []

    def calibrate(layer: int, is_key: bool, x: Array) -> Array:
        if is_key:
            centres.append(x.mean(axis=0))
        return x

    runner.logits(texts[::2], calibrate)
    exact = runner.logits(texts[1::2], lambda layer, is_key, x: x)
    stores: dict[str, Store] = {
        "q4": lambda layer, is_key, x: round_to(KVType.Q4, x),
        "q4, centred keys": lambda layer, is_key, x: round_to(KVType.Q4, x - centres[layer] if is_key else x),
        "q4 keys": lambda layer, is_key, x: round_to(KVType.Q4, x) if is_key else x,
        "q4 centred keys": lambda layer, is_key, x: round_to(KVType.Q4, x - centres[layer]) if is_key else x,
        "q8": lambda layer, is_key, x: round_to(KVType.Q8, x),
    }
    for name, store in stores.items():
        print(f"{name:18}{compare_logits(exact, runner.logits(texts[1::2], store))}")


if __name__ == "__main__":
    main()
