"""`bonsai-edge models`: the names that can be given wherever a model file can."""

from __future__ import annotations

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge.model_store import models_directory
from bonsai_edge_hub import catalogue
from bonsai_edge_hub.catalogue import PublishedModel
from bonsai_edge_hub.stored_models import StoredModel, list_stored_models


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the models on this machine and those that `bonsai-edge pull` knows by name.

    Each name can be given wherever a model file can. A file is verified when its SHA-256 was found to be the published
    one and it has not changed since. Uses no network.

    \b
    Example:
      bonsai-edge models
      bonsai-edge models --json
    """
    stored = list_stored_models()
    names = {model.name for model in stored}
    available = [model for model in catalogue.PUBLISHED_MODELS if model.name not in names]
    if as_json:
        echo_json(
            {
                "directory": str(models_directory()),
                "models": stored,
                "available": [_as_record(model) for model in available],
            }
        )
    else:
        _print_table(stored, available)


def _as_record(model: PublishedModel) -> dict[str, object]:
    file = model.file
    return {"name": file.name, "repository": file.repository, "file": file.filename, "bytes": file.num_bytes}


def _print_table(stored: list[StoredModel], available: list[PublishedModel]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("model", "size", "state", "file"):
        table.add_column(title, justify="right" if title == "size" else "left", overflow="fold")
    for model in stored:
        state = "inside the package" if model.name == "seedling" else "verified" if model.verified else "not verified"
        table.add_row(model.name, decimal(model.bytes), state, Text(one_line(model.path)))
    for published in available:
        table.add_row(
            published.name, decimal(published.file.num_bytes or 0), "can be pulled", published.file.repository
        )
    Console(highlight=False).print(table)
