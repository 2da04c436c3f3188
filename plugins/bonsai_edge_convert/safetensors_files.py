"""Reads and writes safetensors piece by piece; knows bytes, not models.

The library checks the headers. It maps whole files, gives BF16 to PyTorch only and writes only what is all in memory,
so rows are read and written here (format: https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError

_DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
}
_DOWNLOAD_AGAIN = "Download or copy the files again and compare their checksums."
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: format's dtype name, shape, and the byte where it begins."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read_rows(self, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Return rows (of a vector: elements) from `start` to before `stop`, as stored; BF16 as uint16.

        Raises UnsupportedModelError for dtypes that no Qwen3 model has.
        """
        if self.dtype not in _DTYPES:
            raise UnsupportedModelError(
                f"Tensor {self.name!r} of {self.path} has the dtype {self.dtype}; supported are {', '.join(_DTYPES)}.",
                "Use the checkpoint in F16, BF16 or F32.",
            )
        dtype = _DTYPES[self.dtype]
        row_elements = int(np.prod(self.shape[1:], dtype=np.int64))
        stop = self.shape[0] if stop is None else stop
        first, count = start * row_elements, (stop - start) * row_elements
        flat = np.fromfile(self.path, dtype, count, offset=self.offset + first * dtype.itemsize)
        return flat.reshape(stop - start, *self.shape[1:])

    def read_float32(self, start: int = 0, stop: int | None = None) -> npt.NDArray[np.float32]:
        """Return rows of a floating-point tensor, exactly, as float32."""
        rows = self.read_rows(start, stop)
        if self.dtype == "BF16":
            return (rows.astype(np.uint32) << 16).view(np.float32)
        return rows.astype(np.float32, copy=False)


def open_tensors(directory: Path) -> dict[str, StoredTensor]:
    """Return all tensors of the files that `model.safetensors.index.json` names, or else of `model*.safetensors`.

    Raises ModelNotFoundError for missing and MalformedModelError for damaged files.
    """
    tensors: dict[str, StoredTensor] = {}
    for path in _files(directory):
        for name, tensor in _read_header(path).items():
            if name in tensors:
                raise MalformedModelError(
                    f"Tensor {name!r} is both in {tensors[name].path} and in {path}.",
                    "Remove the file that is not used.",
                )
            tensors[name] = tensor
    return tensors


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def _files(directory: Path) -> list[Path]:
    index = directory / _INDEX
    if not index.exists():
        files = sorted(directory.glob("model*.safetensors"))
        if not files:
            raise ModelNotFoundError(
                f"{directory} has no file model*.safetensors.", "Give the directory of a safetensors checkpoint."
            )
        return files
    try:
        names = sorted(set(msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values()))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedModelError(f"{index} is not an index of safetensors: {exc}.", _DOWNLOAD_AGAIN) from exc
    for name in names:
        if Path(name).name != name:
            raise MalformedModelError(f"{index} names the file {name!r}, which is not beside it.", _DOWNLOAD_AGAIN)
        if not (directory / name).is_file():
            raise ModelNotFoundError(f"{index} names {name!r}, which is missing.", "Download the missing file.")
    return [directory / name for name in names]


def _read_header(path: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(path, framework="np"):
            pass  # the header was checked: offsets follow one another and end with the file
    except (SafetensorError, OSError) as exc:
        raise MalformedModelError(f"{path} is not a sound safetensors file: {exc}.", _DOWNLOAD_AGAIN) from exc
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(path, name, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


class SafetensorsWriter:
    """Writes a file whose tensors are known by dtype and shape first and come in any order; a context manager."""

    def __init__(
        self, path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]
    ) -> None:
        header: dict[str, Any] = {"__metadata__": metadata}
        self._spans: dict[str, tuple[int, int]] = {}
        end = 0
        # The widest elements first, as the library does, so that all are aligned.
        for name in sorted(tensors, key=lambda name: (-_DTYPES[tensors[name][0]].itemsize, name)):
            dtype, shape = tensors[name]
            start, end = end, end + int(np.prod(shape, dtype=np.int64)) * _DTYPES[dtype].itemsize
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (start, end)}
            self._spans[name] = (start, end)
        encoded = json.dumps(header, separators=(",", ":")).encode()
        encoded += b" " * (-len(encoded) % 8)
        self._data_start = 8 + len(encoded)
        self._file = path.open("wb")
        self._file.write(len(encoded).to_bytes(8, "little") + encoded)

    def __enter__(self) -> SafetensorsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        assert error is not None or not self._spans, f"tensors not written: {sorted(self._spans)}"

    def write(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write one tensor, whose bytes must be as many as announced."""
        start, end = self._spans.pop(name)
        assert array.nbytes == end - start
        self._file.seek(self._data_start + start)
        self._file.write(np.ascontiguousarray(array).data)
