"""`bonsai-edge export`: a checkpoint becomes a GGUF file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import click
from rich.filesize import decimal

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge_train import export as gguf_export
from bonsai_edge_train.checkpoint import load_run
from bonsai_edge_train.errors import ExportError

_QUANTIZE_WARNING = (
    "Warning: --quantize keeps the sign of each weight and one scale per 128. A model that was not trained for 1 bit "
    "loses most of what it knows by that; expect it to babble."
)


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quantize", is_flag=True, help="Round float32 weights to 1 bit; not lossless.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@json_option
def export(checkpoint: Path, output: Path, quantize: bool, force: bool, as_json: bool) -> None:
    """Write a trained model as a GGUF file.

    CHECKPOINT is the directory of a run of `bonsai-edge train`, or a checkpoint in it. Q1_0 weights are written as
    they were in the forward pass, float32 weights as F32.

    \b
    Example:
      bonsai-edge export runs/seedling seedling.gguf
      bonsai-edge export runs/ablation-float32 quantized.gguf --quantize
    """
    if output.exists() and not force:
        raise ExportError(f"{output} exists already.", "Give another name, or --force to replace it.")
    run = load_run(checkpoint)
    if quantize and run.config.model.weights == "q1_0":
        raise ExportError(f"{checkpoint} has 1-bit weights already.", "Leave out --quantize.")
    if quantize:
        click.echo(_QUANTIZE_WARNING, err=True)
    header = gguf_export.Header(run.config.name, run.config.license)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as staging:
            written = Path(staging) / output.name
            gguf_export.export(run.model, run.tokenizer, written, header, quantize=quantize)
            with written.open("rb") as file:
                os.fsync(file.fileno())
            contents = written.read_bytes()
            written.replace(output)
    except OSError as exc:
        raise ExportError(
            f"{output} cannot be written: {exc.strerror or exc}.",
            "Check the directory, its permissions and free space.",
        ) from exc
    digest = hashlib.sha256(contents).hexdigest()
    if as_json:
        echo_json({"path": str(output), "bytes": len(contents), "steps": run.step, "sha256": digest})
    else:
        click.echo(one_line(f"{output}: {decimal(len(contents))}, trained for {run.step:,} steps, SHA-256 {digest}"))
