"""Announces the commands about published models; imports none of them."""

from __future__ import annotations

from bonsai_edge.hookspecs import PluginCommand, hookimpl


@hookimpl
def bonsai_commands() -> list[PluginCommand]:
    """Offer `pull`, `models` and `verify`."""
    return [
        PluginCommand(
            "pull",
            "Fetch a model and check its SHA-256.",
            "bonsai_edge_hub.pull_command:pull",
            install="bonsai-edge[hub]",
        ),
        PluginCommand(
            "models",
            "List the models on this machine and those that can be fetched.",
            "bonsai_edge_hub.models_command:models",
        ),
        PluginCommand(
            "verify",
            "Check that a model gives the published answers.",
            "bonsai_edge_hub.verify_command:verify",
        ),
    ]
