"""Announces the command that builds kernels; imports nothing of it, nor of the backend."""

from __future__ import annotations

from bonsai_edge.hookspecs import PluginCommand, hookimpl


@hookimpl
def bonsai_commands() -> list[PluginCommand]:
    """Offer `kernels`."""
    return [
        PluginCommand(
            "kernels",
            "Compile kernels ahead of time, for this or another machine.",
            "bonsai_edge_mobile.kernels_command:kernels",
            install="bonsai-edge[kernels]",
        )
    ]
