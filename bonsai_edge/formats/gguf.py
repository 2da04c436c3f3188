"""Reads GGUF files (version 2 and 3, little endian) by memory map, trusting nothing in them.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Knows bytes, not models: what the keys and tensors
mean is the business of `checkpoint`.
"""

from __future__ import annotations

import mmap
import shlex
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.sequential_reading import read_into_memory, use_huge_pages
from bonsai_edge.formats.tensor import QuantizedTensor

MetadataValue: TypeAlias = bool | int | float | str | list[str] | npt.NDArray[np.generic]

_MAGIC = b"GGUF"
_SUPPORTED_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 1 << 16
_MAX_DIMENSIONS = 4
_MAX_NAME_BYTES = 63  # ggml's GGML_MAX_NAME, without the terminator
_MAX_KEY_BYTES = 65535  # the format's own limit
_FEWEST_BYTES_PER_KEY = 8 + 1 + 4 + 1
_FEWEST_BYTES_PER_TENSOR = 8 + 1 + 4 + 8 + 4 + 8

_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALAR_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 10: "<Q", 11: "<q", 12: "<d"}
_ARRAY_DTYPES = {
    **{type_id: np.dtype(scalar) for type_id, scalar in _SCALAR_FORMATS.items()},
    _BOOL: np.dtype("?"),
}
_U64 = struct.Struct("<Q")

_DOWNLOAD_AGAIN = "Download or copy the file again and compare its checksum."


@dataclass(frozen=True)
class _TensorInfo:
    name: str
    dimensions: tuple[int, ...]
    ggml_type: GGMLType
    offset: int

    @property
    def num_rows(self) -> int:
        return int(np.prod(self.dimensions[1:], dtype=object)) if len(self.dimensions) > 1 else 1

    @property
    def num_bytes(self) -> int:
        return self.num_rows * self.ggml_type.row_bytes(self.dimensions[0])


class GGUFFile:
    """An open GGUF file: metadata, and tensors as views of the memory map.

    Raises ModelNotFoundError, MalformedModelError or UnsupportedModelError from the constructor. The map stays open as
    long as any tensor view lives. With `in_memory` the tensors are views of a copy in memory of this process.
    """

    def __init__(self, path: Path, *, in_memory: bool = False) -> None:
        self.path = path
        self._map = _copy_file(path) if in_memory else _map_file(path)
        self.num_bytes = len(self._map)
        reader = _Reader(path, self._map)
        num_tensors = reader.read_preamble()
        self.metadata: Mapping[str, MetadataValue] = reader.metadata
        infos = reader.read_tensor_infos(num_tensors)
        self.tensors: Mapping[str, QuantizedTensor] = self._view_tensors(infos, reader)
        if not in_memory and hasattr(mmap, "MADV_DONTNEED"):  # megabytes of vocabulary, of which there are lists now
            self._map.madvise(mmap.MADV_DONTNEED, 0, reader.position)

    def _view_tensors(self, infos: list[_TensorInfo], reader: _Reader) -> dict[str, QuantizedTensor]:
        alignment = _alignment(self.path, self.metadata)
        data_start = reader.position + -reader.position % alignment
        _check_spans(self.path, infos, alignment, data_start, self.num_bytes)
        tensors = {}
        read_only = memoryview(self._map).toreadonly()
        for info in infos:
            flat = np.frombuffer(read_only, np.uint8, info.num_bytes, data_start + info.offset)
            tensors[info.name] = QuantizedTensor(
                info.name, info.ggml_type, info.dimensions[0], flat.reshape(info.num_rows, -1)
            )
        return tensors


def _map_file(path: Path) -> mmap.mmap:
    with _open_model_file(path) as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    use_huge_pages(mapping)
    return mapping


def _copy_file(path: Path) -> mmap.mmap:
    with _open_model_file(path) as file:
        return read_into_memory(file)


def _conversion(directory: Path) -> str:
    """Return the command that makes a file of a directory, to be pasted into a shell."""
    return shlex.join(["bonsai-edge", "convert", str(directory), f"{directory.resolve().name}.gguf"])


@contextmanager
def _open_model_file(path: Path) -> Iterator[FileIO]:
    """Open a file that begins as it should; what the system refuses, also while it is being read, is our error."""
    try:
        if not path.exists():
            raise ModelNotFoundError(
                f"There is no model file at {path}.", "Check the path, or use the built-in model name 'seedling'."
            )
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "not a regular file"
            remedy = "Give the path of a .gguf file."
            if (path / "config.json").is_file():  # an MLX pack or a Hugging Face checkpoint
                remedy = f"Convert it: {_conversion(path)}"
            raise ModelNotFoundError(f"{path} is {kind}, not a model file.", remedy)
        with FileIO(path) as file:
            magic = file.read(4)
            if magic != _MAGIC:
                raise MalformedModelError(
                    f"{path} is not a GGUF file: it begins with {magic!r}, expected {_MAGIC!r}.",
                    "Give the path of a .gguf file; convert other formats first.",
                )
            yield file
    except OSError as exc:
        raise ModelNotFoundError(
            f"{path} cannot be read: {exc.strerror}.", "Check the path and the file's permissions."
        ) from exc


class _Reader:
    """A cursor over the header; every read is checked against the bytes that are left."""

    def __init__(self, path: Path, buffer: mmap.mmap) -> None:
        self.path = path
        self.metadata: dict[str, MetadataValue] = {}
        self.position = 0
        self._buffer = buffer
        self._size = len(buffer)

    def read_preamble(self) -> int:
        """Read magic, version, counts and all metadata; return the number of tensors."""
        self.position = len(_MAGIC)
        version = self._unpack("<I", "the version")
        if version not in _SUPPORTED_VERSIONS:
            byte_swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            found = "a big-endian file" if byte_swapped in _SUPPORTED_VERSIONS else f"version {version}"
            raise UnsupportedModelError(
                f"{self.path} is {found}; supported is GGUF version 2 or 3, little endian.",
                "Convert the file with a current llama.cpp converter.",
            )
        num_tensors = self._count("tensors", _FEWEST_BYTES_PER_TENSOR)
        num_keys = self._count("metadata keys", _FEWEST_BYTES_PER_KEY)
        for _ in range(num_keys):
            key = self._string("a metadata key", _MAX_KEY_BYTES)
            if not key or key in self.metadata:
                raise self._malformed(f"has an empty or repeated metadata key {key!r}")
            self.metadata[key] = self._value(key)
        return num_tensors

    def read_tensor_infos(self, num_tensors: int) -> list[_TensorInfo]:
        infos: dict[str, _TensorInfo] = {}
        for _ in range(num_tensors):
            info = self._tensor_info()
            if info.name in infos:
                raise self._malformed(f"has two tensors named {info.name!r}")
            infos[info.name] = info
        return list(infos.values())

    def _tensor_info(self) -> _TensorInfo:
        name = self._string("a tensor name", _MAX_NAME_BYTES)
        num_dimensions = self._unpack("<I", f"the dimensions of tensor {name!r}")
        if not 1 <= num_dimensions <= _MAX_DIMENSIONS:
            raise self._malformed(f"gives tensor {name!r} {num_dimensions} dimensions, expected 1 to {_MAX_DIMENSIONS}")
        dimensions = tuple(self._unpack("<Q", f"the dimensions of tensor {name!r}") for _ in range(num_dimensions))
        type_id = self._unpack("<I", f"the type of tensor {name!r}")
        offset = self._unpack("<Q", f"the offset of tensor {name!r}")
        if type_id not in GGMLType.__members__.values():
            supported = ", ".join(f"{t.name} ({t.value})" for t in GGMLType)
            raise UnsupportedModelError(
                f"Tensor {name!r} of {self.path} has type id {type_id}; supported are {supported}.",
                "Use a Q1_0 file, such as the published Bonsai-*-Q1_0.gguf.",
            )
        ggml_type = GGMLType(type_id)
        if min(dimensions) < 1 or max(dimensions) > self._size * 8 or dimensions[0] % ggml_type.block_elements:
            raise self._malformed(
                f"gives tensor {name!r} the shape {list(dimensions)}, whose rows do not divide into {ggml_type.name} "
                f"blocks of {ggml_type.block_elements} or exceed the file"
            )
        return _TensorInfo(name, dimensions, ggml_type, offset)

    def _value(self, key: str) -> MetadataValue:
        type_id = self._unpack("<I", f"the type of key {key!r}")
        if type_id == _ARRAY:
            return self._array(key)
        if type_id == _STRING:
            return self._string(f"key {key!r}", self._size)
        if type_id == _BOOL:
            return bool(self._unpack("<B", f"key {key!r}"))
        if type_id not in _SCALAR_FORMATS:
            raise self._malformed(f"gives key {key!r} the unknown value type {type_id}")
        value: int | float = self._unpack(_SCALAR_FORMATS[type_id], f"key {key!r}")
        return value

    def _array(self, key: str) -> MetadataValue:
        type_id = self._unpack("<I", f"the element type of key {key!r}")
        if type_id == _STRING:
            return self._string_array(key)
        if type_id not in _ARRAY_DTYPES:
            raise self._malformed(f"gives key {key!r} an array of type {type_id}, expected numbers or strings")
        dtype = _ARRAY_DTYPES[type_id]
        count = self._count(f"elements of key {key!r}", dtype.itemsize)
        values = np.frombuffer(self._buffer, dtype, count, self.position)
        self.position += count * dtype.itemsize
        return values

    def _string_array(self, key: str) -> list[str]:
        """Read a list of strings in one pass: vocabularies have hundreds of thousands."""
        count = self._count(f"elements of key {key!r}", 8)
        buffer, position, size, unpack_from = self._buffer, self.position, self._size, _U64.unpack_from
        strings = []
        try:
            for _ in range(count):
                end = position + 8 + unpack_from(buffer, position)[0]
                if end > size:
                    raise self._malformed(f"ends inside the strings of key {key!r}")
                strings.append(buffer[position + 8 : end].decode())
                position = end
        except struct.error as exc:
            raise self._malformed(f"ends inside the strings of key {key!r}") from exc
        except UnicodeDecodeError as exc:
            raise self._malformed(f"has a string in key {key!r} that is not UTF-8") from exc
        self.position = position
        return strings

    def _string(self, what: str, most_bytes: int) -> str:
        length = self._unpack("<Q", f"the length of {what}")
        if length > min(most_bytes, self._size - self.position):
            raise self._malformed(f"gives {what} {length} bytes, more than allowed or left")
        raw = self._buffer[self.position : self.position + length]
        self.position += length
        try:
            text = raw.decode()
        except UnicodeDecodeError as exc:
            raise self._malformed(f"has text in {what} that is not UTF-8") from exc
        if "\0" in text:
            raise self._malformed(f"has a NUL character in {what}")
        return text

    def _count(self, what: str, fewest_bytes_each: int) -> int:
        count: int = self._unpack("<Q", f"the number of {what}")
        if count * fewest_bytes_each > self._size - self.position:
            raise self._malformed(f"claims {count} {what}, more than its {self._size} bytes can hold")
        return count

    def _unpack(self, fmt: str, what: str) -> Any:
        size = struct.calcsize(fmt)
        if self.position + size > self._size:
            raise self._malformed(f"ends inside {what}")
        (value,) = struct.unpack_from(fmt, self._buffer, self.position)
        self.position += size
        return value

    def _malformed(self, what: str) -> MalformedModelError:
        return MalformedModelError(f"{self.path} {what}.", _DOWNLOAD_AGAIN)


def _alignment(path: Path, metadata: Mapping[str, MetadataValue]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 8 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise MalformedModelError(
            f"{path} has general.alignment {alignment!r}, expected a power of two from 8 to {_MAX_ALIGNMENT}.",
            _DOWNLOAD_AGAIN,
        )
    return alignment


def _check_spans(path: Path, infos: list[_TensorInfo], alignment: int, data_start: int, file_bytes: int) -> None:
    """Require that tensors follow one another exactly, so that every type's block size is proven by its span.

    A type id that stands for different block sizes in different forks shows here.
    """
    expected_offset = 0
    for info in sorted(infos, key=lambda info: info.offset):
        if info.offset != expected_offset:
            raise MalformedModelError(
                f"Tensor {info.name!r} of {path} begins at byte {info.offset} of the data, expected {expected_offset} "
                f"from the types and shapes before it.",
                "The file is damaged or its types mean something else; use a file written for mainline llama.cpp.",
            )
        if data_start + info.offset + info.num_bytes > file_bytes:
            raise MalformedModelError(
                f"{path} is truncated: tensor {info.name!r} ends at byte {data_start + info.offset + info.num_bytes}, "
                f"the file has {file_bytes}.",
                _DOWNLOAD_AGAIN,
            )
        expected_offset = info.offset + info.num_bytes
        expected_offset += -expected_offset % alignment
    if file_bytes > data_start + expected_offset:
        raise MalformedModelError(
            f"{path} has {file_bytes - data_start - expected_offset} bytes after its last tensor.", _DOWNLOAD_AGAIN
        )
