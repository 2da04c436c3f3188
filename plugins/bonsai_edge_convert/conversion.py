"""Converts a model from one form to another, tensor by tensor, and checks what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from gguf import LlamaFileType

from bonsai_edge.errors import InvalidRequestError, MalformedModelError, ModelNotFoundError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.qwen3 import tensor_shapes
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.text.vocabulary import read_vocabulary
from bonsai_edge_convert.gguf_layout import read_layout
from bonsai_edge_convert.gguf_output import TensorInfo, write_gguf
from bonsai_edge_convert.hf_config import hyper_parameter_metadata, read_config, read_spec, write_pack_config
from bonsai_edge_convert.metadata import SIDECAR, Metadata, read_sidecar, string, uint32, write_sidecar
from bonsai_edge_convert.mlx_pack import PackSource, require_q1_0, write_pack_tensors
from bonsai_edge_convert.names import in_file_order
from bonsai_edge_convert.output import unfinished
from bonsai_edge_convert.safetensors_files import open_tensors
from bonsai_edge_convert.tensor_source import TensorSource, is_norm
from bonsai_edge_convert.tokenizer_files import read_sampling, read_tokenizer, write_tokenizer
from bonsai_edge_convert.unpacked import QuantizedSource, TensorError, UnpackedSource

Progress: TypeAlias = Callable[[int, int], None]
"""Told the bytes of GGUF weights done and to be done."""

_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION in llama.cpp's ggml.h


@dataclass(frozen=True)
class ConversionReport:
    """What was converted; `tensor_errors`, the worst first, is empty unless weights were quantized."""

    source: str
    destination: str
    conversion: str
    tensors: int
    weight_bytes: int
    lossless: bool
    tensor_errors: list[TensorError]


def convert(
    source: Path,
    destination: Path,
    *,
    quantize: bool = False,
    force: bool = False,
    progress: Progress = lambda done_bytes, total_bytes: None,
) -> ConversionReport:
    """Convert a GGUF Q1_0 file to an MLX pack, or an MLX pack or an unpacked checkpoint to a GGUF Q1_0 file.

    Lossless or refused, unless `quantize` allows to round an unpacked checkpoint to one bit a weight. `force` replaces
    an existing destination. Holds about one tensor in memory. Raises a BonsaiError for everything that files cause.
    """
    if not source.exists():
        raise ModelNotFoundError(
            f"There is no {source}.", "Give a GGUF file, or the directory of an MLX pack or Hugging Face checkpoint."
        )
    to_gguf = source.is_dir()
    if to_gguf != (destination.suffix == ".gguf"):
        expected = "a name that ends with .gguf" if to_gguf else "the name of a directory, which becomes an MLX pack"
        raise InvalidRequestError(f"{source} cannot be converted to {destination}.", f"Give as destination {expected}.")
    if not to_gguf:
        if quantize:
            raise _nothing_to_quantize(source)
        with unfinished(destination, force=force) as pack:
            return replace(_gguf_to_pack(source, pack, progress), destination=str(destination))
    spec, tensors = _open_directory(source, quantize)
    with unfinished(destination, force=force) as file:
        return replace(_to_gguf(source, spec, tensors, file, progress), destination=str(destination))


def _open_directory(source: Path, quantize: bool) -> tuple[ModelSpec, TensorSource]:
    config = read_config(source / "config.json")
    spec = read_spec(config, source / "config.json")
    if config.quantization is None:
        kind: type[TensorSource] = QuantizedSource if quantize else UnpackedSource
    elif quantize:
        raise _nothing_to_quantize(source)
    else:
        kind = PackSource
    return spec, kind(source, spec, open_tensors(source))


def _nothing_to_quantize(source: Path) -> InvalidRequestError:
    return InvalidRequestError(f"{source} holds 1-bit weights already.", "Leave --quantize out.")


def _metadata_of_directory(directory: Path, spec: ModelSpec) -> Metadata:
    """Return the keys that a Bonsai GGUF file has, in their order."""
    return {
        "general.architecture": string(spec.architecture),
        "general.type": string("model"),
        **read_sampling(directory),
        "general.name": string(spec.name),
        **hyper_parameter_metadata(spec),
        **read_tokenizer(directory, spec.vocab_size),
        "general.quantization_version": uint32(_QUANTIZATION_VERSION),
        "general.file_type": uint32(int(LlamaFileType.MOSTLY_Q1_0)),
    }


def _to_gguf(source: Path, spec: ModelSpec, tensors: TensorSource, file: Path, progress: Progress) -> ConversionReport:
    metadata = _metadata_of_directory(source, spec)
    shapes = tensor_shapes(spec)
    names = in_file_order(shapes)
    sidecar = source / SIDECAR
    if isinstance(tensors, PackSource) and sidecar.is_file():
        metadata, names = read_sidecar(sidecar, metadata)
        if sorted(names) != sorted(shapes):
            raise _contradiction(source)
    infos = [TensorInfo(name, GGMLType.F32 if is_norm(name) else GGMLType.Q1_0, *shapes[name]) for name in names]
    total_bytes = sum(info.num_bytes for info in infos)

    def encoded() -> Iterator[npt.NDArray[np.uint8]]:
        done_bytes = 0
        for info in infos:
            yield tensors.read(info.name)
            done_bytes += info.num_bytes
            progress(done_bytes, total_bytes)

    write_gguf(file, metadata, infos, encoded())
    written = open_checkpoint(file)
    read_vocabulary(written.metadata, written.spec.vocab_size, file)
    if replace(written.spec, name=spec.name) != spec:
        raise _contradiction(source)
    errors = tensors.errors if isinstance(tensors, QuantizedSource) else []
    worst_first = sorted(errors, key=lambda error: (-error.relative_error, error.name))
    return ConversionReport(
        str(source), str(file), tensors.conversion, len(infos), total_bytes, not errors, worst_first
    )


def _contradiction(source: Path) -> MalformedModelError:
    return MalformedModelError(
        f"{source / SIDECAR} contradicts config.json, so it does not describe this model.",
        "Delete it to convert without it, or convert the GGUF file again.",
    )


def _gguf_to_pack(source: Path, pack: Path, progress: Progress) -> ConversionReport:
    checkpoint = open_checkpoint(source)
    require_q1_0(checkpoint)
    layout = read_layout(checkpoint)
    pack.mkdir()
    token_ids = write_tokenizer(pack, checkpoint)
    config_path = pack / "config.json"
    write_pack_config(config_path, checkpoint.spec, token_ids)
    written_spec = read_spec(read_config(config_path), config_path)
    derived = _metadata_of_directory(pack, written_spec)
    del derived["general.name"]  # comes from the name of the directory, which may change
    write_sidecar(pack / SIDECAR, layout.metadata, list(layout.offsets), derived)
    write_pack_tensors(pack / "model.safetensors", checkpoint, layout, progress)
    PackSource(pack, written_spec, open_tensors(pack))  # checks that all is there
    weight_bytes = sum(tensor.num_bytes for tensor in checkpoint.tensors.values())
    return ConversionReport(str(source), str(pack), "GGUF to MLX pack", len(checkpoint.tensors), weight_bytes, True, [])
