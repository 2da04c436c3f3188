"""`bonsai-edge train` and `bonsai-edge export`: what they write, print and refuse."""

import hashlib

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("wonderwords", reason="needs the extra `train`")
pytest.importorskip("matplotlib", reason="needs the extra `train`")
pytest.importorskip("safetensors", reason="needs the extra `train`")

from bonsai_edge.errors import BonsaiError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge_train.checkpoint import CHECKPOINT, read_checkpoint
from bonsai_edge_train.export_command import export
from bonsai_edge_train.plugin import bonsai_commands
from bonsai_edge_train.train_command import train

RUN_FILES = ["checkpoint.safetensors", "config.toml", "log.jsonl", "loss.png", "tokenizer.json"]


def run(command, *arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


def refusal(command, *arguments):
    result = run(command, *arguments)
    assert isinstance(result.exception, BonsaiError)
    return str(result.exception)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def trained(write_config, tmp_path):
    """The directory of a finished run."""
    assert run(train, write_config()).exit_code == 0
    return tmp_path / "run"


def test_the_plugin_announces_both_commands():
    targets = {command.name: command.target for command in bonsai_commands()}
    assert targets == {
        "train": "bonsai_edge_train.train_command:train",
        "export": "bonsai_edge_train.export_command:export",
    }


def test_a_run_leaves_a_checkpoint_a_tokenizer_a_log_and_a_plot(write_config, tmp_path):
    config = write_config()
    result = run(train, config, "--out", tmp_path / "other")
    assert result.exit_code == 0
    assert names(tmp_path / "other") == RUN_FILES
    assert (tmp_path / "other" / "config.toml").read_text() == config.read_text()
    lines = result.stderr.splitlines()
    assert lines[0].endswith("other: 137,216 parameters, 8 steps")
    assert lines[1].startswith("step 4: loss ")
    assert len(lines) == 3
    assert result.stdout == ""


def test_a_finished_run_is_not_overwritten_unasked(trained, write_config):
    before = (trained / CHECKPOINT).read_bytes()
    assert refusal(train, write_config()) == (
        f"{trained} holds a checkpoint already. Give --resume to continue it, --force to start anew."
    )
    assert (trained / CHECKPOINT).read_bytes() == before
    assert run(train, write_config(), "--force").exit_code == 0
    assert names(trained) == RUN_FILES


def test_resume_needs_a_checkpoint(write_config, tmp_path):
    assert refusal(train, write_config(), "--resume").startswith(f"There is no checkpoint at {tmp_path}/run/checkpoint")


def test_resuming_continues_from_the_directory(trained, write_config):
    result = run(train, write_config(), "--resume")
    assert result.exit_code == 0
    assert read_checkpoint(trained / CHECKPOINT)[0].step == 8


def test_a_directory_must_be_named(write_config):
    path = write_config()
    path.write_text(path.read_text().replace("directory = ", "# "))
    assert refusal(train, path) == f"{path} names no `run.directory`. Give --out DIRECTORY, or set the key."


def test_a_vocabulary_that_the_data_cannot_fill_is_refused(write_config):
    path = write_config(model={"vocab_size": 4000})
    assert "tokens, `model.vocab_size` is 4000. Set `model.vocab_size` to the tokenizer's." in refusal(train, path)


def test_export_writes_a_model_that_opens_and_prints_its_digest(trained, tmp_path):
    output = tmp_path / "out.gguf"
    result = run(export, trained, output)
    assert result.exit_code == 0
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    assert result.stdout.endswith(f"kB, trained for 8 steps, SHA-256 {digest}\n")
    assert open_checkpoint(output).spec.name == "tiny"
    assert run(export, trained / CHECKPOINT, tmp_path / "again.gguf").exit_code == 0
    assert (tmp_path / "again.gguf").read_bytes() == output.read_bytes()


def test_export_replaces_nothing_unasked(trained, tmp_path):
    output = tmp_path / "out.gguf"
    output.write_bytes(b"mine")
    assert refusal(export, trained, output) == (
        f"{output} exists already. Give another name, or --force to replace it."
    )
    assert output.read_bytes() == b"mine"
    assert run(export, trained, output, "--force").exit_code == 0
    assert output.read_bytes().startswith(b"GGUF")


def test_one_bit_weights_are_not_quantized_again(trained, tmp_path):
    assert refusal(export, trained, tmp_path / "out.gguf", "--quantize") == (
        f"{trained} has 1-bit weights already. Leave out --quantize."
    )


def test_quantizing_float32_weights_warns(write_config, tmp_path):
    assert run(train, write_config(model={"weights": "float32"})).exit_code == 0
    exact = run(export, tmp_path / "run", tmp_path / "exact.gguf")
    quantized = run(export, tmp_path / "run", tmp_path / "quantized.gguf", "--quantize")
    assert exact.stderr == ""
    assert quantized.stderr.startswith("Warning: --quantize keeps the sign of each weight and one scale per 128.")
    assert (tmp_path / "quantized.gguf").stat().st_size < (tmp_path / "exact.gguf").stat().st_size / 10


def test_a_directory_that_cannot_be_written_is_refused(trained, tmp_path):
    assert refusal(export, trained, tmp_path / "none" / "out.gguf").startswith(
        f"{tmp_path}/none/out.gguf cannot be written: No such file or directory."
    )
