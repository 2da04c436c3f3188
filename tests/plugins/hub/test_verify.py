"""`bonsai-edge verify`, with a tiny random model in the place of a published one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import bonsai_edge
from bonsai_edge.cli import main
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_hub import catalogue
from bonsai_edge_hub.catalogue import PUBLISHED_MODELS, HubFile, KnownAnswer, PublishedModel
from bonsai_edge_hub.errors import NoKnownAnswersError
from gguf_files import write_random_model

PROMPT = "hello world"
ANSWER_TOKENS = 8


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "random.gguf", layers=2, hidden=256)


@pytest.fixture(scope="module")
def known_answer(model_path: Path) -> KnownAnswer:
    """The continuation by the reference, computed anew from the start for every token."""
    with bonsai_edge.load(model_path, backend="reference", context=64) as model:
        prompt_ids = model.tokenizer.encode(PROMPT, special=True)
        token_ids = list(prompt_ids)
        for _ in range(ANSWER_TOKENS):
            token_ids.append(int(np.argmax(model.logits(token_ids)[-1])))
    return KnownAnswer(PROMPT, tuple(prompt_ids), tuple(token_ids[len(prompt_ids) :]))


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a model of the random one's shape into the catalogue, alone."""

    def put(answer: KnownAnswer) -> None:
        model = PublishedModel(HubFile("tiny", "org/repo", "Tiny.gguf"), 2, 256, (answer,))
        monkeypatch.setattr(catalogue, "PUBLISHED_MODELS", (model,))

    return put


def change(ids: tuple[int, ...], position: int) -> tuple[int, ...]:
    return (*ids[:position], ids[position] + 1, *ids[position + 1 :])


def test_a_model_with_the_published_answers_passes(
    cli: CliRunner, model_path: Path, known_answer: KnownAnswer, publish
) -> None:
    publish(known_answer)
    result = cli.invoke(main, ["verify", str(model_path), "--backend", "reference"])
    num_prompt = len(known_answer.prompt_ids)
    assert (result.exit_code, result.stdout) == (
        0,
        f"{model_path} is tiny, computed by reference\n"
        f"pass  tokenizer: {num_prompt} of {num_prompt} tokens\n"
        f"pass  continuation: {ANSWER_TOKENS} of {ANSWER_TOKENS} tokens\n",
    )


def test_an_answer_that_differs_fails_at_its_first_position(
    cli: CliRunner, model_path: Path, known_answer: KnownAnswer, publish
) -> None:
    expected = change(change(known_answer.answer_ids, 6), 3)
    publish(replace(known_answer, answer_ids=expected))
    result = cli.invoke(main, ["verify", str(model_path), "--backend", "reference"])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        f"FAIL  continuation: differs at position 3 of {ANSWER_TOKENS}: "
        f"expected token {expected[3]}, got token {known_answer.answer_ids[3]}"
    )


def test_a_tokenizer_that_differs_fails_and_the_continuation_is_still_checked(
    cli: CliRunner, model_path: Path, known_answer: KnownAnswer, publish
) -> None:
    publish(replace(known_answer, prompt=PROMPT + "!"))
    result = cli.invoke(main, ["verify", str(model_path), "--backend", "reference", "--json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["model"], report["backend"], report["passed"]) == ("tiny", "reference", False)
    tokenizer, continuation = report["checks"]
    num_prompt = len(known_answer.prompt_ids)
    assert (tokenizer["passed"], tokenizer["first_difference"], tokenizer["expected_id"]) == (False, num_prompt, None)
    assert continuation["passed"] is True


def test_the_backend_may_be_left_to_auto(cli: CliRunner, model_path: Path, known_answer: KnownAnswer, publish) -> None:
    publish(known_answer)
    report = json.loads(cli.invoke(main, ["verify", str(model_path), "--json"]).stdout)
    assert report["backend"] != "reference"
    assert [check["check"] for check in report["checks"]] == ["tokenizer", "continuation"]


def test_a_stop_token_does_not_end_the_comparison(
    cli: CliRunner, tmp_path: Path, known_answer: KnownAnswer, publish
) -> None:
    stops_at_once = write_random_model(
        tmp_path / "stops.gguf", extra_metadata={"tokenizer.ggml.eos_token_id": known_answer.answer_ids[0]}
    )
    publish(known_answer)
    assert cli.invoke(main, ["verify", str(stops_at_once), "--backend", "reference"]).exit_code == 0


def test_a_model_without_known_answers_says_so(cli: CliRunner, model_path: Path) -> None:
    result = cli.invoke(main, ["verify", str(model_path)])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error [no_known_answers]: No answers are published for random-0, a model of 2 layers and hidden size 256. "
        "There are some for bonsai-1.7b, bonsai-4b, bonsai-8b.\n"
    )


def spec_of(num_layers: int, hidden_size: int) -> ModelSpec:
    return ModelSpec("a model", "qwen3", num_layers, hidden_size, 1, 1, 1, 128, 151_669, 1, 1e-6, 1e6, None, True)


def test_published_models_are_recognized_by_their_shape() -> None:
    shapes = {"bonsai-1.7b": (28, 2048), "bonsai-4b": (36, 2560), "bonsai-8b": (36, 4096)}
    assert {catalogue.recognize(spec_of(*shape)).name for shape in shapes.values()} == shapes.keys()
    for name, shape in shapes.items():
        assert catalogue.recognize(spec_of(*shape)).name == name
    with pytest.raises(NoKnownAnswersError):
        catalogue.recognize(spec_of(28, 4096))


@pytest.mark.parametrize("model", PUBLISHED_MODELS, ids=lambda model: model.name)
def test_every_published_model_has_a_sound_entry(model: PublishedModel) -> None:
    assert len(model.file.revision) == 40
    assert all(len(digest) == 64 and int(digest, 16) for digest in model.file.digests)
    assert model.file.filename.removesuffix("-Q1_0.gguf").lower() == model.name
    (answer,) = model.known_answers
    assert (len(answer.prompt_ids), len(answer.answer_ids)) == (12, 32)
    assert answer.answer_ids[0] == 26194  # " Tokyo"
