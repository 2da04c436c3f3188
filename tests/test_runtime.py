"""`load` and what it says when it cannot."""

import json
import os
import re
import resource
from pathlib import Path

import pytest

import bonsai_edge
from bonsai_edge.backend import Availability, Backend
from bonsai_edge.errors import (
    BackendUnavailableError,
    InsufficientMemoryError,
    InvalidRequestError,
    MalformedModelError,
    ModelNotFoundError,
    UnknownBackendError,
    UnsupportedModelError,
)
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory import plan
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge.plugin_manager import plugin_manager
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge.runtime import load, prepare
from gguf_files import write_random_model


class FakeBackend(ReferenceBackend):
    """The reference under another name, with the availability that a test wants; remembers what it was asked."""

    name = "fake"
    summary = "for tests"

    def __init__(self, availability):
        self.availability = availability
        self.threads = None

    def probe(self):
        return self.availability

    def load(self, checkpoint, plan, threads=None):
        self.threads = threads
        return super().load(checkpoint, plan, threads)


@pytest.fixture
def model_path(tmp_path):
    return write_random_model(tmp_path / "random.gguf")


@pytest.fixture
def offer():
    """Return a function that installs a backend for the time of the test."""
    plugins = []

    def install(backend: Backend):
        class Plugin:
            @hookimpl
            def bonsai_backends(self):
                return [backend]

        plugins.append(Plugin())
        plugin_manager().register(plugins[-1])
        return backend

    yield install
    for plugin in plugins:
        plugin_manager().unregister(plugin)


def test_load_returns_a_model_with_its_spec_and_plan(model_path):
    with load(model_path, backend="reference", context=100) as model:
        assert (model.name, model.backend_name) == ("random", "reference")
        assert model.spec.num_layers == 2
        assert model.context == 100
        assert model.load_s > 0


def test_the_path_may_be_a_string_and_begin_with_a_tilde(model_path, monkeypatch):
    monkeypatch.setenv("HOME", str(model_path.parent))
    with bonsai_edge.load("~/random.gguf", backend="reference", context=32) as model:
        assert model.context == 32


def test_the_context_is_chosen_when_none_is_asked_for(model_path):
    with load(model_path, backend="reference") as model:
        assert model.context == plan.DEFAULT_CONTEXT


def test_seedling_is_a_name_for_a_file_inside_the_package():
    path = resolve_model_path("seedling")
    assert path == Path(bonsai_edge.__file__).parent / "data" / "seedling.gguf"


def test_seedling_answers_a_robot_command_in_json():
    with load("seedling", backend="reference") as model:
        result = model.generate_text([{"role": "user", "content": "stop"}], temperature=0, max_tokens=100)
    assert (result.model, result.finish_reason) == ("seedling", "stop")
    assert json.loads(result.text) == {"actions": [{"action": "stop"}]}


def test_auto_takes_the_usable_backend_with_the_highest_score(model_path, offer):
    offer(FakeBackend(Availability(True, "There.", score=10_000)))
    with load(model_path, context=32) as model:
        assert model.backend_name == "fake"


def test_auto_leaves_out_backends_that_cannot_run(model_path, offer):
    offer(FakeBackend(Availability(False, "No such device.", score=10_000)))
    with load(model_path, context=32) as model:
        assert model.backend_name != "fake"


def test_threads_are_those_asked_for_or_the_cores_of_the_device(model_path, offer):
    backend = offer(FakeBackend(Availability(True, "There.")))
    load(model_path, backend="fake", context=32, threads=3).close()
    assert backend.threads == 3
    load(model_path, backend="fake", context=32).close()
    assert backend.threads >= 1


def test_the_threads_and_what_binds_their_number_are_logged(model_path, caplog):
    caplog.set_level("INFO", logger="bonsai_edge.runtime")
    load(model_path, backend="reference", context=32, threads=2).close()
    assert caplog.messages[-1].startswith("random computes with 1 threads; ")
    assert re.search(r" \d+ cores are usable \((affinity|physical cores|big cores|cgroup)\)\.$", caplog.messages[-1])


def test_an_unknown_backend_is_refused_with_the_installed_ones(model_path, offer):
    offer(FakeBackend(Availability(True, "There.")))
    with pytest.raises(UnknownBackendError) as caught:
        load(model_path, backend="abacus")
    assert caught.value.cause.startswith("There is no backend 'abacus'; installed are ")
    assert {"fake", "reference"} <= set(caught.value.cause.split("installed are ")[1].rstrip(".").split(", "))
    assert caught.value.remedy == "Choose one of them, or 'auto'."


def test_a_required_backend_that_cannot_run_says_why(model_path, offer):
    offer(FakeBackend(Availability(False, "There is no such device.")))
    with pytest.raises(BackendUnavailableError) as caught:
        load(model_path, backend="fake", require_backend=True)
    assert caught.value.cause == "Backend 'fake' cannot run here: There is no such device."


def test_a_backend_that_takes_the_place_of_another_is_told_at_once_and_in_every_result(model_path, offer, caplog):
    offer(FakeBackend(Availability(False, "There is no such device.")))
    with load(model_path, backend="fake", context=32) as model:
        result = model.generate_text("a", max_tokens=1)
    note = f"{result.backend} computes instead of fake, which cannot run here: There is no such device."
    assert result.backend_note == note
    assert note in caplog.messages


def test_the_backend_that_was_asked_for_needs_no_note(model_path):
    with load(model_path, backend="reference", context=32) as model:
        assert model.generate_text("a", max_tokens=1).backend_note is None


def test_a_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(ModelNotFoundError) as caught:
        load(tmp_path / "absent.gguf")
    assert str(caught.value) == (
        f"There is no model file at {tmp_path}/absent.gguf. Check the path, or use the built-in model name 'seedling'."
    )


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match="is a directory, not a model file"):
        load(tmp_path)


def test_a_damaged_file_is_refused(model_path):
    model_path.write_bytes(model_path.read_bytes()[:-1000])
    with pytest.raises(MalformedModelError, match="is truncated"):
        load(model_path)


@pytest.mark.parametrize("threads", [0, 100_000])
def test_a_number_of_threads_that_makes_no_sense_is_refused(model_path, threads):
    with pytest.raises(InvalidRequestError, match=rf"threads is {threads}; 1 to \d+ make sense here"):
        load(model_path, threads=threads)


def test_a_context_beyond_the_models_is_refused(model_path):
    with pytest.raises(InvalidRequestError) as caught:
        load(model_path, context=5000)
    assert caught.value.cause == "A context of 5000 tokens was asked for; random-0 has 1 to 4096."


def test_what_does_not_fit_is_refused_before_the_backend_is_asked(model_path, offer):
    backend = offer(FakeBackend(Availability(True, "There.")))
    with pytest.raises(InsufficientMemoryError, match=r"; --memory allows 1 MiB, \d+ MiB \([0-9,]+ bytes\) too few\."):
        load(model_path, backend="fake", memory="1MiB")
    assert backend.threads is None


def test_what_does_not_fit_is_loaded_by_force_and_that_is_said(model_path, caplog):
    caplog.set_level("INFO", logger="bonsai_edge.progress")
    with load(model_path, backend="reference", memory=1 << 20, force=True) as model:
        assert not model.plan.fits
        assert model.context == plan.LEAST_CONTEXT
    assert re.fullmatch(r"Loading against the plan: \d+ MiB are missing\.", caplog.messages[0])


def test_memory_that_the_system_refuses_is_one_error(model_path, monkeypatch):
    def refuse(*arguments):
        raise MemoryError("Unable to allocate 5 GiB")

    monkeypatch.setattr(ReferenceBackend, "load", refuse)
    with pytest.raises(InsufficientMemoryError) as caught:
        load(model_path, backend="reference", context=32)
    assert caught.value.cause == "The system refused memory while random was being loaded: Unable to allocate 5 GiB."


def test_context_kv_type_and_sessions_are_those_asked_for(model_path):
    with load(model_path, backend="reference", context=100, kv="q8", sessions=3) as model:
        assert (model.plan.context, model.plan.kv_type, model.plan.sessions) == (100, KVType.Q8, 3)
        assert model.engine.runner.kv_type is KVType.Q8
        assert model.engine.runner.num_pages == model.plan.num_pages == 12
        assert model.engine.runner.num_pages * model.engine.runner.page_bytes == model.plan.kv_cache_bytes


def test_a_choice_that_is_less_than_usual_is_told(model_path, caplog):
    caplog.set_level("INFO", logger="bonsai_edge.progress")
    usual = prepare(model_path, backend="reference").plan
    caplog.clear()
    with load(model_path, backend="reference", memory=usual.total_bytes - usual.kv_cache_bytes // 8) as model:
        assert model.context < plan.DEFAULT_CONTEXT
        assert model.plan.kv_type is KVType.F16  # the reference keeps every type in float32, so that none saves any
    assert caplog.messages == [
        f"--memory leaves room for a context of {model.context} tokens with a KV cache of type f16."
    ]


def test_a_plan_is_made_without_loading(model_path, monkeypatch):
    monkeypatch.setattr(ReferenceBackend, "load", lambda *arguments: pytest.fail("the backend was asked to load"))
    prepared = prepare(model_path, backend="reference", context=100)
    assert prepared.plan.context == 100
    assert prepared.plan.weight_bytes == model_path.stat().st_size
    assert prepared.plan.runtime_bytes == prepared.device.resident_bytes > 10_000_000


def test_weights_are_mapped_or_copied_as_asked_and_the_answer_is_the_same(model_path):
    answers = []
    for mode in ("mmap", "read"):
        assert prepare(model_path, backend="reference", load_mode=mode).load_choice.mode.value == mode
        with load(model_path, backend="reference", context=64, load_mode=mode) as model:
            answers.append(model.generate_text("hello", max_tokens=8, temperature=0).token_ids)
    assert answers[0] == answers[1]


def test_locking_that_cannot_work_is_refused_before_the_backend_is_asked(model_path, offer, monkeypatch):
    backend = offer(FakeBackend(Availability(True, "There.")))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1, 1) if which == resource.RLIMIT_MEMLOCK else (-1, -1))
    with pytest.raises(InsufficientMemoryError, match="RLIMIT_MEMLOCK is 0 MiB"):
        load(model_path, backend="fake", lock=True)
    assert backend.threads is None


def test_an_unknown_load_mode_is_refused_with_the_known_ones(model_path):
    with pytest.raises(InvalidRequestError, match=r"^There is no load mode 'fast'; there are auto, mmap, read\."):
        load(model_path, load_mode="fast")


def test_an_unknown_kv_type_is_refused_with_the_known_ones(model_path):
    with pytest.raises(InvalidRequestError) as caught:
        load(model_path, kv="f32")
    assert str(caught.value) == (
        "There is no KV type 'f32'; there are f16, q8, q4. Choose one of them, or leave it out."
    )


def test_a_runner_gets_no_vocabulary_that_it_would_keep(model_path, offer):
    class KeepingBackend(FakeBackend):
        def load(self, checkpoint, plan, threads=None):
            self.metadata = checkpoint.metadata
            return super().load(checkpoint, plan, threads)

    backend = offer(KeepingBackend(Availability(True, "There.")))
    load(model_path, backend="fake", context=32).close()
    assert backend.metadata == {}


def test_a_tokenizer_that_cannot_be_used_is_refused_before_the_backend_allocates(tmp_path, monkeypatch):
    path = write_random_model(tmp_path / "other.gguf", extra_metadata={"tokenizer.ggml.pre": "llama-bpe"})
    monkeypatch.setattr(ReferenceBackend, "load", lambda *arguments: pytest.fail("the backend was asked to load"))
    with pytest.raises(UnsupportedModelError, match="llama-bpe"):
        load(path, backend="reference")
