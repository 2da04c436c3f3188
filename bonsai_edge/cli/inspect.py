"""`bonsai-edge inspect`: what a model file holds, told from its header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge.model_spec import ModelSpec

if TYPE_CHECKING:
    from bonsai_edge.formats.checkpoint import Checkpoint


@dataclass(frozen=True)
class TensorTypeSummary:
    """All tensors of one storage type."""

    type: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class TokenizerSummary:
    """The tokenizer that the file carries."""

    model: str
    pre: str
    tokens: int
    merges: int
    stop_ids: list[int]


@dataclass(frozen=True)
class ModelReport:
    """What `inspect` prints; sizes in bytes, the KV cache in float16, the template's length None if there is none."""

    path: str
    file_bytes: int
    parameters: int
    bits_per_weight: float
    hyper_parameters: ModelSpec
    kv_bytes_per_token: int
    tensor_types: list[TensorTypeSummary]
    tokenizer: TokenizerSummary
    chat_template_characters: int | None


@click.command()
@click.argument("model")
@json_option
def inspect(model: str, as_json: bool) -> None:
    """Describe a model file without loading its weights.

    MODEL is a GGUF file, or 'seedling'.

    \b
    Example:
      bonsai-edge inspect seedling
      bonsai-edge inspect Bonsai-1.7B-Q1_0.gguf --json
    """
    from bonsai_edge.formats.checkpoint import open_checkpoint
    from bonsai_edge.model_store import resolve_model_path

    report = describe(open_checkpoint(resolve_model_path(model)))
    if as_json:
        echo_json(report)
    else:
        _print_report(report)


def describe(checkpoint: Checkpoint) -> ModelReport:
    """Summarize a checkpoint from its header; raises MalformedModelError or UnsupportedModelError for its tokenizer."""
    from bonsai_edge.text.vocabulary import read_vocabulary

    metadata, spec = checkpoint.metadata, checkpoint.spec
    vocabulary = read_vocabulary(metadata, spec.vocab_size, checkpoint.path)
    tensor_types = _summarize_tensors(checkpoint)
    parameters = sum(summary.elements for summary in tensor_types)
    template = metadata.get("tokenizer.chat_template")
    return ModelReport(
        path=str(checkpoint.path),
        file_bytes=checkpoint.num_bytes,
        parameters=parameters,
        bits_per_weight=8 * sum(summary.bytes for summary in tensor_types) / parameters,
        hyper_parameters=spec,
        kv_bytes_per_token=spec.kv_bytes_per_token(),
        tensor_types=tensor_types,
        tokenizer=TokenizerSummary(
            model=str(metadata["tokenizer.ggml.model"]),
            pre=str(metadata["tokenizer.ggml.pre"]),
            tokens=vocabulary.num_tokens,
            merges=len(vocabulary.merges),
            stop_ids=sorted(vocabulary.stop_ids),
        ),
        chat_template_characters=len(template) if isinstance(template, str) else None,
    )


def _summarize_tensors(checkpoint: Checkpoint) -> list[TensorTypeSummary]:
    """Add up the tensors of each type, the type with the most bytes first."""
    summaries = []
    for ggml_type in {tensor.ggml_type for tensor in checkpoint.tensors.values()}:
        tensors = [tensor for tensor in checkpoint.tensors.values() if tensor.ggml_type is ggml_type]
        elements = sum(tensor.num_rows * tensor.num_columns for tensor in tensors)
        num_bytes = sum(tensor.num_bytes for tensor in tensors)
        summaries.append(TensorTypeSummary(ggml_type.name, len(tensors), elements, num_bytes))
    return sorted(summaries, key=lambda summary: (-summary.bytes, summary.type))


def _print_report(report: ModelReport) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    for name, value in _facts(report).items():
        click.echo(f"{name:<15}{one_line(value)}")
    click.echo()
    tensors = Table(box=None, pad_edge=False)
    for title in ("tensor type", "tensors", "elements", "size"):
        tensors.add_column(title, justify="left" if title == "tensor type" else "right")
    for row in report.tensor_types:
        tensors.add_row(row.type, str(row.tensors), f"{row.elements:,}", decimal(row.bytes))

    Console(highlight=False).print(tensors)


def _facts(report: ModelReport) -> dict[str, str]:
    """Return what is printed above the table, name to value."""
    from rich.filesize import decimal

    spec, tokenizer = report.hyper_parameters, report.tokenizer
    output = "tied to the embedding" if spec.tied_embeddings else "of its own"
    template = report.chat_template_characters
    full_cache_bytes = report.kv_bytes_per_token * spec.context_length
    return {
        "file": f"{report.path}, {decimal(report.file_bytes)}",
        "model": f"{spec.name} ({spec.architecture})",
        "parameters": f"{report.parameters:,} at {report.bits_per_weight:.3f} bits",
        "layers": str(spec.num_layers),
        "hidden size": f"{spec.hidden_size}, feed-forward {spec.intermediate_size}",
        "heads": f"{spec.num_heads} query, {spec.num_kv_heads} KV, {spec.head_dim} wide",
        "vocabulary": f"{spec.vocab_size:,} tokens, output {output}",
        "context": f"{spec.context_length:,} tokens",
        "RoPE": _describe_rope(spec),
        "RMS norm": f"epsilon {spec.rms_norm_eps:g}",
        "KV cache": f"{report.kv_bytes_per_token:,} bytes a token in f16, {decimal(full_cache_bytes)} at full context",
        "tokenizer": f"{tokenizer.model}, split as {tokenizer.pre}, {tokenizer.merges:,} merges",
        "stop tokens": ", ".join(map(str, tokenizer.stop_ids)),
        "chat template": "none" if template is None else f"{template:,} characters",
    }


def _describe_rope(spec: ModelSpec) -> str:
    if spec.yarn is None:
        return f"base {spec.rope_base:,.0f}, no scaling"
    yarn = spec.yarn
    return (
        f"base {spec.rope_base:,.0f}, YaRN x{yarn.factor:g} from {yarn.original_context_length:,} tokens, "
        f"attention factor {yarn.attention_factor:g}"
    )
