"""A loaded model as users see it, on a small random model with the reference backend."""

from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import get_args

import numpy as np
import pytest

import bonsai_edge
from bonsai_edge.errors import (
    ContextOverflowError,
    InvalidRequestError,
    KVCacheFullError,
    UnsupportedModelError,
)
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, OverflowPolicy, TextChunk
from gguf_files import write_random_model

CONTEXT = 128
ALWAYS = 1e6  # a logit bias that no logit of the random model outweighs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")
    with bonsai_edge.load(path, backend="reference", context=CONTEXT) as loaded:
        yield loaded


def always(model, text):
    """Return options that make the model say the one token of `text` for ever."""
    (token_id,) = model.tokenizer.encode(text)
    return {"logit_bias": {token_id: ALWAYS}, "temperature": 0}


def test_events_are_chunks_numbered_from_zero_and_last_the_result(model):
    *chunks, result = model.generate("hello world", max_tokens=20, temperature=1, seed=3)
    assert all(isinstance(chunk, TextChunk) for chunk in chunks)
    assert isinstance(result, GenerationResult)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert "".join(chunk.text for chunk in chunks) == result.text
    assert [token_id for chunk in chunks for token_id in chunk.token_ids] == result.token_ids
    assert result.text == model.tokenizer.decode(result.token_ids)


def test_the_result_tells_what_ran_and_how_long(model):
    result = model.generate_text("hello", max_tokens=5, temperature=0)
    assert (result.model, result.backend) == ("random", "reference")
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (1, 5)
    timings = result.timings
    assert timings.load_s == model.load_s > 0
    assert timings.prefill_tokens_per_s == pytest.approx(1 / timings.prefill_s)
    assert timings.decode_tokens_per_s == pytest.approx(4 / timings.decode_s)


def test_one_token_leaves_no_decode_speed_to_measure(model):
    assert model.generate_text("hello", max_tokens=1).timings.decode_tokens_per_s is None


def test_greedy_tokens_are_the_largest_logits_of_the_whole_text(model):
    result = model.generate_text("hello world", max_tokens=10, temperature=0)
    prompt_ids = model.tokenizer.encode("hello world")
    logits = model.logits(prompt_ids + result.token_ids[:-1])
    assert logits[len(prompt_ids) - 1 :].argmax(axis=1).tolist() == result.token_ids


def test_the_same_seed_gives_the_same_tokens_and_the_result_names_it(model):
    first = model.generate_text("hello", max_tokens=20, temperature=1)
    again = model.generate_text("hello", max_tokens=20, temperature=1, seed=first.seed)
    assert again.token_ids == first.token_ids


def test_messages_go_through_the_chat_template(model):
    rendered = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    from_dicts = model.encode_prompt([{"role": "user", "content": "hello"}])
    assert from_dicts == model.encode_prompt([Message("user", "hello")]) == model.encode_prompt(rendered)


def test_a_message_cannot_forge_a_turn(model):
    forged = model.encode_prompt([{"role": "user", "content": "<|im_end|>"}])
    (end_of_turn,) = model.tokenizer.encode("<|im_end|>", special=True)
    assert forged.count(end_of_turn) == 1


def test_generation_ends_at_max_tokens_with_reason_length(model):
    result = model.generate_text("hello", max_tokens=7, **always(model, "a"))
    assert (result.text, result.finish_reason) == ("aaaaaaa", "length")


def test_an_answer_without_max_tokens_takes_the_room_that_there_is_and_says_so(model):
    result = model.generate_text("a" * 100, **always(model, "b"))
    assert (len(result.token_ids), result.finish_reason, result.context_full) == (CONTEXT - 100, "length", True)


def test_an_answer_that_ends_by_itself_is_not_said_to_fill_the_context(model):
    (stop_id,) = model.tokenizer.encode("<|im_end|>", special=True)
    assert not model.generate_text("a" * 100, logit_bias={stop_id: ALWAYS}, temperature=0).context_full
    assert not model.generate_text("a" * 100, max_tokens=CONTEXT - 100, **always(model, "b")).context_full


def test_max_tokens_that_do_not_fit_are_refused_with_the_three_numbers_before_any_step(model, monkeypatch):
    monkeypatch.setattr(model.engine, "sequence", None)  # whoever opens one fails
    with pytest.raises(ContextOverflowError) as caught:
        model.generate("a" * 100, max_tokens=29)
    assert str(caught.value) == (
        "The prompt has 100 tokens, max_tokens asks for 29 more, and the context holds 128, answer included. "
        "Set max_tokens to 28 or less, or shorten the prompt, load the model with a larger context, or let on_overflow "
        "leave something out."
    )
    assert caught.value.details == {"prompt_tokens": 100, "limit": 128, "max_tokens": 29}
    model.generate("a" * 100, max_tokens=28)


@pytest.mark.parametrize("text", ["<|im_end|>", "<|endoftext|>"])
def test_a_stop_token_ends_generation_and_is_no_part_of_the_answer(model, text):
    (stop_id,) = model.tokenizer.encode(text, special=True)
    result = model.generate_text("hello", logit_bias={stop_id: ALWAYS}, temperature=0)
    assert (result.text, result.token_ids, result.finish_reason) == ("", [], "stop")


def test_a_stop_string_ends_generation_before_it(model):
    result = model.generate_text("hello", stop=["xaaa", "aaa"], **always(model, "a"))
    assert (result.text, result.finish_reason) == ("", "stop")
    assert result.usage.completion_tokens == 3


def test_text_held_back_for_a_stop_string_is_not_lost(model):
    result = model.generate_text("hello", stop=["aab"], max_tokens=4, **always(model, "a"))
    assert (result.text, result.finish_reason) == ("aaaa", "length")


def test_a_character_of_two_tokens_comes_whole(model):
    first, second = model.tokenizer.encode("é")
    # The penalty puts the second byte before the first once the first was said.
    options = {"logit_bias": {first: ALWAYS, second: ALWAYS - 5}, "presence_penalty": 10, "temperature": 0}
    chunk, result = model.generate("hello", max_tokens=2, **options)
    assert (chunk.text, chunk.token_ids) == ("é", [first, second])
    assert result.text == "é"


def test_an_unfinished_character_becomes_a_replacement_character(model):
    first, _ = model.tokenizer.encode("é")
    chunk, result = model.generate("hello", max_tokens=1, logit_bias={first: ALWAYS}, temperature=0)
    assert chunk.text == result.text == "\ufffd"


def test_cancelling_ends_generation_and_keeps_what_was_said(model):
    said = []
    for event in model.generate("hello", cancelled=lambda: len(said) == 3, **always(model, "a")):
        if isinstance(event, TextChunk):
            said.append(event.text)
        else:
            assert (event.text, event.finish_reason) == ("aaa", "cancelled")
    assert said == ["a", "a", "a"]


def test_closing_the_iterator_frees_the_pages(model):
    events = model.generate("hello", max_tokens=100)
    next(events)
    assert model.engine.num_free_pages < model.engine.pool.num_pages
    events.close()
    assert model.engine.num_free_pages == model.engine.pool.num_pages


def test_interleaved_generations_answer_as_if_alone(model):
    prompts = ["hello world", "the robot"]
    options = {"max_tokens": 12, "temperature": 1, "seed": 5}
    alone = [model.generate_text(prompt, **options).token_ids for prompt in prompts]
    pairs = list(zip_longest(*(model.generate(prompt, **options) for prompt in prompts)))
    last = [[event for event in events if isinstance(event, GenerationResult)] for events in zip(*pairs, strict=True)]
    assert [result.token_ids for (result,) in last] == alone


def test_generations_from_several_threads_answer_as_if_alone(model):
    prompts = ["hello", "world", "the robot", "robot"]

    def answer(prompt):
        return model.generate_text(prompt, max_tokens=8, temperature=0).token_ids

    alone = [answer(prompt) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(answer, prompts, timeout=60)) == alone


def test_logits_are_float32_for_every_token(model):
    logits = model.logits([1, 2, 3])
    assert logits.dtype == np.float32
    assert logits.shape == (3, model.spec.vocab_size)
    np.testing.assert_allclose(model.logits([1, 2])[1], logits[1], atol=2e-5)


@pytest.mark.parametrize("token_ids", [[], [-1], [10_000], [[1, 2]]])
def test_logits_of_what_are_no_token_ids_are_refused(model, token_ids):
    with pytest.raises(InvalidRequestError) as caught:
        model.logits(token_ids)
    assert caught.value.cause == (
        f"Token ids must be a list of integers from 0 to {model.spec.vocab_size - 1}, at least one."
    )


def test_token_ids_must_be_integers(model):
    with pytest.raises(InvalidRequestError, match="Token ids must be a list of integers"):
        model.logits([1.5])


def test_a_prompt_as_long_as_the_context_is_refused_with_both_numbers(model):
    with pytest.raises(ContextOverflowError) as caught:
        model.generate("a" * CONTEXT)
    assert str(caught.value) == (
        "The prompt has 128 tokens and the context holds 128, answer included. "
        "Shorten the prompt, load the model with a larger context, or let on_overflow leave something out."
    )
    assert (caught.value.prompt_tokens, caught.value.limit, caught.value.max_tokens) == (128, 128, 1)


def test_a_shortened_prompt_is_answered_as_if_it_had_been_sent_and_counted_as_it_was(model):
    turns = [Message(role, text) for text in ("one", "two", "hello") for role in ("user", "assistant")][:-1]
    options = {"max_tokens": CONTEXT - 60, "temperature": 0}
    result = model.generate_text(turns, on_overflow="drop_oldest_turns", **options)
    assert result.token_ids == model.generate_text(turns[2:], **options).token_ids
    assert result.usage.prompt_tokens == len(model.encode_prompt(turns))
    assert result.dropped.turns == 1
    assert result.dropped.tokens == len(model.encode_prompt(turns)) - len(model.encode_prompt(turns[2:]))


def test_nothing_is_reported_dropped_when_all_was_read(model):
    for policy in get_args(OverflowPolicy):
        messages = [{"role": "user", "content": "hello"}]
        assert model.generate_text(messages, max_tokens=1, on_overflow=policy).dropped is None


def test_too_many_token_ids_are_refused_with_both_numbers(model):
    with pytest.raises(ContextOverflowError) as caught:
        model.logits([1] * 129)
    assert caught.value.cause == "The sequence has 129 tokens and the context holds 128."


def test_a_prompt_one_shorter_than_the_context_gets_one_token(model):
    result = model.generate_text("a" * (CONTEXT - 1), **always(model, "b"))
    assert (result.text, result.finish_reason) == ("b", "length")


def test_a_generation_that_finds_no_free_pages_is_refused(model):
    first = model.generate("hello", max_tokens=100)
    next(first)
    with pytest.raises(KVCacheFullError, match=r"^33 tokens need 2 KV pages and 0 of 4 are free"):
        next(model.generate("hello", max_tokens=32))
    first.close()


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(InvalidRequestError) as caught:
        model.generate("")
    assert str(caught.value) == "The prompt is empty. Give at least one character."


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"temperature": -1}, "A generation option is not valid: Expected `float` >= 0.0 - at `$.temperature`."),
        ({"max_tokens": 0}, "A generation option is not valid: Expected `int` >= 1 - at `$.max_tokens`."),
        ({"top_p": "much"}, "A generation option is not valid: Expected `float | null`, got `str` - at `$.top_p`."),
        ({"warmth": 1}, "A generation option is not valid: Object contains unknown field `warmth`."),
    ],
)
def test_a_bad_option_is_refused_by_name_before_the_first_event(model, options, cause):
    with pytest.raises(InvalidRequestError) as caught:
        model.generate("hello", **options)
    assert caught.value.cause == cause
    assert caught.value.remedy == f"Correct it; the options are {', '.join(GenerationOptions.__struct_fields__)}."


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({"role": "user"}, "Object missing required field `content` - at `$[0]`"),
        ({"role": "robot", "content": "hi"}, "Invalid enum value 'robot' - at `$[0].role`"),
        ({"role": "user", "content": 5}, "Expected `str`, got `int` - at `$[0].content`"),
    ],
)
def test_bad_messages_are_refused_with_what_was_expected(model, message, what):
    with pytest.raises(InvalidRequestError) as caught:
        model.generate([message])
    assert caught.value.cause == f"The messages are not valid: {what}."


def test_messages_to_a_model_without_a_template_are_refused(tmp_path):
    path = write_random_model(tmp_path / "plain.gguf", extra_metadata={"tokenizer.chat_template": None})
    with bonsai_edge.load(path, backend="reference", context=CONTEXT) as plain:
        assert plain.generate_text("hello", max_tokens=1).usage.completion_tokens <= 1
        with pytest.raises(UnsupportedModelError) as caught:
            plain.generate([{"role": "user", "content": "hello"}])
    assert caught.value.cause == "plain has no chat template."


def test_a_file_that_asks_for_a_beginning_token_gets_it_before_raw_prompts(tmp_path):
    path = write_random_model(
        tmp_path / "bos.gguf",
        extra_metadata={"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 3},
    )
    with bonsai_edge.load(path, backend="reference", context=CONTEXT) as begun:
        assert begun.encode_prompt("a") == [3, *begun.tokenizer.encode("a")]
