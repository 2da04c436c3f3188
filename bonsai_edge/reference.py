"""The model in plain NumPy float32: slow, obvious, and the oracle that every backend is tested against.

Weights are dequantized anew for each use, so a run needs the memory of one matrix only. Always available, never
chosen by itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Availability, Backend, Batch, ModelRunner
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType, round_to
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.rope import Rope, rotate

_MAX_BATCH_ROWS = 512
_BYTES_PER_DEQUANTIZED = 9  # a bit as a byte, its sign and the weight in float32: `ggml_types.dequantize`

Array = npt.NDArray[np.float32]


class ReferenceBackend(Backend):
    """NumPy float32, for tests and for judging other backends."""

    name = "reference"
    summary = "plain NumPy float32: the oracle, slow"
    kv_types = tuple(KVType)

    def probe(self) -> Availability:
        """Report that it always runs, and that `auto` leaves it alone."""
        return Availability(True, "NumPy is always there; never chosen by 'auto'.", score=0)

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner; `threads` is left to NumPy's BLAS."""
        return ReferenceRunner(checkpoint, plan.num_pages, plan.kv_type)

    def page_bytes(self, spec: ModelSpec, kv_type: KVType) -> int:
        """Return what float32 needs, whatever it is rounded to."""
        return 2 * PAGE_TOKENS * spec.kv_bytes_per_token(KVType.F16)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return what the largest matrix needs while it is dequantized; attending from long prompts may need more."""
        return _BYTES_PER_DEQUANTIZED * max(spec.vocab_size, spec.intermediate_size) * spec.hidden_size


class ReferenceRunner(ModelRunner):
    """Runs batches one operation at a time.

    Keys and values are kept in float32; those of a quantized KV type are rounded to it.
    """

    max_batch_rows = _MAX_BATCH_ROWS
    num_threads = 1

    def __init__(self, checkpoint: Checkpoint, num_pages: int, kv_type: KVType = KVType.F16) -> None:
        self.spec = checkpoint.spec
        self.num_pages = num_pages
        self.kv_type = kv_type
        self.tensors = checkpoint.tensors
        self._rope = Rope(self.spec)
        shape = (2, self.spec.num_layers, num_pages, PAGE_TOKENS, self.spec.num_kv_heads, self.spec.head_dim)
        self._cache = np.zeros(shape, np.float32)
        self._keys, self._values = self._cache
        self.page_bytes = self._cache[:, :, 0].nbytes

    def forward(self, batch: Batch) -> Array:
        """Run the batch; see `ModelRunner.forward`."""
        x = self.tensors["token_embd.weight"].dequantize(batch.token_ids)
        cos_sin = self._rope.cos_sin(batch.positions)
        for layer in range(self.spec.num_layers):
            x = x + self._attention(layer, self._norm(x, f"blk.{layer}.attn_norm"), batch, cos_sin)
            x = x + self._mlp(layer, self._norm(x, f"blk.{layer}.ffn_norm"))
        x = self._norm(x[batch.logit_rows], "output_norm")
        return self._project(x, "token_embd" if self.spec.tied_embeddings else "output")

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return float32 (2, num_layers, PAGE_TOKENS, num_kv_heads, head_dim) as bytes."""
        return np.ascontiguousarray(self._cache[:, :, page]).reshape(-1).view(np.uint8)

    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page; see `ModelRunner.write_page`."""
        self._cache[:, :, page] = content.view(np.float32).reshape(self._cache[:, :, 0].shape)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Turn the keys of a page; see `ModelRunner.rotate_keys`."""
        self._keys[:, page] = self._stored(self._rope.move(self._keys[:, page], num_positions))

    def _stored(self, x: Array) -> Array:
        return x if self.kv_type is KVType.F16 else round_to(self.kv_type, x)

    def _attention(self, layer: int, x: Array, batch: Batch, cos_sin: tuple[Array, Array]) -> Array:
        spec, block = self.spec, f"blk.{layer}."
        q: Array = self._project(x, block + "attn_q").reshape(-1, spec.num_heads, spec.head_dim)
        k: Array = self._project(x, block + "attn_k").reshape(-1, spec.num_kv_heads, spec.head_dim)
        v = self._project(x, block + "attn_v").reshape(-1, spec.num_kv_heads, spec.head_dim)
        q = apply_rope(self._norm(q, block + "attn_q_norm"), *cos_sin)
        k = apply_rope(self._norm(k, block + "attn_k_norm"), *cos_sin)
        pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
        slots = batch.positions % PAGE_TOKENS
        self._keys[layer, pages, slots] = self._stored(k)
        self._values[layer, pages, slots] = self._stored(v)
        out = np.empty_like(q)
        for sequence in np.unique(batch.sequence_ids):
            rows = np.flatnonzero(batch.sequence_ids == sequence)
            out[rows] = self._attend(layer, q[rows], batch.positions[rows], batch.page_tables[sequence])
        return self._project(out.reshape(-1, spec.attention_size), block + "attn_output")

    def _attend(
        self, layer: int, q: Array, positions: npt.NDArray[np.int32], page_table: npt.NDArray[np.int32]
    ) -> Array:
        """Attend from q (num_rows, num_heads, head_dim) of one sequence to its cached positions up to each row's."""
        spec = self.spec
        length = int(positions.max()) + 1
        pages = page_table[: -(-length // PAGE_TOKENS)]
        # (length, num_kv_heads, head_dim), then every KV head repeated for its group of query heads
        k = self._keys[layer, pages].reshape(-1, spec.num_kv_heads, spec.head_dim)[:length]
        v = self._values[layer, pages].reshape(-1, spec.num_kv_heads, spec.head_dim)[:length]
        group = spec.num_heads // spec.num_kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("rhd,lhd->hrl", q, k) / np.float32(np.sqrt(spec.head_dim))
        scores = np.where(np.arange(length) <= positions[:, None], scores, np.float32(-np.inf))
        return np.einsum("hrl,lhd->rhd", softmax(scores), v)

    def _mlp(self, layer: int, x: Array) -> Array:
        gate = self._project(x, f"blk.{layer}.ffn_gate")
        up = self._project(x, f"blk.{layer}.ffn_up")
        return self._project(silu(gate) * up, f"blk.{layer}.ffn_down")

    def _norm(self, x: Array, name: str) -> Array:
        return rms_norm(x, self.tensors[name + ".weight"].dequantize()[0], self.spec.rms_norm_eps)

    def _project(self, x: Array, name: str) -> Array:
        return x @ self.tensors[name + ".weight"].dequantize().T


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """Scale the last axis to unit root mean square, then by `weight` (arXiv:1910.07467)."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps)) * weight


def apply_rope(x: Array, cos: Array, sin: Array) -> Array:
    """Rotate x (num_rows, num_heads, head_dim) to the positions of its rows; cos, sin: (num_rows, head_dim // 2)."""
    return rotate(x, cos[:, None], sin[:, None])


def softmax(scores: Array) -> Array:
    """Normalize the last axis to probabilities."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def silu(x: Array) -> Array:
    """Return x * sigmoid(x)."""
    with np.errstate(over="ignore"):  # exp(-x) may become infinity, and the quotient then the right 0
        return x / (np.float32(1) + np.exp(-x))
