from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.errors import ContextOverflowError, InvalidRequestError
from bonsai_edge.generation import DEFAULT_MAX_TOKENS, Dropped, GenerationOptions, Message
from bonsai_edge.text.chat import encode_chat
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.overflow import CUT_MARKER, FittedPrompt, Prompt, fit_prompt
from bonsai_edge.text.tokenizer import Tokenizer
from chat_templates import THINKING_TEMPLATE
from gguf_files import CHATML_TEMPLATE

CHATML = ChatTemplate(CHATML_TEMPLATE)
THINKING = ChatTemplate(THINKING_TEMPLATE)
ALPHABET = "abcdefghij"

Fit = Callable[..., FittedPrompt]


def encode(tokenizer: Tokenizer, template: ChatTemplate, prompt: Prompt) -> list[int]:
    if isinstance(prompt, str):
        return tokenizer.encode(prompt, special=True)
    return encode_chat(tokenizer, template, prompt)


@pytest.fixture
def fit(tokenizer: Tokenizer) -> Fit:
    """Fit a prompt into a context, with the options of a generation; one token a byte but for a few words."""

    def fit(prompt: Prompt, context: int, template: ChatTemplate = CHATML, **options: object) -> FittedPrompt:
        return fit_prompt(
            prompt,
            GenerationOptions.from_keywords(options),
            context=context,
            tokenizer=tokenizer,
            encode=partial(encode, tokenizer, template),
        )

    return fit


def conversation(*contents: str) -> list[Message]:
    """Return turns of user and assistant, the user first."""
    return [Message(("user", "assistant")[index % 2], content) for index, content in enumerate(contents)]


# refuse


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, {"prompt_tokens": 20, "limit": 20, "max_tokens": 1}),
        ({"max_tokens": 7}, {"prompt_tokens": 20, "limit": 20, "max_tokens": 7}),
    ],
)
def test_a_prompt_that_leaves_no_room_is_refused_with_its_numbers(fit: Fit, options, numbers) -> None:
    with pytest.raises(ContextOverflowError) as caught:
        fit("a" * 20, context=20, **options)
    assert caught.value.details == numbers
    assert all(str(number) in caught.value.cause for number in {20, numbers.get("max_tokens") if options else 20})
    assert caught.value.remedy.startswith("Shorten the prompt, load")


def test_max_tokens_are_what_was_asked_for_or_what_there_is_room_for(fit: Fit) -> None:
    assert fit("aaaa", context=1000).max_tokens == DEFAULT_MAX_TOKENS
    assert fit("aaaa", context=1000, max_tokens=996).max_tokens == 996
    assert fit("aaaa", context=10).max_tokens == 6
    assert [fit("aaaa", context=context).is_answer_limited for context in (10, 515, 516)] == [True, True, False]
    assert not fit("aaaa", context=10, max_tokens=6).is_answer_limited


# truncate_middle


def test_the_middle_of_a_text_is_cut_and_both_ends_stay(fit: Fit, tokenizer: Tokenizer) -> None:
    text = ALPHABET * 10
    fitted = fit(text, context=60, max_tokens=20, on_overflow="truncate_middle")
    head, marker, tail = tokenizer.decode(fitted.token_ids).partition(CUT_MARKER)
    assert marker == CUT_MARKER
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(fitted.token_ids) == 40
    assert abs(len(head) - len(tail)) <= 1
    assert fitted.dropped == Dropped(
        policy="truncate_middle", tokens=len(text) - len(head) - len(tail), first_position=len(head)
    )
    assert (fitted.num_sent, fitted.max_tokens) == (100, 20)


def test_a_cut_leaves_a_quarter_of_the_context_to_an_answer_without_max_tokens(fit: Fit) -> None:
    assert len(fit("a" * 100, context=80, on_overflow="truncate_middle").token_ids) == 60
    assert len(fit("a" * 9000, context=8000, on_overflow="truncate_middle").token_ids) == 8000 - DEFAULT_MAX_TOKENS


@pytest.mark.parametrize("context", range(40, 60))
def test_no_character_is_split(fit: Fit, tokenizer: Tokenizer, context: int) -> None:
    text = "aé🦙" * 20  # one, two and four tokens
    fitted = fit(text, context=context, max_tokens=1, on_overflow="truncate_middle")
    head, _, tail = tokenizer.decode(fitted.token_ids).partition(CUT_MARKER)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert context - 1 - 8 < len(fitted.token_ids) < context


def test_a_text_of_which_hardly_anything_could_stay_is_refused_with_its_numbers(fit: Fit) -> None:
    num_marker = len(CUT_MARKER)
    fit("a" * 100, context=8 + num_marker + 5, max_tokens=5, on_overflow="truncate_middle")
    with pytest.raises(ContextOverflowError) as caught:
        fit("a" * 100, context=8 + num_marker + 4, max_tokens=5, on_overflow="truncate_middle")
    assert str(caught.value) == (
        "The prompt has 100 tokens, max_tokens asks for 5 more, and the context holds 19, answer included. "
        "truncate_middle cannot shorten the prompt to 14. "
        "Shorten the prompt, load the model with a larger context, or choose another policy in on_overflow."
    )
    assert caught.value.details == {"prompt_tokens": 100, "limit": 19, "max_tokens": 5}


def test_the_longest_messages_are_cut_to_one_length_and_the_others_stay(fit: Fit, tokenizer: Tokenizer) -> None:
    messages = [
        Message("system", "s" * 80),
        Message("user", ALPHABET * 20),
        Message("assistant", "short"),
        Message("tool", ALPHABET * 10),
        Message("user", "now what?"),
    ]
    fitted = fit(messages, context=300, max_tokens=10, on_overflow="truncate_middle")
    text = tokenizer.decode(fitted.token_ids, special=True)
    contents = [turn.removesuffix("<|im_end|>\n").partition("\n")[2] for turn in text.split("<|im_start|>")[1:]]
    assert contents[0] == messages[0].content
    assert contents[2] == "short"
    assert contents[4] == "now what?"
    assert len(contents[1]) == len(contents[3])
    assert fitted.dropped is not None
    assert fitted.dropped.messages == (1, 3)
    assert fitted.dropped.tokens == 300 - len(contents[1]) - len(contents[3]) + 2 * len(CUT_MARKER)
    sent = encode(tokenizer, CHATML, messages)
    assert fitted.token_ids[: fitted.dropped.first_position] == sent[: fitted.dropped.first_position]
    before_the_cut = tokenizer.encode(text[: text.index(CUT_MARKER)], special=True)
    assert fitted.dropped.first_position == len(before_the_cut)


def test_one_long_message_is_cut_before_any_other_is_touched(fit: Fit) -> None:
    fitted = fit(conversation("a" * 50, "b" * 200, "c" * 50), context=250, max_tokens=1, on_overflow="truncate_middle")
    assert fitted.dropped is not None
    assert fitted.dropped.messages == (1,)


def test_a_system_message_is_never_cut(fit: Fit) -> None:
    messages = [Message("system", "s" * 200), Message("user", "hi")]
    with pytest.raises(ContextOverflowError, match="truncate_middle cannot shorten the prompt to 99"):
        fit(messages, context=100, max_tokens=1, on_overflow="truncate_middle")


def test_thoughts_that_the_template_leaves_out_are_not_cut_open(fit: Fit, tokenizer: Tokenizer) -> None:
    thought = "<think>" + "t" * 300 + "</think>"
    messages = conversation("one", thought + "y" * 100, "two")
    fitted = fit(messages, context=100, template=THINKING, max_tokens=1, on_overflow="truncate_middle")
    text = tokenizer.decode(fitted.token_ids, special=True)
    assert "t" * 9 not in text
    assert text.count("<think>") == text.count("</think>") == 1  # of the answer that comes
    assert CUT_MARKER in text
    assert 80 < len(fitted.token_ids) < 100


def test_a_template_that_leaves_out_most_of_a_message_ends_in_a_fit_or_a_refusal(fit: Fit) -> None:
    first_word = ChatTemplate("{%- for m in messages %}{{ m.content.split('b')[0] }}{%- endfor %}")
    messages = conversation("a" * 60 + "b" * 5000, "c" * 50)
    fitted = fit(messages, context=100, template=first_word, max_tokens=1, on_overflow="truncate_middle")
    assert len(fitted.token_ids) < 100


def test_a_quoted_control_text_stays_text_after_the_cut(fit: Fit, tokenizer: Tokenizer) -> None:
    fitted = fit(
        conversation("<|im_end|>" + "a" * 100 + "<|im_end|>"), context=80, max_tokens=1, on_overflow="truncate_middle"
    )
    (end_of_turn,) = tokenizer.encode("<|im_end|>", special=True)
    assert fitted.token_ids.count(end_of_turn) == 1


# drop_oldest_turns


def test_as_few_of_the_oldest_turns_as_it_takes_are_dropped_whole(fit: Fit, tokenizer: Tokenizer) -> None:
    messages = [Message("system", "Be brief."), *conversation(*(letter * 10 for letter in "abcdefg"))]
    without_two = [messages[0], *messages[5:]]
    exactly = len(encode(tokenizer, CHATML, without_two))
    fitted = fit(messages, context=exactly + 5, max_tokens=5, on_overflow="drop_oldest_turns")
    assert fitted.token_ids == encode(tokenizer, CHATML, without_two)
    num_sent = len(encode(tokenizer, CHATML, messages))
    dropped = fitted.dropped
    assert dropped is not None
    assert (dropped.turns, dropped.messages, dropped.tokens) == (2, (1, 2, 3, 4), num_sent - exactly)
    sent = encode(tokenizer, CHATML, messages)
    first = dropped.first_position
    assert fitted.token_ids == sent[:first] + sent[first + dropped.tokens :]
    fitted = fit(messages, context=exactly + 4, max_tokens=5, on_overflow="drop_oldest_turns")
    assert fitted.dropped is not None
    assert fitted.dropped.turns == 3


def test_a_turn_goes_with_its_tool_answers_and_without_the_systems_messages(fit: Fit, tokenizer: Tokenizer) -> None:
    messages = [
        Message("assistant", "Hello, I am a robot."),
        Message("user", "look"),
        Message("assistant", "call"),
        Message("tool", "t" * 50),
        Message("assistant", "a cube"),
        Message("system", "Battery low."),
        Message("user", "go home"),
    ]
    kept = [messages[5], messages[6]]
    fitted = fit(
        messages, context=len(encode(tokenizer, CHATML, kept)) + 1, on_overflow="drop_oldest_turns", max_tokens=1
    )
    assert fitted.token_ids == encode(tokenizer, CHATML, kept)
    assert fitted.dropped is not None
    assert (fitted.dropped.turns, fitted.dropped.messages) == (2, (0, 1, 2, 3, 4))


def test_the_last_user_message_is_never_dropped(fit: Fit) -> None:
    messages = [*conversation("one", "two"), Message("user", "u" * 100)]
    with pytest.raises(ContextOverflowError) as caught:
        fit(messages, context=100, on_overflow="drop_oldest_turns")
    assert caught.value.cause.endswith("answer included. drop_oldest_turns cannot shorten the prompt to 75.")
    assert caught.value.max_tokens == 25


def test_a_policy_that_cannot_help_refuses_no_prompt_that_fits(fit: Fit) -> None:
    for policy in ("refuse", "drop_oldest_turns"):
        fitted = fit([Message("user", "u" * 75)], context=100, on_overflow=policy)
        assert (fitted.dropped, fitted.max_tokens, fitted.is_answer_limited) == (None, 6, True)


@pytest.mark.parametrize("text", ["short", "a" * 100])
def test_a_text_has_no_turns_to_drop(fit: Fit, text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        fit(text, context=50, on_overflow="drop_oldest_turns")
    assert caught.value.cause == ("on_overflow is 'drop_oldest_turns', and the prompt is a text, which has no turns.")


# Whatever the conversation


roles = st.sampled_from(["system", "user", "assistant", "tool"])
contents = st.text("ab é🦙\n", max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    messages=st.lists(st.builds(Message, roles, contents), min_size=1, max_size=8),
    context=st.integers(1, 300),
    max_tokens=st.none() | st.integers(1, 50),
    policy=st.sampled_from(["truncate_middle", "drop_oldest_turns"]),
)
def test_prompt_and_answer_fit_or_are_refused(fit: Fit, tokenizer: Tokenizer, messages, context, max_tokens, policy):
    sent = encode(tokenizer, CHATML, messages)
    try:
        fitted = fit(messages, context=context, max_tokens=max_tokens, on_overflow=policy)
    except ContextOverflowError as exc:
        refusal = exc
    else:
        refusal = None
    if refusal is not None:
        assert refusal.prompt_tokens == len(sent)
        assert refusal.prompt_tokens + refusal.max_tokens > refusal.limit == context
        return
    assert fitted.num_sent == len(sent)
    assert len(fitted.token_ids) + fitted.max_tokens <= context
    assert max_tokens in (None, fitted.max_tokens)
    if fitted.dropped is None:
        assert fitted.token_ids == sent
        return
    first = fitted.dropped.first_position
    assert fitted.token_ids[:first] == sent[:first]
    assert fitted.dropped.messages
    assert all(messages[index].role != "system" for index in fitted.dropped.messages)
    text = tokenizer.decode(fitted.token_ids, special=True)
    assert "\ufffd" not in text
    assert text.endswith("<|im_start|>assistant\n")


def test_the_vocabulary_of_these_tests_has_a_token_for_each_byte_of_the_marker(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode(CUT_MARKER)) == len(CUT_MARKER)
