"""A model runner without weights, for tests of what drives a runner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.model_spec import ModelSpec

_SPEC = ModelSpec(
    name="counting",
    architecture="qwen3",
    num_layers=1,
    hidden_size=128,
    intermediate_size=128,
    num_heads=2,
    num_kv_heads=1,
    head_dim=64,
    vocab_size=0,
    context_length=256,
    rms_norm_eps=1e-6,
    rope_base=1e4,
    yarn=None,
    tied_embeddings=True,
)


class CountingRunner(ModelRunner):
    """After token t the most likely token is t + 1; records every batch."""

    max_batch_rows = 16
    num_threads = 1

    def __init__(self, vocab_size: int = 100, num_pages: int = 8) -> None:
        self.vocab_size = vocab_size
        self.spec = replace(_SPEC, vocab_size=vocab_size)
        self.tensors = {}
        self.num_pages = num_pages
        self.kv_type = KVType.F16
        self.page_bytes = 4 * PAGE_TOKENS
        self.pages = np.full((num_pages, PAGE_TOKENS), -1, np.int32)  # the token stored at each slot
        self.batches: list[Batch] = []
        self._logits = np.zeros((self.max_batch_rows, vocab_size), np.float32)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return a buffer that the next call overwrites, as real runners may."""
        self.batches.append(batch)
        pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
        self.pages[pages, batch.positions % PAGE_TOKENS] = batch.token_ids
        logits = self._logits[: len(batch.logit_rows)]
        logits[:] = 0
        following = (batch.token_ids[batch.logit_rows] + 1) % self.vocab_size
        logits[np.arange(len(following)), following] = 10
        return logits

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        return self.pages[page].copy().view(np.uint8)

    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        self.pages[page] = content.view(np.int32)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Do nothing: its keys have no position."""
