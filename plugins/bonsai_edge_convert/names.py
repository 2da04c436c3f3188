"""The names that Hugging Face checkpoints and MLX packs give to the tensors of a GGUF `qwen3` file."""

from __future__ import annotations

from collections.abc import Iterable

_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def module_name(gguf_name: str) -> str:
    """Return the module whose weight a tensor is: `model.norm` for `output_norm.weight`."""
    name = gguf_name.removesuffix(".weight")
    if name in _OUTER:
        return _OUTER[name]
    _, layer, part = name.split(".")
    return f"model.layers.{layer}.{_IN_BLOCK[part]}"


def in_file_order(gguf_names: Iterable[str]) -> list[str]:
    """Sort names as llama-quantize does: outer tensors first, then layer by layer, each by name."""

    def key(name: str) -> tuple[int, str]:
        return (int(name.split(".")[1]) if name.startswith("blk.") else -1, name)

    return sorted(gguf_names, key=key)
