"""Measures what a smaller KV cache costs: how far q8 and q4 are from f16, on the same weights and texts.

    python benchmarks/kv_types.py [MODEL ...] [--tokens 2048] [--backend cpu] [--json]

MODEL is `seedling`, which is run over conversations of its own kind, or a GGUF file or a shape of random weights
(`tiny`, `1.7b`, `8b`), which are run over one text of that many tokens. Distances are means over all positions; the
perplexity is that of the text itself and means something for a trained model only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import bonsai_edge
from agreement import Agreement, compare_logits
from bonsai_edge.kv_cache import KVType
from random_bonsai import SPECS, cached_random_bonsai

_ROOT = Path(__file__).parents[1]
_ENGLISH = _ROOT / "LICENSE"
_CONVERSATIONS = _ROOT / "tests" / "peer" / "data" / "robot_conversations.json"


@dataclass(frozen=True)
class KVFigures:
    """One KV type on one model; `agreement` is with f16, None for f16 itself."""

    model: str
    kv_type: str
    bytes_per_token: int
    perplexity: float
    agreement: Agreement | None


def read_texts(model: bonsai_edge.Model, num_tokens: int) -> list[list[int]]:
    """Return the token ids of the texts for a model."""
    if model.name == "seedling":
        conversations = json.loads(_CONVERSATIONS.read_text())
        return [
            model.encode_prompt([{"role": "user", "content": command}]) + model.tokenizer.encode(answer)
            for command, answer in conversations
        ]
    token_ids = model.tokenizer.encode(_ENGLISH.read_text())
    return [(token_ids * (num_tokens // len(token_ids) + 1))[:num_tokens]]


def perplexity(texts: Sequence[Sequence[int]], logits: npt.NDArray[np.float32]) -> float:
    """Return exp of the mean surprise at each next token; logits (tokens of all texts, vocab_size)."""
    surprises = []
    start = 0
    for token_ids in texts:
        rows = logits[start : start + len(token_ids) - 1].astype(np.float64)
        shifted = rows - rows.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(shifted).sum(axis=1))
        surprises.append(log_sums - shifted[np.arange(len(rows)), token_ids[1:]])
        start += len(token_ids)
    return float(np.exp(np.concatenate(surprises).mean()))


def measure(path: Path | str, num_tokens: int, backend: str) -> list[KVFigures]:
    """Run the texts with every KV type."""
    figures = []
    exact = None
    for kv_type in KVType:
        with bonsai_edge.load(path, backend=backend, context=num_tokens, kv=kv_type.value) as model:
            texts = read_texts(model, num_tokens)
            logits = np.concatenate([model.logits(token_ids) for token_ids in texts])
            agreement = None if exact is None else compare_logits(exact, logits)
            exact = logits if exact is None else exact
            bytes_per_token = model.spec.kv_bytes_per_token(kv_type)
            figures.append(KVFigures(model.name, kv_type.value, bytes_per_token, perplexity(texts, logits), agreement))
    return figures


def print_table(figures: Sequence[KVFigures]) -> None:
    """Print one row a model and KV type."""
    table = Table()
    columns = ("model", "KV", "bytes a token", "positions", "perplexity", "mean KL", "same top token", "least cosine")
    for column in columns:
        table.add_column(column, justify="left" if column in ("model", "KV") else "right")
    for row in figures:
        distance = ["", "", "", ""]
        if row.agreement is not None:
            found = row.agreement
            same_top = f"{100 * found.same_top_share:.2f} %"
            distance = [f"{found.num_positions:,}", f"{found.mean_kl:.1e}", same_top, f"{found.least_cosine:.5f}"]
        table.add_row(
            row.model, row.kv_type, f"{row.bytes_per_token:,}", distance[0], f"{row.perplexity:.4f}", *distance[1:]
        )
    Console(width=120).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["seedling"], help="names, files or shapes")
    parser.add_argument("--tokens", type=int, default=2048, help="length of the text for models other than seedling")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    arguments = parser.parse_args()
    figures = []
    for name in arguments.models:
        path = cached_random_bonsai(name) if name in SPECS else name
        num_tokens = 1024 if name == "seedling" else arguments.tokens
        figures += measure(path, num_tokens, arguments.backend)
    if arguments.json:
        for row in figures:
            print(json.dumps(asdict(row)))
    else:
        print_table(figures)


if __name__ == "__main__":
    main()
