"""Post-training sign quantization against an independent computation."""

import numpy as np
import pytest

from bonsai_edge.errors import InvalidRequestError, UnsupportedModelError
from bonsai_edge_convert import unpacked
from bonsai_edge_convert.conversion import convert


def random_weights(make, gguf, seed=0):
    rng = np.random.default_rng(seed)
    weights = make.weights(gguf)
    for name, values in weights.items():
        if values.ndim == 2:
            weights[name] = rng.normal(0, 0.02, values.shape).astype(np.float16).astype(np.float32)
    return weights


def quantize(values):
    """Return sign times mean magnitude per group, float64 but for the scale, which is rounded to float16."""
    groups = values.astype(np.float64).reshape(-1, 128)
    scales = np.abs(groups).mean(axis=1, keepdims=True).astype(np.float16).astype(np.float64)
    return np.where(groups >= 0, scales, -scales).reshape(values.shape)


@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_weights_are_sign_times_mean_magnitude_and_errors_are_reported(make, tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(unpacked, "_CHUNK_ELEMENTS", 1000)  # rows in several chunks
    gguf = make.gguf(tied=False)
    weights = random_weights(make, gguf)
    weights["model.layers.0.mlp.up_proj.weight"][:5, ::2] = 0.0
    weights["model.layers.0.mlp.up_proj.weight"][:5, 1::4] = -0.0
    checkpoint = make.checkpoint(weights, make.config(gguf), dtype=dtype)
    report = convert(checkpoint, tmp_path / "out.gguf", quantize=True)

    found = make.weights(tmp_path / "out.gguf")
    errors = {error.name: error.relative_error for error in report.tensor_errors}
    matrices = {name: values for name, values in weights.items() if values.ndim == 2}
    assert errors.keys() == matrices.keys()
    for name, values in matrices.items():
        expected = quantize(values)
        np.testing.assert_array_equal(found[name], expected.astype(np.float32), name)
        error = np.linalg.norm(values - expected) / np.linalg.norm(values.astype(np.float64))
        assert errors[name] == pytest.approx(error, rel=1e-6)
    assert not report.lossless
    assert list(errors.values()) == sorted(errors.values(), reverse=True)


def test_normal_weights_lose_what_theory_says(make, tmp_path):
    gguf = make.gguf()
    report = convert(
        make.checkpoint(random_weights(make, gguf), make.config(gguf)), tmp_path / "out.gguf", quantize=True
    )
    for error in report.tensor_errors:
        assert error.relative_error == pytest.approx(np.sqrt(1 - 2 / np.pi), abs=0.01)  # of a normal distribution


def test_a_1_bit_checkpoint_is_quantized_without_error(make, tmp_path):
    gguf = make.gguf()
    report = convert(make.checkpoint(make.weights(gguf), make.config(gguf)), tmp_path / "out.gguf", quantize=True)
    assert {error.relative_error for error in report.tensor_errors} == {0.0}


def test_a_tensor_of_zeros_has_no_error(make, tmp_path):
    gguf = make.gguf()
    weights = random_weights(make, gguf)
    weights["model.layers.0.mlp.up_proj.weight"][:] = 0
    report = convert(make.checkpoint(weights, make.config(gguf)), tmp_path / "out.gguf", quantize=True)
    errors = {error.name: error.relative_error for error in report.tensor_errors}
    assert errors["model.layers.0.mlp.up_proj.weight"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_weights_without_a_float16_scale_are_refused_by_name(make, tmp_path, value):
    gguf = make.gguf()
    weights = random_weights(make, gguf)
    weights["model.layers.0.mlp.up_proj.weight"][9, 3] = value
    checkpoint = make.checkpoint(weights, make.config(gguf), dtype="F32")
    with pytest.raises(
        UnsupportedModelError, match=r"up_proj.weight' .* row 9, group 0 .* mean magnitude .* not a float"
    ):
        convert(checkpoint, tmp_path / "out.gguf", quantize=True)


def test_what_has_1_bit_already_is_not_quantized(make, tmp_path):
    gguf = make.gguf()
    for source, destination in ((gguf, "pack_of_it"), (make.pack(gguf), "out.gguf")):
        with pytest.raises(InvalidRequestError, match="holds 1-bit weights already"):
            convert(source, tmp_path / destination, quantize=True)
