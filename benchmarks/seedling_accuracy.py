"""Scores a robot-command model on the generated held-out split and on the hand-written sentences, by category.

    python benchmarks/seedling_accuracy.py [--model seedling] [--generated 2000] [--show-misses] [--json]

Answers are greedy, unconstrained and computed by bonsai-edge itself. "Exact" means that the actions of the answer are
the expected ones, field by field; "valid" that the answer is JSON which the schema allows (docs/robot-commands.md).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.progress import track
from rich.table import Table

import bonsai_edge
from bonsai_edge_train.robot_commands.scoring import Example, Score
from bonsai_edge_train.robot_commands.splits import held_out_examples, load_hand_written

MAX_ANSWER_TOKENS = 256


def answer_all(model: bonsai_edge.Model, examples: Sequence[Example], description: str) -> Score:
    """Ask the model each sentence by itself."""
    score = Score()
    for example in track(examples, description, console=Console(stderr=True), transient=True):
        messages = [{"role": "user", "content": example.command}]
        score.add(example, model.generate_text(messages, temperature=0.0, max_tokens=MAX_ANSWER_TOKENS).text)
    return score


def print_table(title: str, score: Score) -> None:
    """Print the scores of one set."""
    table = Table("category", title=title)
    for column in ("sentences", "exact", "valid JSON"):
        table.add_column(column, justify="right")
    for name, count in [*sorted(score.categories.items()), ("all", score.total)]:
        table.add_row(name, f"{count.examples:,}", f"{count.exact_match:.1%}", f"{count.valid_share:.1%}")
    Console().print(table)


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="seedling", help="name or path of a GGUF file")
    parser.add_argument("--generated", type=int, default=2000, help="sentences of the generated held-out split")
    parser.add_argument("--show-misses", action="store_true", help="print every wrong answer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    sets = {"generated": held_out_examples(arguments.generated), "hand-written": load_hand_written()}
    with bonsai_edge.load(arguments.model) as model:
        scores = {name: answer_all(model, examples, name) for name, examples in sets.items()}
    if arguments.json:
        print(json.dumps({name: asdict(score) for name, score in scores.items()}))
        return
    for name, score in scores.items():
        print_table(f"{arguments.model}, {name}", score)
        for miss in score.misses if arguments.show_misses else ():
            print(f"{miss.command}\n  expected {miss.expected}\n  answered {miss.answered}")


if __name__ == "__main__":
    main()
