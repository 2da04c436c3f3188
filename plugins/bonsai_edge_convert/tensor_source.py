"""A directory of safetensors as a source of GGUF tensors: what its forms have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.qwen3 import tensor_shapes
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_convert.names import module_name
from bonsai_edge_convert.q1_0 import BadGroupError, Packed
from bonsai_edge_convert.safetensors_files import StoredTensor


class Expected(NamedTuple):
    """What a stored tensor must be."""

    shape: tuple[int, ...]
    dtypes: tuple[str, ...]


class TensorSource(ABC):
    """The tensors of one model; made only if all are there, and no others, with the right shapes and dtypes."""

    conversion: ClassVar[str]
    norm_dtypes: ClassVar[tuple[str, ...]]

    def __init__(self, directory: Path, spec: ModelSpec, stored: Mapping[str, StoredTensor]) -> None:
        self.stored = stored
        expected: dict[str, Expected] = {}
        for name, (num_rows, num_columns) in tensor_shapes(spec).items():
            if is_norm(name):
                expected[f"{module_name(name)}.weight"] = Expected((num_columns,), self.norm_dtypes)
            else:
                expected |= self.expected_matrix(module_name(name), num_rows, num_columns)
        _check(directory, stored, expected)

    @abstractmethod
    def expected_matrix(self, module: str, num_rows: int, num_columns: int) -> dict[str, Expected]:
        """Return the stored tensors that make up the matrix of a module."""

    @abstractmethod
    def read_matrix(self, module: str) -> Packed:
        """Return the matrix of a module as Q1_0 rows."""

    def read(self, name: str) -> npt.NDArray[np.uint8]:
        """Return a tensor by its GGUF name, uint8 (num_rows, row_bytes): norms as F32, matrices as Q1_0."""
        module = module_name(name)
        if is_norm(name):
            return self.stored[f"{module}.weight"].read_float32().view(np.uint8)[None]
        return self.read_matrix(module)


def is_norm(name: str) -> bool:
    """Tell whether a GGUF name is that of an RMS norm, the only vectors of a Qwen3 model."""
    return name.endswith("norm.weight")


def bad_group(tensor: StoredTensor, error: BadGroupError, first_row: int, remedy: str) -> UnsupportedModelError:
    """Return the error that names tensor, row and group; `first_row` is the row that `error` counts from."""
    first_column = 128 * error.group
    return UnsupportedModelError(
        f"Tensor {tensor.name!r} of {tensor.path}, row {first_row + error.row}, group {error.group} (columns "
        f"{first_column} to {first_column + 127}) {error.what}.",
        remedy,
    )


def _check(directory: Path, stored: Mapping[str, StoredTensor], expected: Mapping[str, Expected]) -> None:
    for name in sorted(stored.keys() - expected.keys()):
        raise UnsupportedModelError(
            f"{directory} has the tensor {name!r}, which no part of qwen3 as supported here uses.",
            "Use a plain Qwen3 checkpoint whose config.json belongs to it.",
        )
    for name, (shape, dtypes) in expected.items():
        if name not in stored:
            raise MalformedModelError(f"{directory} has no tensor {name!r}.", "Download the missing files.")
        found = stored[name]
        if found.shape != shape:
            raise MalformedModelError(
                f"Tensor {name!r} of {directory} has the shape {found.shape}, expected {shape} from config.json.",
                "Use the config.json that belongs to the weights.",
            )
        if found.dtype not in dtypes:
            raise UnsupportedModelError(
                f"Tensor {name!r} of {directory} has the dtype {found.dtype}; supported is {' or '.join(dtypes)}.",
                "Use the published 1-bit pack, or an unpacked checkpoint in F16, BF16 or F32.",
            )
