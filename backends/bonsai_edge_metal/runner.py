"""The MLX model runner: one graph of operations a step, evaluated at its end."""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.paged_runner import PagedRunner
from bonsai_edge.rope import Rope
from bonsai_edge.version import __version__
from bonsai_edge_metal.decoder import Decoder, attend
from bonsai_edge_metal.kv_pages import KVPages
from bonsai_edge_metal.memory import MAX_BATCH_ROWS, default_dtype, step_bytes
from bonsai_edge_metal.placement import Reach, reaches, written_slots


class MetalRunner(PagedRunner):
    """Runs batches with MLX; weights are copied into its memory.

    `dtype` is what products are computed in: float16 on a GPU, which accumulates in float32; float32 on a CPU.
    """

    max_batch_rows = MAX_BATCH_ROWS
    num_threads = 1
    kv_pages: KVPages

    def __init__(self, checkpoint: Checkpoint, num_pages: int, kv_type: KVType, dtype: mx.Dtype | None = None) -> None:
        self.spec = checkpoint.spec
        self.kv_type = kv_type
        self.num_pages = num_pages
        self.tensors = checkpoint.tensors
        self.page_bytes = PAGE_TOKENS * self.spec.kv_bytes_per_token(kv_type)
        self._dtype = dtype or default_dtype()
        self.page_layout = f"{__version__}-mlx-{version('mlx')}-{self._dtype}"
        self.rope = Rope(self.spec)
        self._decoder = Decoder(self.spec, checkpoint.tensors, self._dtype)
        self.kv_pages = KVPages(self.spec, num_pages, kv_type)
        mx.set_cache_limit(step_bytes(self.spec, 1))  # what MLX keeps of freed arrays; without a limit, nearly all

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch; see `ModelRunner.forward`."""
        if not len(batch.token_ids):
            return np.zeros((0, self.spec.vocab_size), np.float32)
        slots, positions = mx.array(written_slots(batch)), mx.array(batch.positions)
        sequences = list(reaches(batch))
        x = self._decoder.embed(mx.array(batch.token_ids))
        for layer in range(self.spec.num_layers):

            def attention(q: mx.array, k: mx.array, v: mx.array, layer: int = layer) -> mx.array:
                return self._attend(layer, q, k, v, slots, sequences)

            x = self._decoder.run_layer(layer, x, positions, attention)
        if not len(batch.logit_rows):
            self.kv_pages.evaluate()
            return np.zeros((0, self.spec.vocab_size), np.float32)
        logits = self._decoder.logits(x[mx.array(batch.logit_rows)])
        mx.eval(logits, *self.kv_pages.arrays)
        return np.array(logits)

    def close(self) -> None:
        """Let go of the memory, also of what MLX keeps for later."""
        del self._decoder, self.kv_pages, self.tensors
        mx.clear_cache()

    def _attend(
        self, layer: int, q: mx.array, k: mx.array, v: mx.array, slots: mx.array, sequences: list[Reach]
    ) -> mx.array:
        keys, values = self.kv_pages.planes[layer]
        keys.store(slots, k)
        values.store(slots, v)
        attended = [
            attend(
                q[reach.rows],
                keys.load(reach.slots, self._dtype),
                values.load(reach.slots, self._dtype),
                reach.mask,
            )
            for reach in sequences
        ]
        return attended[0] if len(attended) == 1 else mx.concatenate(attended)
