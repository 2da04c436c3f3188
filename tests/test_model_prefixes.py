"""What a model does not compute twice, and what it says of that, on a small random model with the reference backend."""

import pytest

import bonsai_edge
from bonsai_edge.errors import ContextOverflowError, KVCacheFullError, UnsupportedModelError
from bonsai_edge.generation import GenerationResult, Message
from gguf_files import write_random_model

CONTEXT = 256
SYSTEM = Message("system", "You are the robot. " * 3)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")


@pytest.fixture
def model(path):
    with bonsai_edge.load(path, backend="reference", context=CONTEXT) as loaded:
        yield loaded


def conversation(question):
    return [SYSTEM, Message("user", question)]


def always(model, text):
    """Return options that make the model say the one token of `text` for ever."""
    (token_id,) = model.tokenizer.encode(text)
    return {"logit_bias": {token_id: 1e6}, "temperature": 0}


def test_the_result_tells_how_much_of_the_prompt_was_cached(model):
    first = model.generate_text("a" * 100, max_tokens=2, temperature=0)
    second = model.generate_text("a" * 99 + "b", max_tokens=2, temperature=0)
    assert (first.usage.cached_tokens, first.usage.prompt_tokens) == (0, 100)
    assert (second.usage.cached_tokens, second.usage.prompt_tokens) == (99, 100)
    assert second.timings.prefill_tokens_per_s == pytest.approx(1 / second.timings.prefill_s)


def test_the_next_turn_of_a_conversation_computes_only_what_is_new(model):
    answer = model.generate_text("a" * 40, max_tokens=20, **always(model, "b"))
    next_turn = model.generate_text("a" * 40 + answer.text + "c", max_tokens=1)
    assert (next_turn.usage.prompt_tokens, next_turn.usage.cached_tokens) == (61, 59)  # the last "b" was never run


def test_a_cancelled_generation_leaves_what_it_has_computed(model):
    events = model.generate("a" * 64, max_tokens=50, **always(model, "b"))
    next(events)
    events.close()
    assert model.generate_text("a" * 64, max_tokens=1).usage.cached_tokens == 63


@pytest.mark.parametrize("prefix", [[SYSTEM], conversation("stop")], ids=["system", "turns"])
def test_a_pinned_chat_is_what_later_chats_begin_with(model, prefix):
    num_tokens = model.pin("robot", prefix)
    assert model.pins == {"robot": num_tokens}
    whole = [*prefix, Message("user", "go home")]
    assert model.encode_prompt(prefix, add_generation_prompt=False) == model.encode_prompt(whole)[:num_tokens]
    assert model.generate_text(whole, max_tokens=1).usage.cached_tokens == num_tokens
    whole_pages = num_tokens // 32 * 32
    model.generate_text("a" * (CONTEXT - whole_pages - 1), max_tokens=1)  # needs every other page
    assert model.generate_text(whole, max_tokens=1).usage.cached_tokens == whole_pages
    model.unpin("robot")
    assert model.pins == {}


def test_a_pinned_text_is_what_later_texts_begin_with(model):
    assert model.pin("story", "a" * 50) == 50
    assert model.generate_text("a" * 50 + "b", max_tokens=1).usage.cached_tokens == 50


def test_what_is_pinned_leaves_less_for_generations(model):
    model.pin("long", "a" * 200)
    with pytest.raises(KVCacheFullError) as caught:
        model.generate_text("b" * 64, max_tokens=2)
    assert caught.value.cause == (
        "66 tokens need 3 KV pages and 2 of 8 are free, because other generations or pinned prefixes hold the rest."
    )
    assert model.generate_text("a" * 200, max_tokens=56).usage.cached_tokens == 199


def test_a_prefix_that_no_prompt_could_follow_is_refused_with_numbers(model):
    with pytest.raises(ContextOverflowError) as caught:
        model.pin("long", "a" * CONTEXT)
    assert str(caught.value) == (
        "The prefix has 256 tokens and the context holds 256, prompt and answer included. "
        "Shorten the prefix, or load the model with a larger context."
    )


def test_messages_cannot_be_pinned_without_a_template(tmp_path):
    plain = write_random_model(tmp_path / "plain.gguf", extra_metadata={"tokenizer.chat_template": None})
    with bonsai_edge.load(plain, backend="reference", context=CONTEXT) as model, pytest.raises(UnsupportedModelError):
        model.pin("robot", [SYSTEM])


def test_generations_side_by_side_share_what_they_begin_with(model):
    prompts = ["a" * 96 + end for end in "bcdef"]
    alone = [model.generate_text(prompt, max_tokens=8, temperature=1, seed=3).token_ids for prompt in prompts]
    running = [model.generate(prompt, max_tokens=8, temperature=1, seed=3) for prompt in prompts]
    events = [next(events) for events in running]  # five times 105 tokens in a cache of 256
    assert model.engine.num_free_pages == 0
    assert len(events) == 5
    results = [list(events)[-1] for events in running]
    assert [result.token_ids for result in results if isinstance(result, GenerationResult)] == alone
