"""What the pages of a session depend on: only where all of it is the same may they be used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
import numpy as np

from bonsai_edge.backend import ModelRunner
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.model_spec import ModelSpec

_MOST_PAGE_BYTES = 1 << 30


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Model and tokenizer, which give token ids their meaning, and what computed the pages and how they are stored."""

    model: str
    tokenizer: str
    backend: str
    page_layout: str
    kv_type: str
    page_tokens: int
    page_bytes: Annotated[int, msgspec.Meta(ge=1, le=_MOST_PAGE_BYTES)]

    def foreign_to(self, other: Fingerprint) -> str | None:
        """Say why token ids of a session with this fingerprint mean nothing to another's model; None if they do."""
        if self.model != other.model:
            return "it belongs to another model"
        if self.tokenizer != other.tokenizer:
            return "it was made with another tokenizer"
        return None

    def stale_to(self, other: Fingerprint) -> str | None:
        """Say why the pages cannot be used where `other` is computed, though the tokens can; None if they can."""
        if self.backend != other.backend:
            return f"its pages were computed by the backend {self.backend!r}, this one is {other.backend!r}"
        if self.kv_type != other.kv_type:
            return f"its pages have the KV type {self.kv_type}, this cache has {other.kv_type}"
        if self.page_layout != other.page_layout:
            return f"its pages were computed by another version or instruction set of the backend {self.backend!r}"
        if (self.page_tokens, self.page_bytes) != (other.page_tokens, other.page_bytes):
            return (
                f"its pages have {self.page_tokens} tokens in {self.page_bytes} bytes, "
                f"this cache has {other.page_tokens} in {other.page_bytes}"
            )
        return None


def take_fingerprint(runner: ModelRunner, backend_name: str, tokenizer: str) -> Fingerprint:
    """Return the fingerprint of a loaded model whose tokenizer has that digest; reads all weights once."""
    return Fingerprint(
        model=model_digest(runner.spec, runner.tensors),
        tokenizer=tokenizer,
        backend=backend_name,
        page_layout=runner.page_layout,
        kv_type=runner.kv_type.value,
        page_tokens=PAGE_TOKENS,
        page_bytes=runner.page_bytes,
    )


def model_digest(spec: ModelSpec, tensors: Mapping[str, QuantizedTensor]) -> str:
    """Return the SHA-256 of the hyper-parameters and of every weight, as they lie in memory, whatever the file's name.

    Samples would be faster and could miss a model that was trained on for a little while.
    """
    digest = hashlib.sha256()
    constants = asdict(spec)
    del constants["name"]  # may come from the file's name
    digest.update(msgspec.json.encode(constants, order="sorted"))
    for name, tensor in sorted(tensors.items()):
        digest.update(msgspec.json.encode([name, tensor.ggml_type.name, tensor.num_rows, tensor.num_columns]))
        digest.update(tensor.packed.reshape(-1).data)
    return digest.hexdigest()


def tokenizer_digest(metadata: Mapping[str, MetadataValue]) -> str:
    """Return the SHA-256 of the keys that turn text into token ids; the chat template is not one of them."""
    keys = sorted(key for key in metadata if key.startswith("tokenizer.ggml."))
    items = [[key, _as_plain(metadata[key])] for key in keys]
    return hashlib.sha256(msgspec.msgpack.encode(items)).hexdigest()


def _as_plain(value: MetadataValue) -> Any:
    return [value.dtype.str, value.tobytes()] if isinstance(value, np.ndarray) else value
