"""`on_overflow="shift"` on small random models, from the arithmetic to the server."""

import math
import uuid

import numpy as np
import pytest

import bonsai_edge
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import ContextOverflowError, RemoteError, SessionNotCachedError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.generation import DEFAULT_MAX_TOKENS, Dropped, GenerationResult, Message, TextChunk
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend, ReferenceRunner, apply_rope, softmax
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.server import Server
from bonsai_edge.sessions.store import SessionStore
from bonsai_edge_cpu.plugin import CpuBackend
from gguf_files import write_random_model

CONTEXT = 128
TEXT = np.random.default_rng(0).integers(0, 250, 3 * CONTEXT).tolist()
DEADLINE_S = 60.0


class KeysWithoutPosition(ReferenceRunner):
    """Keeps keys as they are before RoPE and turns them when they are read, by where they then stand in the cache."""

    def rotate_keys(self, page, num_positions):
        """Do nothing: a key has the position of its place."""

    def _attention(self, layer, x, batch, cos_sin):
        spec, block = self.spec, f"blk.{layer}."
        heads = {
            name: self._project(x, f"{block}attn_{name}").reshape(len(x), -1, spec.head_dim) for name in ("q", "k", "v")
        }
        q = apply_rope(self._norm(heads["q"], block + "attn_q_norm"), *cos_sin)
        pages = batch.page_tables[0, batch.positions // PAGE_TOKENS]
        self._keys[layer, pages, batch.positions % PAGE_TOKENS] = self._norm(heads["k"], block + "attn_k_norm")
        self._values[layer, pages, batch.positions % PAGE_TOKENS] = heads["v"]
        length = int(batch.positions.max()) + 1
        k, v = (
            cache[layer, batch.page_tables[0]].reshape(-1, spec.num_kv_heads, spec.head_dim)[:length]
            for cache in (self._keys, self._values)
        )
        k = apply_rope(k, *self._rope.cos_sin(np.arange(length)))
        k, v = (np.repeat(each, spec.num_heads // spec.num_kv_heads, axis=1) for each in (k, v))
        scores = np.einsum("rhd,lhd->hrl", q, k) / np.sqrt(spec.head_dim)
        scores = np.where(np.arange(length) <= batch.positions[:, None], scores, -np.inf).astype(np.float32)
        out = np.einsum("hrl,lhd->rhd", softmax(scores), v)
        return self._project(out.reshape(len(x), -1), block + "attn_output")


def kl_divergence(expected, found):
    """Return the divergence of each row of logits, (num_rows,)."""
    p, q = (np.exp(x - x.max(axis=-1, keepdims=True)) for x in (expected.astype(np.float64), found.astype(np.float64)))
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    return (p * np.log(p / q)).sum(axis=-1)


def logits_of_endless_text(runner):
    """Return the logits after each token of a text that is shifted whenever CONTEXT tokens of it are cached."""
    logits = []
    with Engine(runner).sequence(CONTEXT) as sequence:
        for token_id in TEXT:
            if sequence.length == CONTEXT:
                sequence.shift()
            logits.append(sequence.decode(token_id))
    runner.close()
    return np.array(logits)


@pytest.fixture(scope="module", params=[True, False], ids=["yarn", "plain"])
def checkpoint_and_logits(request, tmp_path_factory):
    """A model, and what the oracle says of TEXT: it turns keys from before RoPE, so no error can accumulate."""
    checkpoint = open_checkpoint(
        write_random_model(tmp_path_factory.mktemp("endless") / "random.gguf", yarn=request.param)
    )
    return checkpoint, logits_of_endless_text(KeysWithoutPosition(checkpoint, CONTEXT // PAGE_TOKENS))


@pytest.mark.parametrize(
    ("backend", "kv_type", "most_divergence"),
    [
        (ReferenceBackend, KVType.F16, 1e-10),  # float32 there
        (ReferenceBackend, KVType.Q8, 5e-4),
        (ReferenceBackend, KVType.Q4, 0.05),
        (CpuBackend, KVType.F16, 1e-3),  # whose activations are int8
        (CpuBackend, KVType.Q8, 2e-3),
        (CpuBackend, KVType.Q4, 0.05),
    ],
)
def test_logits_are_those_of_keys_that_are_computed_at_the_new_positions(
    checkpoint_and_logits, backend, kv_type, most_divergence
):
    checkpoint, expected = checkpoint_and_logits
    plan = MemoryPlan(context=CONTEXT, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0, kv_type=kv_type)
    found = logits_of_endless_text(backend().load(checkpoint, plan, 1))
    assert np.isfinite(found).all()
    divergence = kl_divergence(expected, found)
    assert divergence.mean() < most_divergence
    before, after = divergence[:CONTEXT].mean(), divergence[CONTEXT:].mean()
    assert after < 2 * before + 1e-10  # shifting adds no error that grows


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


@pytest.fixture(scope="module")
def model(path):
    with bonsai_edge.load(path, context=CONTEXT) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def endless(model):
    """Options under which only max_tokens, a stop string or a cancellation ends an answer."""
    no_end = dict.fromkeys(model.tokenizer.stop_ids, -math.inf)
    return {"on_overflow": "shift", "temperature": 1, "seed": 3, "logit_bias": no_end}


def test_an_answer_of_many_contexts_ends_at_max_tokens_and_says_what_it_forgot(model, endless):
    *chunks, result = model.generate("hello world", max_tokens=10 * CONTEXT, **endless)
    assert (result.finish_reason, result.context_full) == ("length", False)
    assert len(result.token_ids) == result.usage.completion_tokens == 10 * CONTEXT
    assert "".join(chunk.text for chunk in chunks) == result.text
    num_shifts = 9 * CONTEXT // 32 + 1  # a page at a time of a context of four
    assert result.dropped == Dropped(policy="shift", tokens=32 * num_shifts, first_position=32, shifts=num_shifts)


def test_what_was_shifted_is_saved_as_messages_only_and_the_reason_is_told(model, endless, tmp_path):
    sessions = model.sessions(SessionStore(tmp_path))
    question = Message("user", "hello world")
    result = model.generate_text([question], max_tokens=2 * CONTEXT, **endless)
    messages = (question, Message("assistant", result.text))
    token_ids = model.encode_prompt([question]) + result.token_ids
    with pytest.raises(SessionNotCachedError) as caught:
        sessions.save("ids", token_ids)
    assert str(caught.value) == (
        f"The KV cache holds none of the {len(token_ids)} tokens of the session 'ids': they are more than the context "
        "of 128, and pages that were shifted are no longer those of the text alone. Save the messages of the "
        "conversation, which are computed again, or load the model with a larger context."
    )
    assert sessions.store.entries() == []
    assert sessions.save("talk", messages).tokens == 0
    restored = sessions.restore("talk")
    assert (restored.tokens, restored.messages, restored.miss) == (0, messages, None)


def test_the_same_seed_gives_the_same_endless_answer_whatever_is_cached_and_runs_beside_it(model, path, endless):
    options = {"max_tokens": 4 * CONTEXT, **endless}
    with bonsai_edge.load(path, context=CONTEXT, threads=2) as fresh:
        first = fresh.generate_text("hello the robot" * 5, **options)
    model.generate_text("hello the robot" * 5, max_tokens=1)
    again = model.generate_text("hello the robot" * 5, **options)
    assert again.token_ids == first.token_ids
    assert again.usage.cached_tokens > first.usage.cached_tokens == 0


def test_an_answer_without_max_tokens_is_as_long_as_usual(model, endless):
    result = model.generate_text("hello", **endless)
    assert len(result.token_ids) == DEFAULT_MAX_TOKENS > CONTEXT


def test_what_fits_is_the_same_as_without_the_policy(model, endless):
    fitting = {**endless, "max_tokens": 100}
    shifted = model.generate_text("hello", **fitting)
    refused = model.generate_text("hello", **{**fitting, "on_overflow": "refuse"})
    assert (shifted.token_ids, shifted.dropped) == (refused.token_ids, None)


def test_a_prompt_that_fills_the_context_to_its_last_token_is_answered(model, endless):
    result = model.generate_text("a" * (CONTEXT - 1), max_tokens=50, **endless)
    assert (len(result.token_ids), result.dropped.shifts) == (50, 2)


def test_a_prompt_that_does_not_fit_is_refused_with_its_numbers(model, endless):
    with pytest.raises(ContextOverflowError) as caught:
        model.generate("a" * CONTEXT, max_tokens=500, **endless)
    assert caught.value.details == {"prompt_tokens": 128, "limit": 128, "max_tokens": 1}
    assert "shift cannot shorten the prompt to 127." in caught.value.cause


def test_the_systems_message_stays_and_its_tokens_are_told(model, endless):
    messages = [Message("system", "b" * 30), Message("user", "hello")]
    result = model.generate_text(messages, max_tokens=4 * CONTEXT, **endless)
    assert result.dropped.first_position == 64
    with pytest.raises(ContextOverflowError, match="a context of 128 is too small to be shifted") as caught:
        model.generate([Message("system", "b" * 90), Message("user", "hello")], max_tokens=4 * CONTEXT, **endless)
    assert caught.value.remedy == "Load the model with a context of at least 192, or shorten the system's messages."


def test_a_stop_string_ends_an_endless_answer(model, endless):
    whole = model.generate_text("hello", max_tokens=4 * CONTEXT, **endless)
    stop = next(
        whole.text[start : start + 3]
        for start in range(300, len(whole.text))
        if whole.text.find(whole.text[start : start + 3]) == start
    )
    result = model.generate_text("hello", max_tokens=1 << 20, stop=[stop], **endless)
    assert result.finish_reason == "stop"
    assert result.text == whole.text[: whole.text.index(stop)]
    assert result.dropped.shifts > 0


def test_pages_are_given_back_when_an_endless_answer_is_left(model, endless):
    events = model.generate("hello", max_tokens=1 << 20, **endless)
    for event in events:
        if isinstance(event, TextChunk) and event.index > 2 * CONTEXT:
            break
    events.close()
    assert model.engine.num_free_pages == CONTEXT // PAGE_TOKENS


@pytest.fixture
def client(path, tmp_path):
    endpoint = f"ipc://{tmp_path}/s"
    with (
        Server(lambda: bonsai_edge.load(path, context=CONTEXT), [endpoint]),
        Client(endpoint, timeout_s=DEADLINE_S) as client,
    ):
        yield client


def test_an_endless_answer_over_the_wire_is_cancelled_with_what_was_said(client, endless):
    request_id = uuid.uuid4()
    result = None
    for event in client.generate("hello", request_id=request_id, max_tokens=1 << 20, **endless):
        if isinstance(event, TextChunk) and event.index == 3 * CONTEXT:
            assert client.cancel(request_id)
        if isinstance(event, GenerationResult):
            result = event
    assert result.finish_reason == "cancelled"
    assert len(result.token_ids) > 3 * CONTEXT
    assert result.dropped.policy == "shift"
    assert result.dropped.tokens == 32 * result.dropped.shifts
    assert client.generate_text("hello", max_tokens=1).finish_reason == "length"


def test_a_deadline_ends_an_endless_answer(client, endless):
    with pytest.raises(RemoteError, match="The deadline passed") as caught:
        client.generate_text("hello", deadline_s=0.5, max_tokens=1 << 20, **endless)
    assert caught.value.remote_code == "deadline_exceeded"
