"""Training: it learns, it is deterministic, and an interrupted run goes on as if nothing had happened."""

import json
from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("wonderwords", reason="needs the extra `train`")
pytest.importorskip("matplotlib", reason="needs the extra `train`")
safetensors_torch = pytest.importorskip("safetensors.torch", reason="needs the extra `train`")

from bonsai_edge_train.batches import StreamPosition, training_batches  # noqa: E402
from bonsai_edge_train.checkpoint import CHECKPOINT, load_run, read_checkpoint  # noqa: E402
from bonsai_edge_train.config import read_config  # noqa: E402
from bonsai_edge_train.errors import CheckpointError, TrainingConfigError  # noqa: E402
from bonsai_edge_train.runs import check_same_config, prepare_tokenizer, read_teacher  # noqa: E402
from bonsai_edge_train.training import Trainer  # noqa: E402
from bonsai_edge_train.vocabulary import train_tokenizer  # noqa: E402


class Interrupted(Exception):
    """Stands for whatever ends a run."""


def tensors(directory):
    return safetensors_torch.load_file(directory / CHECKPOINT)


def assert_bit_equal(first, second):
    a, b = tensors(first), tensors(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def train(tokenizer):
    """Return a function that trains in a directory, until a step if one is given, and returns the log entries."""

    def run(config_path, directory, until=None, resume=False):
        config = read_config(config_path)
        directory.mkdir(exist_ok=True)
        (directory / "tokenizer.json").write_text(tokenizer.to_str())
        trainer = Trainer(config, tokenizer, directory, read_teacher(config, tokenizer))
        if resume:
            trainer.resume(directory / CHECKPOINT)
        entries = []

        def report(entry):
            entries.append(entry)
            if entry.step == until:
                raise Interrupted

        if until is None:
            trainer.train(report)
        else:
            with pytest.raises(Interrupted):
                trainer.train(report)
        return entries

    return run


def test_a_model_learns_the_commands_of_a_file(train, write_config, tmp_path):
    entries = train(write_config(training={"steps": 80, "evaluate_every": 80}), tmp_path / "run")
    assert entries[-1].step == 80
    assert entries[-1].evaluation.exact_match == 1.0
    assert entries[-1].evaluation.examples == 3
    assert entries[-1].evaluation.valid is None
    assert entries[-1].evaluation.loss < 0.1 < entries[0].loss


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(train, write_config, tmp_path, precision):
    config = write_config(run={"precision": precision}, training={"accumulation": 2})
    train(config, tmp_path / "whole")
    train(config, tmp_path / "resumed", until=6)  # the last checkpoint is that of step 4
    assert read_checkpoint(tmp_path / "resumed" / CHECKPOINT)[0].step == 4
    train(config, tmp_path / "resumed", resume=True)
    assert_bit_equal(tmp_path / "whole", tmp_path / "resumed")


def test_the_log_of_a_resumed_run_has_each_step_once(train, write_config, tmp_path):
    train(write_config(), tmp_path / "run", until=6)
    train(write_config(), tmp_path / "run", resume=True)
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4, 6, 8]
    assert ["evaluation" in entry for entry in entries] == [False, True, False, True]
    assert all(entry["tokens_per_s"] > 0 and entry["gradient_norm"] > 0 for entry in entries)
    assert [entry["elapsed_s"] for entry in entries] == sorted(entry["elapsed_s"] for entry in entries)
    assert entries[-1]["learning_rate"] == pytest.approx(3e-3 / 6)


def test_another_seed_gives_other_weights(train, write_config, tmp_path):
    train(write_config(), tmp_path / "a")
    train(write_config(run={"seed": 1}), tmp_path / "b")
    assert not torch.equal(tensors(tmp_path / "a")["model.token_embd"], tensors(tmp_path / "b")["model.token_embd"])


def test_a_loss_plot_is_drawn(train, write_config, tmp_path):
    train(write_config(), tmp_path / "run")
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_accumulation_averages_over_the_tokens_of_all_its_batches(tokenizer, write_config, tmp_path):
    config = read_config(write_config(data={"prompt_loss_weight": 0.3}))
    trainer = Trainer(config, tokenizer, tmp_path)
    first, second = islice(training_batches(tokenizer, config, StreamPosition()), 2)
    total_weight = float(first.weights[:, 1:].sum() + second.weights[:, 1:].sum())
    expected = 0.0
    for batch in (first, second):
        with torch.no_grad():
            logits = trainer.model(batch.token_ids)[:, :-1].flatten(0, 1)
        losses = torch.nn.functional.cross_entropy(logits, batch.token_ids[:, 1:].flatten(), reduction="none")
        expected += float((losses * batch.weights[:, 1:].flatten()).sum()) / total_weight
    found, _ = trainer.update([first, second])
    assert found == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_to_the_norm_of_the_configuration(tokenizer, write_config, tmp_path):
    config = read_config(write_config(optimizer={"max_gradient_norm": 1e-9}, run={"precision": "float32"}))
    trainer = Trainer(config, tokenizer, tmp_path)
    batch = next(training_batches(tokenizer, config, StreamPosition()))
    before = trainer.model.token_embd.detach().clone()
    _, norm = trainer.update([batch])
    assert norm > 1e-3
    # Adam's step is lr * g / (|g| + 1e-8): next to nothing for gradients far below 1e-8.
    assert (trainer.model.token_embd - before).abs().max() < 0.2 * config.optimizer.learning_rate


def test_distillation_pulls_towards_the_teacher(train, write_config, tmp_path):
    teacher = tmp_path / "teacher"
    train(write_config(training={"steps": 80, "evaluate_every": 80}, model={"weights": "float32"}), teacher)
    distillation = {"teacher": str(teacher), "weight": 1.0}
    entries = train(
        write_config(distillation=distillation, training={"steps": 80, "evaluate_every": 80}), tmp_path / "student"
    )
    assert entries[-1].loss < 0.2 * entries[0].loss
    assert entries[-1].evaluation.exact_match == 1.0  # though it has seen no answer, only the teacher's logits


def test_a_student_has_the_tokenizer_of_its_teacher(train, write_config, tmp_path):
    train(write_config(), tmp_path / "teacher")
    config = read_config(write_config(distillation={"teacher": str(tmp_path / "teacher")}))
    (tmp_path / "student").mkdir()
    tokenizer = prepare_tokenizer(config, tmp_path / "student", resume=False)
    assert tokenizer.to_str() == load_run(tmp_path / "teacher").tokenizer.to_str()
    assert (tmp_path / "student" / "tokenizer.json").is_file()


def test_a_teacher_of_other_tokens_is_refused(train, write_config, tmp_path):
    train(write_config(), tmp_path / "teacher")
    config = read_config(write_config(distillation={"teacher": str(tmp_path / "teacher")}))
    with pytest.raises(TrainingConfigError, match=r"The teacher's tokenizer is not that of this run\."):
        read_teacher(config, train_tokenizer(["something else"], 280))


def test_resuming_with_another_configuration_is_refused(train, write_config, tmp_path):
    train(write_config(), tmp_path / "run")
    checkpoint = tmp_path / "run" / CHECKPOINT
    check_same_config(checkpoint, read_config(write_config(run={"threads": 2})))
    for changed in ({"optimizer": {"beta1": 0.8}}, {"run": {"seed": 1}}):
        with pytest.raises(CheckpointError) as caught:
            check_same_config(checkpoint, read_config(write_config(**changed)))
        assert caught.value.cause == f"{checkpoint} was trained with another configuration."


@pytest.mark.parametrize("num_bytes", [0, 100, 50_000])
def test_a_damaged_checkpoint_is_refused(train, write_config, tmp_path, num_bytes):
    train(write_config(), tmp_path / "run")
    checkpoint = tmp_path / "run" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:num_bytes])
    with pytest.raises(CheckpointError, match="is not a checkpoint of this version: "):
        load_run(tmp_path / "run")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    safetensors_torch.save_file({"x": torch.zeros(1)}, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="is not a checkpoint of this version: "):
        load_run(tmp_path)


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        load_run(tmp_path)
    assert caught.value.cause == f"There is no checkpoint at {tmp_path / CHECKPOINT}."


def test_cuda_without_a_device_is_refused(tokenizer, write_config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingConfigError) as caught:
        Trainer(read_config(write_config(run={"device": "cuda"})), tokenizer, tmp_path)
    assert caught.value.cause == "`run.device` is 'cuda', and PyTorch finds no CUDA device."


def test_compiling_without_a_compiler_is_refused(tokenizer, write_config, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(TrainingConfigError) as caught:
        Trainer(read_config(write_config(run={"compile": True})), tokenizer, tmp_path)
    assert caught.value.cause == "`run.compile` is true, and there is no C++ compiler."
