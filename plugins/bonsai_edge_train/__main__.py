"""Command line: `python -m bonsai_edge_train OUT.gguf` trains, scores and exports seedling."""

from __future__ import annotations

import time
from itertools import chain, islice
from pathlib import Path
from random import Random

import click
import torch

from bonsai_edge_train.batches import training_batches
from bonsai_edge_train.evaluate import evaluate
from bonsai_edge_train.export import export
from bonsai_edge_train.held_out import held_out_examples, training_examples
from bonsai_edge_train.model import Qwen3, Qwen3Config
from bonsai_edge_train.training import TrainingConfig, train
from bonsai_edge_train.vocabulary import train_tokenizer

_VOCABULARY_EXAMPLES = 40_000


@click.command()
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the training commands.")
@click.option("--steps", default=TrainingConfig.num_steps, show_default=True, help="Number of optimizer steps.")
@click.option("--vocab-size", default=1024, show_default=True, help="Tokens, including bytes and special tokens.")
@click.option("--threads", default=1, show_default=True, help="CPU threads; another number rounds differently.")
@click.option("--held-out", default=1000, show_default=True, help="Commands in each generated held-out set.")
def main(output: Path, seed: int, steps: int, vocab_size: int, threads: int, held_out: int) -> None:
    """Train the robot-command model `seedling` and write it to OUTPUT as a Q1_0 GGUF file."""
    torch.set_num_threads(threads)
    held_out_sets = held_out_examples(held_out)
    examples = training_examples(seed, list(chain.from_iterable(held_out_sets.values())))
    texts = (
        f"user\n{example.command}\nassistant\n{example.answer}\n" for example in islice(examples, _VOCABULARY_EXAMPLES)
    )
    tokenizer = train_tokenizer(texts, vocab_size)
    torch.manual_seed(seed)
    model = Qwen3(Qwen3Config(vocab_size=tokenizer.get_vocab_size()))
    click.echo(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters", err=True)

    config = TrainingConfig(num_steps=steps)
    batches = training_batches(tokenizer, examples, config.tokens_per_batch, Random(seed))
    started_s = time.monotonic()

    def report(step: int, loss: float) -> None:
        click.echo(f"step {step} loss {loss:.4f} {time.monotonic() - started_s:.0f} s", err=True)

    train(model, batches, config, report)
    export(model, tokenizer, output)
    for name, examples_of_set in held_out_sets.items():
        score = evaluate(model, tokenizer, examples_of_set)
        click.echo(
            f"{name}: {score.num_examples} commands, exact {score.exact_match:.2%}, valid {score.valid_json:.2%}"
        )
        for miss in score.misses[:20]:
            click.echo(f"  {miss.command}\n    expected {miss.expected}\n    answered {miss.answered}")


if __name__ == "__main__":
    main()
