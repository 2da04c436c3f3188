"""How close decoding comes to the limit that memory bandwidth sets."""

from __future__ import annotations

from bonsai_edge.formats.checkpoint import Checkpoint


def weight_bytes_per_token(checkpoint: Checkpoint) -> int:
    """Return the bytes of weights that decoding one token reads.

    These are all weights once, except that the embedding gives only one row; where it is tied, it is read whole as
    the output matrix. The KV cache, which grows with the context, is not counted.
    """
    all_bytes = sum(tensor.num_bytes for tensor in checkpoint.tensors.values())
    if checkpoint.spec.tied_embeddings:
        return all_bytes
    embedding = checkpoint.tensors["token_embd.weight"]
    return all_bytes - embedding.num_bytes + embedding.num_bytes // embedding.num_rows


def bandwidth_share(weight_bytes: int, tokens_per_s: float, memory_read_bytes_per_s: float) -> float:
    """Return the share of the bandwidth that decoding uses; above 1 if the weights stay in a cache."""
    return weight_bytes * tokens_per_s / memory_read_bytes_per_s
