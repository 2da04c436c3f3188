from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from gguf_files import CHATML_TEMPLATE, small_vocabulary, write_random_model


def inspect(cli: CliRunner, *arguments: str | Path) -> str:
    result = cli.invoke(main, ["inspect", *map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_json_tells_what_the_header_holds(cli: CliRunner, random_model: Path) -> None:
    report = json.loads(inspect(cli, random_model, "--json"))
    vocabulary = small_vocabulary()
    num_tokens = len(vocabulary.tokens)
    q1_0_elements = num_tokens * 256 + 2 * (256 * 256 * 2 + 128 * 256 * 2 + 3 * 256 * 384)
    f32_elements = 2 * (2 * 256 + 2 * 64) + 256
    q1_0_bytes, f32_bytes = q1_0_elements // 128 * 18, f32_elements * 4
    assert report["path"] == str(random_model)
    assert report["file_bytes"] == random_model.stat().st_size
    assert report["parameters"] == q1_0_elements + f32_elements
    assert report["bits_per_weight"] == 8 * (q1_0_bytes + f32_bytes) / report["parameters"]
    assert report["tensor_types"] == [
        {"type": "Q1_0", "tensors": 15, "elements": q1_0_elements, "bytes": q1_0_bytes},
        {"type": "F32", "tensors": 9, "elements": f32_elements, "bytes": f32_bytes},
    ]
    spec = report["hyper_parameters"]
    assert (spec["num_layers"], spec["hidden_size"], spec["head_dim"], spec["tied_embeddings"]) == (2, 256, 64, True)
    assert spec["yarn"] == {"factor": 4.0, "original_context_length": 1024, "attention_factor": 1.0}
    assert report["kv_bytes_per_token"] == 2 * 2 * (2 * 64) * 2
    assert report["tokenizer"] == {
        "model": "gpt2",
        "pre": "qwen2",
        "tokens": num_tokens,
        "merges": len(vocabulary.merges),
        "stop_ids": sorted({vocabulary.eos_id, vocabulary.pad_id}),
    }
    assert report["chat_template_characters"] == len(CHATML_TEMPLATE)


def test_table_for_people(cli: CliRunner, random_model: Path) -> None:
    lines = inspect(cli, random_model).splitlines()
    assert "model          random-3 (qwen3)" in lines
    assert "heads          4 query, 2 KV, 64 wide" in lines
    assert "RoPE           base 1,000,000, YaRN x4 from 1,024 tokens, attention factor 1" in lines
    assert "KV cache       1,024 bytes a token in f16, 4.2 MB at full context" in lines
    assert any(line.startswith("Q1_0 ") for line in lines)


def test_untied_model_without_yarn_and_template(cli: CliRunner, tmp_path: Path) -> None:
    path = write_random_model(
        tmp_path / "plain.gguf", tied=False, yarn=False, extra_metadata={"tokenizer.chat_template": None}
    )
    lines = inspect(cli, path).splitlines()
    assert any(line.endswith("output of its own") for line in lines)
    assert "RoPE           base 1,000,000, no scaling" in lines
    assert "chat template  none" in lines
    assert json.loads(inspect(cli, path, "--json"))["chat_template_characters"] is None


def test_name_from_a_file_cannot_command_the_terminal(cli: CliRunner, tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "evil.gguf", extra_metadata={"general.name": "a\x1b[2Jb\n[red]c"})
    assert "model          a [2Jb [red]c (qwen3)\n" in inspect(cli, path)


def test_no_backend_is_loaded(cli: CliRunner, random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("inspect must not load the model")

    monkeypatch.setattr("bonsai_edge.runtime.load", refuse)
    monkeypatch.setattr("bonsai_edge.plugin_manager.plugin_manager", refuse)
    monkeypatch.setattr("bonsai_edge.formats.tensor.QuantizedTensor.dequantize", refuse)
    assert "random-3" in inspect(cli, random_model)


def test_path_that_is_no_text_is_still_one_line_and_json(cli: CliRunner, tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/\xff.gguf")
    result = cli.invoke(main, ["inspect", path, "--json"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error [model_not_found]: There is no model file at {tmp_path}/\ufffd.gguf. ")
    assert json.loads(result.stdout)["error"]["cause"] == f"There is no model file at {tmp_path}/?.gguf."


def test_file_whose_path_is_no_text_is_described(cli: CliRunner, random_model: Path, tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/\xff.gguf")
    try:
        os.symlink(random_model, path)
    except OSError:
        pytest.skip("this file system holds only text as names")
    assert json.loads(inspect(cli, path, "--json"))["path"] == f"{tmp_path}/?.gguf"
    assert f"{tmp_path}/\ufffd.gguf, " in inspect(cli, path)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_home_of_nobody_is_one_line(cli: CliRunner, arguments: list[str]) -> None:
    result = cli.invoke(main, ["inspect", "~nosuchuser/x.gguf", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [model_not_found]: The home directory in '~nosuchuser/x.gguf' cannot be ")
    assert result.stderr.count("\n") == 1


def test_missing_file_is_one_line(cli: CliRunner, tmp_path: Path) -> None:
    result = cli.invoke(main, ["inspect", str(tmp_path / "none.gguf"), "--json"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [model_not_found]: There is no model file at ")
    assert json.loads(result.stdout)["error"]["code"] == "model_not_found"
