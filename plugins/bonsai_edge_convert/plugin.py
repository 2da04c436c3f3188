"""Announces the command `convert`; imports none of it."""

from __future__ import annotations

from bonsai_edge.hookspecs import PluginCommand, hookimpl


@hookimpl
def bonsai_commands() -> list[PluginCommand]:
    """Offer `convert`."""
    return [
        PluginCommand(
            "convert",
            "Convert MLX packs and Hugging Face checkpoints to GGUF Q1_0, and back.",
            "bonsai_edge_convert.command:convert",
            install="bonsai-edge[convert]",
        )
    ]
