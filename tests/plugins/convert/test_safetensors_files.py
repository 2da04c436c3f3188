"""Reading and writing safetensors piece by piece, against the library."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge_convert.safetensors_files import SafetensorsWriter, open_tensors

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_rows_are_read_as_the_library_wrote_them(tmp_path):
    save_file({"matrix": MATRIX, "half": MATRIX.astype(np.float16)}, tmp_path / "model.safetensors")
    tensors = open_tensors(tmp_path)
    np.testing.assert_array_equal(tensors["matrix"].read_rows(), MATRIX)
    np.testing.assert_array_equal(tensors["matrix"].read_rows(1, 3), MATRIX[1:3])
    np.testing.assert_array_equal(tensors["half"].read_float32(3), MATRIX[3:])


def test_bfloat16_becomes_float32_exactly(tmp_path, write_tensors):
    write_tensors(tmp_path / "model.safetensors", {"x": ("BF16", MATRIX)})
    np.testing.assert_array_equal(open_tensors(tmp_path)["x"].read_float32(1, 4), MATRIX[1:])


def test_what_is_written_in_any_order_is_read_by_the_library(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {
        "a": np.arange(3, dtype=np.float16),
        "b": np.arange(8, dtype=np.uint32).reshape(2, 4),
        "c": MATRIX,
    }
    types = {"a": ("F16", (3,)), "b": ("U32", (2, 4)), "c": ("F32", (4, 3))}
    with SafetensorsWriter(path, types, {"format": "mlx"}) as writer:
        for name in ("c", "a", "b"):
            writer.write(name, arrays[name])
    found = load_file(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"format": "mlx"}


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: raw[:20], lambda raw: b"", lambda raw: b"\xff" * 8 + raw[8:]],
    ids=["truncated", "header only", "empty", "absurd header"],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    save_file({"matrix": MATRIX}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MalformedModelError, match="is not a sound safetensors file"):
        open_tensors(tmp_path)


def test_an_index_names_the_files(tmp_path):
    save_file({"a": MATRIX}, tmp_path / "model-1.safetensors")
    save_file({"b": MATRIX}, tmp_path / "model-2.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    assert set(open_tensors(tmp_path)) == {"a", "b"}
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match=r"names 'model-2\.safetensors', which is missing"):
        open_tensors(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(MalformedModelError, match=r"'\.\./elsewhere\.safetensors', which is not beside it"):
        open_tensors(tmp_path)
    index.write_text('{"weight_map": 3}')
    with pytest.raises(MalformedModelError, match="is not an index of safetensors"):
        open_tensors(tmp_path)


def test_a_directory_without_weights_and_repeated_tensors_are_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"has no file model\*\.safetensors"):
        open_tensors(tmp_path)
    save_file({"a": MATRIX}, tmp_path / "model-1.safetensors")
    save_file({"a": MATRIX}, tmp_path / "model-2.safetensors")
    with pytest.raises(MalformedModelError, match="Tensor 'a' is both in"):
        open_tensors(tmp_path)


def test_other_dtypes_are_refused_when_read(tmp_path):
    save_file({"a": MATRIX.astype(np.int64)}, tmp_path / "model.safetensors")
    with pytest.raises(UnsupportedModelError, match="has the dtype I64; supported are F16, BF16, F32, U32"):
        open_tensors(tmp_path)["a"].read_rows()
