"""`bonsai-edge convert`: what it prints, what it leaves alone, and what it never leaves behind."""

import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge_convert import conversion


@pytest.fixture
def run():
    """Return a function that runs the command with some arguments."""
    return lambda *arguments: CliRunner().invoke(main, ["convert", *map(str, arguments)])


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_help_lists_the_command():
    assert "convert " in CliRunner().invoke(main, ["--help"]).output


def test_a_conversion_is_reported_in_one_line(run, make, tmp_path):
    result = run(make.gguf(), tmp_path / "pack")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path}/pack: GGUF to MLX pack, 13 tensors, 34.7 kB of weights, lossless\n"
    assert result.stderr == ""
    assert names(tmp_path) == ["model.gguf", "pack"]


def test_a_pack_given_as_a_model_is_refused_with_the_command_that_converts_it(run, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack = make.pack(make.gguf()).rename(tmp_path / "my pack")
    refused = CliRunner().invoke(main, ["generate", "--model", str(pack), "hello"])
    assert refused.exit_code == 1
    cause, command = refused.stderr.strip().split(" Convert it: ")
    assert cause == f"Error [model_not_found]: {pack} is a directory, not a model file."
    program, convert, *arguments = shlex.split(command)
    assert (program, convert) == ("bonsai-edge", "convert")
    assert run(*arguments).exit_code == 0
    accepted = CliRunner().invoke(main, ["generate", "--model", arguments[1], "--max-tokens", "1", "hello"])
    assert accepted.exit_code == 0


def test_quantizing_warns_and_sums_up_the_errors(run, make, tmp_path):
    gguf = make.gguf()
    weights = {
        name: values if values.ndim == 1 else np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
        for name, values in make.weights(gguf).items()
    }
    checkpoint = make.checkpoint(weights, make.config(gguf), dtype="F32")
    result = run(checkpoint, tmp_path / "out.gguf", "--quantize")
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: --quantize keeps the sign of each weight and one scale per 128.")
    assert "13 tensors, 34.7 kB of weights, quantized\nrelative error of the weights: 0." in result.stdout
    assert result.stdout.endswith("median 0.599; --json lists all\n")  # sqrt(1 - 2 / pi) = 0.603 for normal weights

    as_json = json.loads(run(checkpoint, tmp_path / "out.gguf", "--quantize", "--force", "--json").stdout)
    assert as_json["lossless"] is False
    assert len(as_json["tensor_errors"]) == 8
    assert as_json["tensor_errors"][0].keys() == {"name", "relative_error"}


def test_an_existing_destination_is_replaced_only_by_force(run, make, tmp_path):
    gguf = make.gguf()
    pack = make.pack(gguf)
    (tmp_path / "out.gguf").write_bytes(b"precious")
    result = run(pack, tmp_path / "out.gguf")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [output]: {tmp_path}/out.gguf exists already. Give another name, or --force to replace it.\n"
    )
    assert (tmp_path / "out.gguf").read_bytes() == b"precious"
    assert run(pack, tmp_path / "out.gguf", "--force").exit_code == 0
    assert (tmp_path / "out.gguf").read_bytes().startswith(b"GGUF")

    (pack / "gguf.json").unlink(missing_ok=True)
    assert run(gguf, pack, "--force").exit_code == 0
    assert (pack / "gguf.json").exists()
    assert names(tmp_path) == ["model.gguf", "out.gguf", "pack"]


def test_a_directory_with_other_things_in_it_is_not_replaced_even_by_force(run, make, tmp_path):
    gguf = make.gguf()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    result = run(gguf, tmp_path / "home", "--force")
    assert result.exit_code == 1
    assert "home is not replaced: it holds 'thesis.txt', which is no part of an MLX pack." in result.stderr
    (tmp_path / "link").symlink_to(tmp_path / "home")
    (tmp_path / "home" / "thesis.txt").rename(tmp_path / "thesis.txt")
    assert "link is not replaced: it is a link" in run(gguf, tmp_path / "link", "--force").stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_is_left_of_a_conversion_that_ends_early(run, make, tmp_path, monkeypatch, error):
    pack = make.pack(make.gguf())

    def write_gguf(path, *_):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(conversion, "write_gguf", write_gguf)
    result = run(pack, tmp_path / "out.gguf")
    if error is KeyboardInterrupt:
        assert result.exit_code == 130
    else:
        assert f"Error [output]: {tmp_path}/out.gguf cannot be written: No space left on device." in result.stderr
    assert names(tmp_path) == ["model.gguf", "pack"]


def test_a_destination_in_a_missing_directory_is_refused(run, make, tmp_path):
    result = run(make.gguf(), tmp_path / "nowhere" / "pack")
    assert "nowhere/pack cannot be written: No such file or directory." in result.stderr


def test_source_and_destination_must_fit(run, make, tmp_path):
    gguf = make.gguf()
    assert "cannot be converted to" in run(gguf, tmp_path / "other.gguf").stderr
    assert "Give as destination a name that ends with .gguf." in run(make.pack(gguf), tmp_path / "other").stderr
    assert "Error [model_not_found]: There is no" in run(tmp_path / "nothing", tmp_path / "x.gguf").stderr
    assert json.loads(run(gguf, tmp_path / "x.gguf", "--json").stdout)["error"]["code"] == "invalid_request"


def test_progress_counts_all_bytes_of_weights(make, tmp_path):
    gguf = make.gguf()
    for source, destination in ((gguf, tmp_path / "pack"), (tmp_path / "pack", tmp_path / "out.gguf")):
        told = []
        report = conversion.convert(source, destination, progress=lambda *counts, told=told: told.append(counts))
        assert len(told) == report.tensors
        assert told[-1] == (report.weight_bytes, report.weight_bytes)
