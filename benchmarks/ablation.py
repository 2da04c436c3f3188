"""Compares float32 weights, weights trained with 1 bit, and float32 weights rounded to 1 bit after training.

    bonsai-edge train ablation-float32 && bonsai-edge train ablation-q1_0
    python benchmarks/ablation.py [--float32 RUN] [--q1_0 RUN] [--examples 1000]

Prints a Markdown table: the mean cross-entropy per answer token and the share of commands that are answered exactly, on
generated commands that training never draws. Computed by PyTorch in float32; needs the extra `train`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from bonsai_edge_train.checkpoint import TrainedRun, load_run
from bonsai_edge_train.development import DevelopmentSet
from bonsai_edge_train.model import Qwen3


def round_to_one_bit(model: Qwen3) -> Qwen3:
    """Return the model whose forward pass sees the signs and scales of trained float32 weights."""
    rounded = Qwen3(msgspec.structs.replace(model.config, weights="q1_0"))
    rounded.load_state_dict(model.state_dict())
    return rounded


def print_row(name: str, model: Qwen3, run: TrainedRun, num_examples: int) -> None:
    """Evaluate a model with the tokenizer of its run."""
    training = msgspec.structs.replace(run.config.training, development_examples=num_examples)
    development = DevelopmentSet(msgspec.structs.replace(run.config, training=training), run.tokenizer)
    result = development.evaluate(model)
    valid = result.valid or 0.0
    print(f"| {name} | {result.loss:.4f} | {result.exact_match:.1%} | {valid:.1%} |")


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float32", type=Path, default=Path("runs/ablation-float32"), help="run of ablation-float32")
    parser.add_argument("--q1_0", type=Path, default=Path("runs/ablation-q1_0"), help="run of ablation-q1_0")
    parser.add_argument("--examples", type=int, default=1000, help="commands to answer")
    arguments = parser.parse_args()
    full, native = load_run(arguments.float32), load_run(arguments.q1_0)
    print("| weights | loss | exact | valid JSON |\n|---|---:|---:|---:|")
    print_row("float32", full.model, full, arguments.examples)
    print_row("1 bit, trained as such", native.model, native, arguments.examples)
    print_row("1 bit, rounded after training", round_to_one_bit(full.model), full, arguments.examples)


if __name__ == "__main__":
    main()
