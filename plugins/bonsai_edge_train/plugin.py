"""Announces the commands `train` and `export`; imports none of them."""

from __future__ import annotations

from bonsai_edge.hookspecs import PluginCommand, hookimpl


@hookimpl
def bonsai_commands() -> list[PluginCommand]:
    """Offer `train` and `export`."""
    return [
        PluginCommand(
            "train",
            "Train a 1-bit model from a TOML configuration.",
            "bonsai_edge_train.train_command:train",
            install="bonsai-edge[train]",
        ),
        PluginCommand(
            "export",
            "Write a trained checkpoint as a GGUF file.",
            "bonsai_edge_train.export_command:export",
            install="bonsai-edge[train]",
        ),
    ]
