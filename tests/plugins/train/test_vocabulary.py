"""The byte-level vocabulary: every byte has a token, text survives the round trip."""

import pytest

from bonsai_edge_train.chat import CHAT_TEMPLATE, render_prompt
from bonsai_edge_train.vocabulary import read_vocabulary, train_tokenizer

jinja2 = pytest.importorskip("jinja2", reason="jinja2 renders the chat template")


TEXTS = [
    f"{verb} the {colour} {noun} {amount} times, please"
    for verb in ("pick up", "look at", "bring me", "push", "clean")
    for colour in ("red", "blue", "green", "yellow")
    for noun in ("cube", "bottle", "hammer", "umbrella", "screwdriver")
    for amount in range(9, 14)
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 310)


def test_special_tokens_are_the_last_ones(tokenizer):
    tokens = read_vocabulary(tokenizer).tokens
    assert len(tokens) == 310
    assert tokens[-3:] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def test_all_bytes_come_first_and_each_merge_adds_one_token(tokenizer):
    vocabulary = read_vocabulary(tokenizer)
    assert all(len(token) == 1 for token in vocabulary.tokens[:256])
    assert len(set(vocabulary.tokens[:256])) == 256
    assert [merge.replace(" ", "") for merge in vocabulary.merges] == vocabulary.tokens[256:-3]


@pytest.mark.parametrize("text", ["pick up the red cube", "Größe 12 °C, naïve 🤖\n\n  two  spaces", 'say "it\'s 5pm"'])
def test_text_survives_the_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_digits_are_single_tokens(tokenizer):
    assert tokenizer.encode("90").tokens == ["9", "0"]


@pytest.mark.parametrize("system", [None, "You are a robot."])
def test_rendered_prompt_equals_the_chat_template(system):
    messages = [{"role": "user", "content": "stop"}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    template = jinja2.Environment().from_string(CHAT_TEMPLATE)
    assert template.render(messages=messages, add_generation_prompt=True) == render_prompt("stop", system)
