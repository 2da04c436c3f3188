"""Sessions of a real model: what is restored continues as if it had never stopped, and nothing else is ever used."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import bonsai_edge
from bonsai_edge.errors import InvalidRequestError, SessionForeignError, SessionNotCachedError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.generation import GenerationResult, Message
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.model import Model
from bonsai_edge.sessions.fingerprint import Fingerprint, model_digest, tokenizer_digest
from bonsai_edge.sessions.store import SESSIONS_VARIABLE, SessionStore
from gguf_files import Vocabulary, small_vocabulary, write_random_model

CONTEXT = 512
COMMANDS = [
    "pick up the red cube and bring it to the charging dock",
    "go to the kitchen and open the fridge",
    "look for my keys behind the sofa, then come back",
    "follow me to the door",
]


def load(path: str | Path = "seedling", *, backend: str = "cpu", context: int = CONTEXT, kv: str = "f16") -> Model:
    return bonsai_edge.load(path, backend=backend, context=context, threads=1, kv=kv)


def answer(model: Model, messages: list[Message]) -> GenerationResult:
    return model.generate_text(messages, temperature=0, max_tokens=48)


def turns(model: Model, messages: list[Message], texts: list[str]) -> tuple[list[Message], list[list[int]]]:
    """Say the texts one after the other; return the conversation and the token ids of each answer."""
    answers = []
    for text in texts:
        messages = [*messages, Message("user", text)]
        result = answer(model, messages)
        answers.append(result.token_ids)
        messages = [*messages, Message("assistant", result.text)]
    return messages, answers


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SESSIONS_VARIABLE, str(tmp_path / "sessions"))
    return tmp_path / "sessions"


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[list[Message], list[list[int]]]:
    """The whole conversation with a model that was never stopped."""
    with load() as model:
        return turns(model, [], COMMANDS)


@pytest.fixture
def saved(uninterrupted: tuple[list[Message], list[list[int]]], directory: Path) -> Path:
    """The session `dock` after two turns, saved by a model that is gone."""
    with load() as model:
        messages, _ = turns(model, [], COMMANDS[:2])
        model.save_session("dock", messages)
    return directory / "dock.session"


@pytest.fixture
def restoring() -> Iterator[Callable[..., Model]]:
    """Return a function that loads a model, which is closed after the test."""
    models = []

    def load_one(*args: object, **keywords: object) -> Model:
        models.append(load(*args, **keywords))  # type: ignore[arg-type]
        return models[-1]

    yield load_one
    for model in models:
        model.close()


def test_a_restored_conversation_continues_as_if_it_had_never_stopped(
    uninterrupted: tuple[list[Message], list[list[int]]], saved: Path, restoring: Callable[..., Model]
) -> None:
    model = restoring()
    restored = model.restore_session("dock")
    assert restored.reason is None
    assert list(restored.messages) == uninterrupted[0][:4]
    messages, answers = turns(model, list(restored.messages), COMMANDS[2:])
    assert answers == uninterrupted[1][2:]
    assert messages == uninterrupted[0]


@pytest.mark.parametrize("kv", ["q8", "q4"])
def test_quantized_pages_continue_as_if_they_had_never_left_the_cache(kv: str, restoring: Callable[..., Model]) -> None:
    first, second = restoring(kv=kv), restoring(kv=kv)
    messages, _ = turns(first, [], COMMANDS[:2])
    first.save_session("dock", messages)
    _, expected = turns(first, messages, COMMANDS[2:])
    restored = second.restore_session("dock")
    assert restored.tokens > 2 * PAGE_TOKENS
    assert turns(second, list(restored.messages), COMMANDS[2:])[1] == expected


def test_what_was_restored_is_not_computed_again(saved: Path, restoring: Callable[..., Model]) -> None:
    model = restoring()
    restored = model.restore_session("dock")
    (entry,) = SessionStore().entries()
    assert entry.header is not None
    assert restored.tokens == entry.header.num_tokens
    result = answer(model, [*restored.messages, Message("user", COMMANDS[2])])
    assert restored.tokens - 4 <= result.usage.cached_tokens <= restored.tokens
    assert restored.tokens > 2 * PAGE_TOKENS


def test_any_text_restored_at_any_token_continues_identically(restoring: Callable[..., Model]) -> None:
    """Lengths around the ends of pages, with the pages' partial last ones."""
    first, second = restoring(), restoring()
    text_ids = first.encode_prompt(" ".join(COMMANDS))
    for length in (1, 2, PAGE_TOKENS - 1, PAGE_TOKENS, PAGE_TOKENS + 1, len(text_ids) - 1):
        prompt = first.tokenizer.decode(text_ids[:length])
        prompt_ids = first.encode_prompt(prompt)
        expected = first.generate_text(prompt, temperature=0, max_tokens=40)
        first.save_session("text", [*prompt_ids, *expected.token_ids])
        restored = second.restore_session("text")
        is_last_computed = expected.finish_reason == "stop"
        assert restored.tokens == len(prompt_ids) + len(expected.token_ids) - (not is_last_computed)
        again = second.generate_text(prompt, temperature=0, max_tokens=40)
        assert again.token_ids == expected.token_ids
        assert again.usage.cached_tokens == len(prompt_ids) - 1


def test_flipped_bits_and_lost_ends_never_change_an_answer(
    uninterrupted: tuple[list[Message], list[list[int]]], saved: Path, restoring: Callable[..., Model]
) -> None:
    """In the region of every record; the file has some 400 kB, so places are drawn."""
    whole = saved.read_bytes()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    places = [*range(0, 700, 61), *(rng.randrange(len(whole)) for _ in range(8)), len(whole) - 1]
    tokens = set()
    for place in places:
        for is_cut in (False, True):
            damaged = bytearray(whole[:place] if is_cut else whole)
            if not is_cut:
                damaged[place] ^= 1 << rng.randrange(8)
            saved.write_bytes(damaged)
            model = restoring()
            restored = model.restore_session("dock")
            assert restored.miss is not None
            assert restored.miss.kind == "damaged"
            messages = list(restored.messages) or uninterrupted[0][:4]
            assert answer(model, [*messages, Message("user", COMMANDS[2])]).token_ids == uninterrupted[1][2]
            model.close()
            tokens.add(restored.tokens)
    assert 0 in tokens
    assert len(tokens) > 1, "the beginning before the damage is used"


def test_a_miss_is_logged_with_its_reason(
    saved: Path, restoring: Callable[..., Model], caplog: pytest.LogCaptureFixture
) -> None:
    saved.write_bytes(b"junk")
    restoring().restore_session("dock")
    assert "Session 'dock', 0 tokens used: it ends at byte 4, within its content." in caplog.text


def test_a_session_that_is_not_there_is_a_miss(restoring: Callable[..., Model]) -> None:
    restored = restoring().restore_session("dock")
    assert (restored.tokens, restored.messages, restored.reason) == (0, (), "there is none of that name")


class TestAnother:
    def restored(self, model: Model, kind: str) -> str:
        found = model.restore_session("dock")
        assert found.tokens == 0
        assert found.miss is not None
        assert found.miss.kind == kind
        assert bool(found.messages) == (kind == "stale")
        return found.miss.reason

    def test_model_is_foreign_and_does_not_lose_the_session(
        self, saved: Path, restoring: Callable[..., Model], tmp_path: Path
    ) -> None:
        before = saved.read_bytes()
        other = restoring(write_random_model(tmp_path / "other.gguf"))
        assert self.restored(other, "foreign") == "it belongs to another model, 'seedling'"
        other.generate_text("hello", max_tokens=2)
        with pytest.raises(SessionForeignError):
            other.save_session("dock", "hello")
        assert saved.read_bytes() == before

    def test_model_of_the_same_shape_is_foreign(self, restoring: Callable[..., Model], tmp_path: Path) -> None:
        """Trained on for a little: one weight of a million has another sign."""
        path = write_random_model(tmp_path / "model.gguf")
        changed = bytearray(path.read_bytes())
        changed[len(changed) // 2] ^= 1
        (tmp_path / "changed.gguf").write_bytes(changed)
        first, second = restoring(path), restoring(tmp_path / "changed.gguf")
        first.generate_text("hello", max_tokens=2)
        first.save_session("dock", "hello")
        assert self.restored(second, "foreign") == "it belongs to another model, 'model'"

    def test_tokenizer_is_foreign(self, restoring: Callable[..., Model], tmp_path: Path) -> None:
        vocabulary = small_vocabulary()
        swapped = [vocabulary.tokens[1], vocabulary.tokens[0], *vocabulary.tokens[2:]]
        other = Vocabulary(swapped, vocabulary.token_types, vocabulary.merges, vocabulary.eos_id, vocabulary.pad_id)
        first = restoring(write_random_model(tmp_path / "model.gguf"))
        second = restoring(write_random_model(tmp_path / "other.gguf", vocabulary=other))
        first.generate_text("hello", max_tokens=2)
        first.save_session("dock", "hello")
        assert self.restored(second, "foreign") == "it was made with another tokenizer, 'model'"

    def test_file_name_of_the_same_model_is_the_same(self, restoring: Callable[..., Model], tmp_path: Path) -> None:
        unnamed = {"general.name": None}
        first = restoring(write_random_model(tmp_path / "model.gguf", extra_metadata=unnamed))
        (tmp_path / "moved.gguf").write_bytes((tmp_path / "model.gguf").read_bytes())
        first.generate_text("hello world", max_tokens=2)
        first.save_session("dock", "hello world")
        assert restoring(tmp_path / "moved.gguf").restore_session("dock").reason is None

    def test_backend_keeps_the_messages_only(self, saved: Path, restoring: Callable[..., Model]) -> None:
        reason = self.restored(restoring(backend="reference"), "stale")
        assert reason == "its pages were computed by the backend 'cpu', this one is 'reference'"

    def test_kv_type_keeps_the_messages_only(self, saved: Path, restoring: Callable[..., Model]) -> None:
        reason = self.restored(restoring(kv="q8"), "stale")
        assert reason == "its pages have the KV type f16, this cache has q8"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (
                {"page_layout": "avx"},
                "its pages were computed by another version or instruction set of the backend 'cpu'",
            ),
            (
                {"page_tokens": 16, "page_bytes": 7},
                "its pages have 32 tokens in 98304 bytes, this cache has 16 in 7",
            ),
        ],
    )
    def test_kind_of_pages_keeps_the_messages_only(
        self, saved: Path, restoring: Callable[..., Model], change: dict[str, object], reason: str
    ) -> None:
        model = restoring()
        model.fingerprint = msgspec.structs.replace(model.fingerprint, **change)
        assert self.restored(model, "stale") == reason


def test_a_cache_with_less_room_takes_the_beginning(
    uninterrupted: tuple[list[Message], list[list[int]]], saved: Path, restoring: Callable[..., Model]
) -> None:
    small = restoring(context=2 * PAGE_TOKENS)
    restored = small.restore_session("dock")
    assert restored.tokens == 2 * PAGE_TOKENS
    assert restored.reason is not None
    assert restored.reason.startswith("the KV cache has room for 64 of its ")


def test_restoring_beside_a_running_generation_changes_neither(
    uninterrupted: tuple[list[Message], list[list[int]]], saved: Path, restoring: Callable[..., Model]
) -> None:
    model = restoring()
    running = model.generate([Message("user", COMMANDS[3])], temperature=0, max_tokens=48)
    next(running)
    restored = model.restore_session("dock")
    next(running)
    _, answers = turns(model, list(restored.messages), COMMANDS[2:])
    assert answers == uninterrupted[1][2:]
    (*_, result) = running
    alone = answer(restoring(), [Message("user", COMMANDS[3])])
    assert isinstance(result, GenerationResult)
    assert result.token_ids == alone.token_ids


def test_what_is_not_cached_is_not_saved_silently(restoring: Callable[..., Model], directory: Path) -> None:
    with pytest.raises(SessionNotCachedError) as caught:
        restoring().save_session("dock", [5, 6, 7])
    assert caught.value.cause == "The KV cache holds none of the 3 tokens of the session 'dock'."
    assert not (directory / "dock.session").exists()


def test_messages_are_kept_though_nothing_of_them_is_cached(
    restoring: Callable[..., Model], uninterrupted: tuple[list[Message], list[list[int]]]
) -> None:
    messages = uninterrupted[0][:4]
    saved = restoring().save_session("dock", messages)
    assert saved.tokens == 0
    restored = restoring().restore_session("dock")
    assert (restored.tokens, restored.messages, restored.miss) == (0, tuple(messages), None)


def test_messages_that_are_none_are_refused(restoring: Callable[..., Model]) -> None:
    with pytest.raises(InvalidRequestError, match=r"^The messages are not valid: "):
        restoring().save_session("dock", [{"role": "robot", "content": "x"}])


def test_the_session_may_lie_elsewhere(restoring: Callable[..., Model], tmp_path: Path) -> None:
    sessions = restoring().sessions(SessionStore(tmp_path / "card"))
    assert sessions.restore("dock").reason == "there is none of that name"
    assert sessions.store.directory == tmp_path / "card"


def test_a_new_process_continues_from_the_command_line(
    uninterrupted: tuple[list[Message], list[list[int]]], directory: Path
) -> None:
    command = [sys.executable, "-m", "bonsai_edge", "generate", "--session", "dock", "--backend", "cpu", "-t", "1"]
    options = ["--context", str(CONTEXT), "--temperature", "0", "--max-tokens", "48", "--json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for number, text in enumerate(COMMANDS[:3]):
        run = subprocess.run(
            [*command, *options, text], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        result = json.loads(run.stdout)
        assert result["token_ids"] == uninterrupted[1][number]
        assert (result["usage"]["cached_tokens"] > PAGE_TOKENS) == (number > 0)


def test_digests_tell_apart_what_matters_and_nothing_else(tmp_path: Path) -> None:
    same = [open_checkpoint(write_random_model(tmp_path / f"{name}.gguf")) for name in "ab"]
    other_weights = open_checkpoint(write_random_model(tmp_path / "c.gguf", seed=1))
    other_rope = open_checkpoint(write_random_model(tmp_path / "d.gguf", extra_metadata={"qwen3.rope.freq_base": 1e5}))
    other_template = open_checkpoint(
        write_random_model(tmp_path / "e.gguf", extra_metadata={"tokenizer.chat_template": "{{ messages }}"})
    )
    digests = [model_digest(checkpoint.spec, checkpoint.tensors) for checkpoint in (*same, other_weights, other_rope)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert tokenizer_digest(same[0].metadata) == tokenizer_digest(other_template.metadata)


def test_fingerprints_that_agree_have_no_difference() -> None:
    one = Fingerprint("m", "t", "cpu", "1", "f16", 32, 100)
    assert one.foreign_to(one) is None
    assert one.stale_to(one) is None
