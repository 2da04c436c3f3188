"""`bonsai-edge train`: a configuration becomes a directory with a checkpoint, a tokenizer, a log and a loss plot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge_train.checkpoint import CHECKPOINT
from bonsai_edge_train.config import TrainingConfig, find_config, read_config
from bonsai_edge_train.errors import TrainingConfigError
from bonsai_edge_train.run_log import LogEntry
from bonsai_edge_train.runs import CONFIG, check_same_config, prepare_tokenizer, read_teacher
from bonsai_edge_train.training import Report, Trainer


@click.command()
@click.argument("config", metavar="CONFIG")
@click.option("--out", "directory", type=click.Path(file_okay=False, path_type=Path), help="Directory of the run.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in the directory.")
@click.option("--force", is_flag=True, help="Start anew where a checkpoint exists.")
@json_option
def train(config: str, directory: Path | None, resume: bool, force: bool, as_json: bool) -> None:
    """Train a model as CONFIG says: a TOML file, or the name of a shipped recipe such as 'seedling'.

    The directory of the run receives checkpoint.safetensors, tokenizer.json, config.toml, log.jsonl and loss.png.

    \b
    Example:
      bonsai-edge train seedling --out runs/seedling
      bonsai-edge train seedling --out runs/seedling --resume
      bonsai-edge export runs/seedling seedling.gguf
    """
    path = find_config(config)
    settings = read_config(path)
    directory = directory or _configured_directory(settings, path)
    checkpoint = directory / CHECKPOINT
    if resume:
        check_same_config(checkpoint, settings)
    elif checkpoint.exists() and not force:
        raise TrainingConfigError(
            f"{directory} holds a checkpoint already.", "Give --resume to continue it, --force to start anew."
        )
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(settings, directory, resume=resume)
    trainer = Trainer(settings, tokenizer, directory, read_teacher(settings, tokenizer))
    if resume:
        trainer.resume(checkpoint)
    else:
        checkpoint.unlink(missing_ok=True)
        (directory / CONFIG).write_bytes(path.read_bytes())
    num_parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    click.echo(one_line(f"{directory}: {num_parameters:,} parameters, {settings.training.steps:,} steps"), err=True)
    with _progress_bar(trainer.step, settings.training.steps) as report:
        trainer.train(report)
    if as_json:
        echo_json({"directory": str(directory), "steps": trainer.step, "parameters": num_parameters})


def _configured_directory(settings: TrainingConfig, path: Path) -> Path:
    if settings.run.directory is None:
        raise TrainingConfigError(f"{path} names no `run.directory`.", "Give --out DIRECTORY, or set the key.")
    return Path(settings.run.directory)


@contextmanager
def _progress_bar(done: int, total: int) -> Iterator[Report]:
    """Show progress on standard error if that is a terminal; print the evaluations in any case."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("training", total=total, completed=done)

        def report(entry: LogEntry) -> None:
            bar.update(
                task, completed=entry.step, description=f"loss {entry.loss:.4f}, {entry.tokens_per_s:,.0f} tokens/s"
            )
            if entry.evaluation is not None:
                console.print(
                    f"step {entry.step}: loss {entry.loss:.4f}, development loss {entry.evaluation.loss:.4f}, "
                    f"exact match {entry.evaluation.exact_match:.1%}, {entry.tokens_per_s:,.0f} tokens/s",
                    highlight=False,
                )

        yield report
