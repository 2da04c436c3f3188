"""What a sound GGUF file reads as."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.gguf import GGUFFile
from gguf_bytes import (
    ARRAY,
    BOOL,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    STRING,
    U8,
    U16,
    U32,
    U64,
    GGUFBytes,
    array,
    key,
    tensor,
    text,
)
from gguf_files import WeightType, write_random_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def read(path: Path, file: GGUFBytes) -> GGUFFile:
    path.write_bytes(file.build())
    return GGUFFile(path)


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        *((U8, 255), (U16, 65535), (U32, 2**32 - 1), (U64, 2**64 - 1)),
        *((I8, -128), (I16, -2), (I32, -3), (I64, -(2**63))),
        *((F32, 0.5), (F64, 0.1), (BOOL, True), (BOOL, False), (STRING, "größer"), (STRING, "")),
    ],
)
def test_scalars_keep_value_and_type(path: Path, type_id: int, value: float | str) -> None:
    found = read(path, GGUFBytes([key("k", type_id, value)])).metadata["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("type_id", "dtype"),
    [
        *((U8, "u1"), (U16, "u2"), (U32, "u4"), (U64, "u8")),
        *((I8, "i1"), (I16, "i2"), (I32, "i4"), (I64, "i8")),
        *((F32, "f4"), (F64, "f8"), (BOOL, "?")),
    ],
)
def test_arrays_are_views_of_their_type(path: Path, type_id: int, dtype: str) -> None:
    values = np.array([0, 1, 1], dtype)
    file = read(path, GGUFBytes([key("k", ARRAY, array(type_id, 3, values.tobytes())), key("end", U8, 7)]))
    found = file.metadata["k"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == values.dtype
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, values)
    assert file.metadata["end"] == 7


def test_arrays_may_be_empty(path: Path) -> None:
    keys = [key("numbers", ARRAY, array(I32, 0, b"")), key("texts", ARRAY, array(STRING, 0, b""))]
    file = read(path, GGUFBytes(keys))
    assert len(file.metadata["numbers"]) == 0
    assert file.metadata["texts"] == []


def test_array_of_texts_is_a_list(path: Path) -> None:
    texts = ["", "a", "Ġé", "\n"]
    file = read(path, GGUFBytes([key("k", ARRAY, array(STRING, 4, b"".join(map(text, texts))))]))
    assert file.metadata["k"] == texts


@pytest.mark.parametrize("version", [2, 3])
def test_versions_two_and_three_are_read(path: Path, version: int) -> None:
    assert read(path, GGUFBytes([key("k", U8, 1)], version=version)).metadata == {"k": 1}


def test_tensors_are_read_only_views_in_their_order(path: Path) -> None:
    first, second = struct.pack("<4f", 1, 2, 3, 4), struct.pack("<2e", 0.5, -0.5)
    tensors = [tensor("b", (2, 2), GGMLType.F32, 0), tensor("a", (2,), GGMLType.F16, 32)]
    file = read(path, GGUFBytes([], tensors, first.ljust(32, b"\0") + second))
    assert list(file.tensors) == ["b", "a"]
    b, a = file.tensors["b"], file.tensors["a"]
    assert (b.name, b.ggml_type, b.num_rows, b.num_columns, b.num_bytes) == ("b", GGMLType.F32, 2, 2, 16)
    assert (a.num_rows, a.num_columns, a.num_bytes) == (1, 2, 4)
    np.testing.assert_array_equal(b.dequantize(), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(b.dequantize(slice(1, 2)), [[3, 4]])
    np.testing.assert_array_equal(b.dequantize(np.array([1, 0])), [[3, 4], [1, 2]])
    np.testing.assert_array_equal(a.dequantize(), [[0.5, -0.5]])
    assert not b.packed.flags.writeable
    assert not b.packed.flags.owndata


def test_description_order_may_differ_from_data_order(path: Path) -> None:
    tensors = [tensor("second", (1,), GGMLType.F32, 32), tensor("first", (1,), GGMLType.F32, 0)]
    file = read(path, GGUFBytes([], tensors, struct.pack("<f28xf", 1, 2)))
    assert file.tensors["first"].dequantize() == 1
    assert file.tensors["second"].dequantize() == 2


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_alignment_comes_from_the_file(path: Path, alignment: int) -> None:
    tensors = [tensor("a", (1,), GGMLType.F32, 0), tensor("b", (1,), GGMLType.F32, alignment)]
    data = struct.pack("<f", 1).ljust(alignment, b"\0") + struct.pack("<f", 2)
    file = read(path, GGUFBytes([key("general.alignment", U32, alignment)], tensors, data, alignment=alignment))
    assert file.tensors["b"].dequantize() == 2


def test_file_may_end_with_or_without_padding(path: Path) -> None:
    tensors = [tensor("a", (1,), GGMLType.F32, 0)]
    for size in (4, 32):
        assert (
            read(path, GGUFBytes([], tensors, struct.pack("<f", 3).ljust(size, b"\0"))).tensors["a"].dequantize() == 3
        )


@pytest.mark.parametrize("ggml_type", ["Q1_0", "Q8_0", "F16", "BF16", "F32"])
def test_written_types_are_found_again(path: Path, ggml_type: WeightType) -> None:
    file = GGUFFile(write_random_model(path, ggml_type=ggml_type))
    assert file.tensors["blk.1.ffn_down.weight"].ggml_type is GGMLType[ggml_type]
    assert file.tensors["blk.1.ffn_norm.weight"].ggml_type is GGMLType.F32
    assert file.num_bytes == path.stat().st_size


def test_views_outlive_the_file_object(path: Path) -> None:
    weights = GGUFFile(write_random_model(path)).tensors["token_embd.weight"]
    path.unlink()
    assert np.isfinite(weights.dequantize()).all()
