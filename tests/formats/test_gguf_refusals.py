"""Damaged and hostile GGUF files: each ends in one typed error that names what is wrong."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from bonsai_edge.errors import BonsaiError, MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.formats.gguf import GGUFFile
from gguf_bytes import ARRAY, BOOL, I8, STRING, U8, U32, U64, GGUFBytes, array, key, tensor, text
from gguf_files import write_random_model

F32, Q1_0 = 0, 41
ONE = tensor("a", (1,), F32, 0)
HUGE_COUNTS = [2**63 - 1, 2**64 - 1, 10**8, 2]
"""Also -1 as an unsigned number, and one more than there is room for."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def refusal(path: Path, content: GGUFBytes | bytes) -> BonsaiError:
    """Write the file; return the error that opening it ends in."""
    path.write_bytes(content if isinstance(content, bytes) else content.build())
    with pytest.raises(BonsaiError) as caught:
        GGUFFile(path)
    assert caught.value.remedy.endswith(".")
    return caught.value


def malformed(path: Path, content: GGUFBytes | bytes) -> str:
    """Return what is wrong with a malformed file."""
    error = refusal(path, content)
    assert type(error) is MalformedModelError
    assert error.code == "malformed_model"
    assert str(path) in error.cause
    return error.cause.replace(str(path), "model.gguf")


def test_missing_file(path: Path) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        GGUFFile(path)
    assert caught.value.cause == f"There is no model file at {path}."
    assert caught.value.code == "model_not_found"


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        GGUFFile(tmp_path)
    assert caught.value.cause == f"{tmp_path} is a directory, not a model file."
    assert caught.value.remedy == "Give the path of a .gguf file."


def test_a_directory_that_could_be_converted(tmp_path: Path) -> None:
    """The remedy is a command line that can be pasted as it is."""
    directory = tmp_path / "my pack"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    with pytest.raises(ModelNotFoundError) as caught:
        GGUFFile(directory)
    assert caught.value.remedy == f"Convert it: bonsai-edge convert '{directory}' 'my pack.gguf'"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_fifo_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ModelNotFoundError) as caught:
        GGUFFile(path)
    assert caught.value.cause == f"{path} is not a regular file, not a model file."


def test_dangling_symlink(path: Path) -> None:
    path.symlink_to("nowhere.gguf")
    with pytest.raises(ModelNotFoundError, match="There is no model file at"):
        GGUFFile(path)


def test_name_that_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"cannot be read: File name too long\."):
        GGUFFile(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(path: Path) -> None:
    path.write_bytes(GGUFBytes().build())
    path.chmod(0)
    with pytest.raises(ModelNotFoundError, match=r"cannot be read: Permission denied\."):
        GGUFFile(path)


@pytest.mark.parametrize("content", [b"", b"GGU", b"FUGG" + bytes(60), b"PK\x03\x04", b"\0" * 100], ids=repr)
def test_other_files(path: Path, content: bytes) -> None:
    assert malformed(path, content) == (
        f"model.gguf is not a GGUF file: it begins with {content[:4]!r}, expected b'GGUF'."
    )


@pytest.mark.parametrize("size", range(4, 24))
def test_file_that_ends_within_its_first_fields(path: Path, size: int) -> None:
    assert malformed(path, GGUFBytes().build()[:size]).startswith("model.gguf ends inside the ")


@pytest.mark.parametrize("version", [0, 1, 4, 2**31])
def test_unknown_version(path: Path, version: int) -> None:
    error = refusal(path, GGUFBytes(version=version))
    assert type(error) is UnsupportedModelError
    assert error.code == "unsupported_model"
    assert error.cause == f"{path} is version {version}; supported is GGUF version 2 or 3, little endian."


def test_big_endian_file(path: Path) -> None:
    error = refusal(path, b"GGUF" + struct.pack(">IQQ", 3, 1, 1))
    assert error.cause == f"{path} is a big-endian file; supported is GGUF version 2 or 3, little endian."


@pytest.mark.parametrize("count", HUGE_COUNTS)
def test_more_tensors_than_bytes(path: Path, count: int) -> None:
    content = GGUFBytes([], [ONE], num_tensors=count).build()
    assert malformed(path, content) == (
        f"model.gguf claims {count} tensors, more than its {len(content)} bytes can hold."
    )


@pytest.mark.parametrize("count", HUGE_COUNTS)
def test_more_keys_than_bytes(path: Path, count: int) -> None:
    content = GGUFBytes(num_keys=count).build()
    assert malformed(path, content) == (
        f"model.gguf claims {count} metadata keys, more than its {len(content)} bytes can hold."
    )


@pytest.mark.parametrize("count", [2**60, 2**64 - 1, 6])
@pytest.mark.parametrize("element_type", [U8, U64, STRING])
def test_more_elements_than_bytes(path: Path, element_type: int, count: int) -> None:
    content = GGUFBytes([key("k", ARRAY, array(element_type, count, b""))], alignment=1).build()
    assert malformed(path, content) == (
        f"model.gguf claims {count} elements of key 'k', more than its {len(content)} bytes can hold."
    )


@pytest.mark.parametrize("length", [2**62, 2**64 - 1, 2**30 - 1, 12])
def test_text_longer_than_the_file(path: Path, length: int) -> None:
    too_long = text("eleven more", length)
    as_value = GGUFBytes([key("k", STRING, too_long)], alignment=1)
    assert malformed(path, as_value) == f"model.gguf gives key 'k' {length} bytes, more than allowed or left."
    as_key = GGUFBytes([too_long], alignment=1)
    assert malformed(path, as_key) == f"model.gguf gives a metadata key {length} bytes, more than allowed or left."
    as_element = GGUFBytes([key("k", ARRAY, array(STRING, 1, too_long))], alignment=1)
    assert malformed(path, as_element) == "model.gguf ends inside the strings of key 'k'."


def test_array_that_ends_within_the_length_of_a_text(path: Path) -> None:
    content = GGUFBytes([key("k", ARRAY, array(STRING, 2, text("aaaaaa") + b"\1\0"))], alignment=1)
    assert malformed(path, content) == "model.gguf ends inside the strings of key 'k'."


def test_longest_key_and_tensor_name(path: Path) -> None:
    content = GGUFBytes([key("k" * 65536, U8, 1)])
    assert malformed(path, content) == "model.gguf gives a metadata key 65536 bytes, more than allowed or left."
    content = GGUFBytes([], [tensor("t" * 64, (1,), F32, 0)], bytes(4))
    assert malformed(path, content) == "model.gguf gives a tensor name 64 bytes, more than allowed or left."


def test_empty_key(path: Path) -> None:
    assert malformed(path, GGUFBytes([key("", U8, 1)])) == "model.gguf has an empty or repeated metadata key ''."


def test_repeated_key(path: Path) -> None:
    content = GGUFBytes([key("k", U8, 1), key("k", U8, 1)])
    assert malformed(path, content) == "model.gguf has an empty or repeated metadata key 'k'."


def test_repeated_tensor(path: Path) -> None:
    assert malformed(path, GGUFBytes([], [ONE, ONE], bytes(64))) == "model.gguf has two tensors named 'a'."


def test_nul_character_that_other_readers_would_cut_at(path: Path) -> None:
    message = "model.gguf has a NUL character in "
    assert malformed(path, GGUFBytes([key("a\0b", U8, 1)])) == message + "a metadata key."
    assert malformed(path, GGUFBytes([key("k", STRING, "a\0b")])) == message + "key 'k'."
    assert malformed(path, GGUFBytes([], [tensor("a\0b", (1,), F32, 0)], bytes(4))) == message + "a tensor name."


def test_text_that_is_not_utf_8(path: Path) -> None:
    message = "model.gguf has text in {} that is not UTF-8."
    assert malformed(path, GGUFBytes([key(b"\xff", U8, 1)])) == message.format("a metadata key")
    assert malformed(path, GGUFBytes([key("k", STRING, text(b"\xc3"))])) == message.format("key 'k'")
    content = GGUFBytes([key("k", ARRAY, array(STRING, 1, text(b"\xed\xa0\x80")))])
    assert malformed(path, content) == "model.gguf has a string in key 'k' that is not UTF-8."


@pytest.mark.parametrize("type_id", [13, 255, 2**32 - 1])
def test_unknown_value_type(path: Path, type_id: int) -> None:
    content = GGUFBytes([text("k") + struct.pack("<I", type_id) + bytes(8)])
    assert malformed(path, content) == f"model.gguf gives key 'k' the unknown value type {type_id}."


@pytest.mark.parametrize("type_id", [ARRAY, 13, 2**32 - 1])
def test_nested_array_or_unknown_element_type(path: Path, type_id: int) -> None:
    content = GGUFBytes([key("k", ARRAY, array(type_id, 1, array(type_id, 1, bytes(16))))])
    assert malformed(path, content) == (
        f"model.gguf gives key 'k' an array of type {type_id}, expected numbers or strings."
    )


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        *((U32, value) for value in (0, 3, 4, 2**17, 2**20 + 1, 2**31)),
        (I8, -32),
        (U64, 2**63),
        (STRING, "32"),
        (BOOL, True),
    ],
)
def test_alignment(path: Path, type_id: int, value: int | str) -> None:
    content = GGUFBytes([key("general.alignment", type_id, value)], [ONE], bytes(4))
    assert malformed(path, content) == (
        f"model.gguf has general.alignment {value!r}, expected a power of two from 8 to 65536."
    )


@pytest.mark.parametrize("count", [0, 5, 2**32 - 1])
def test_number_of_dimensions(path: Path, count: int) -> None:
    content = GGUFBytes([], [text("a") + struct.pack("<I", count) + bytes(60)])
    assert malformed(path, content) == f"model.gguf gives tensor 'a' {count} dimensions, expected 1 to 4."


@pytest.mark.parametrize(
    "dimensions",
    [(0,), (128, 0), (2**64 - 1,), (2**42 + 1, 128), (128, 2**63), (127,), (64, 2), (1, 128)],
)
def test_dimensions(path: Path, dimensions: tuple[int, ...]) -> None:
    content = GGUFBytes([], [tensor("a", dimensions, Q1_0, 0)], bytes(18))
    assert malformed(path, content) == (
        f"model.gguf gives tensor 'a' the shape {list(dimensions)}, whose rows do not divide into Q1_0 blocks of 128 "
        "or exceed the file."
    )


@pytest.mark.parametrize("type_id", [Q1_0, F32])
def test_dimensions_whose_product_would_overflow(path: Path, type_id: int) -> None:
    """2^64 elements or bytes; a sum in 64 bits would be 0."""
    content = GGUFBytes([], [tensor("a", (2**16, 2**16, 2**16, 2**16), type_id, 0)], bytes(1 << 14))
    assert "is truncated: tensor 'a' ends at byte" in malformed(path, content)


@pytest.mark.parametrize("type_id", [2, 40, 42, 142, 143, 255, 2**31, 2**32 - 1])
def test_unknown_tensor_type(path: Path, type_id: int) -> None:
    error = refusal(path, GGUFBytes([], [tensor("blk.0.attn_q.weight", (128,), type_id, 0)], bytes(64)))
    assert type(error) is UnsupportedModelError
    assert error.cause == (
        f"Tensor 'blk.0.attn_q.weight' of {path} has type id {type_id}; "
        "supported are F32 (0), F16 (1), Q8_0 (8), BF16 (30), Q1_0 (41)."
    )


@pytest.mark.parametrize(("offset", "expected"), [(4, 32), (0, 32), (33, 32), (64, 32), (2**63, 32), (2**64 - 32, 32)])
def test_second_tensor_must_follow_the_first(path: Path, offset: int, expected: int) -> None:
    """Unaligned, overlapping, with a gap, behind the end."""
    content = GGUFBytes([], [ONE, tensor("b", (1,), F32, offset)], bytes(128))
    assert malformed(path, content).endswith(
        f" of model.gguf begins at byte {offset} of the data, expected {expected} from the types and shapes before it."
    )


def test_first_tensor_must_begin_the_data(path: Path) -> None:
    content = GGUFBytes([], [tensor("a", (1,), F32, 32)], bytes(64))
    assert malformed(path, content).startswith("Tensor 'a' of model.gguf begins at byte 32 of the data, expected 0 ")


def test_type_id_with_another_block_size_shows_in_the_offsets(path: Path) -> None:
    """A fork wrote groups of 32, 6 bytes each, under the id of Q1_0."""
    tensors = [tensor("a", (256, 8), Q1_0, 0), tensor("b", (256, 8), Q1_0, 256 * 8 // 32 * 6)]
    assert malformed(path, GGUFBytes([], tensors, bytes(768))) == (
        "Tensor 'b' of model.gguf begins at byte 384 of the data, expected 288 from the types and shapes before it."
    )


def test_last_tensor_short_of_one_byte(path: Path) -> None:
    content = GGUFBytes([], [ONE], bytes(3)).build()
    assert malformed(path, content) == (
        f"model.gguf is truncated: tensor 'a' ends at byte {len(content) + 1}, the file has {len(content)}."
    )


def test_bytes_after_the_last_tensor(path: Path) -> None:
    assert malformed(path, GGUFBytes([], [ONE], bytes(33))) == "model.gguf has 1 bytes after its last tensor."


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_interrupted_download(path: Path, share: float) -> None:
    content = write_random_model(path).read_bytes()
    cause = malformed(path, content[: int(len(content) * share)])
    assert "ends inside" in cause or "truncated" in cause or "more than" in cause
