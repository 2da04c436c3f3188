"""Batches: the chat template's tokens, losses where they belong, little padding, and an exact position."""

from itertools import islice

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
jinja2 = pytest.importorskip("jinja2", reason="jinja2 renders the chat template")

from bonsai_edge_train.batches import (  # noqa: E402
    StreamPosition,
    check_lengths,
    encode_conversation,
    pad,
    split_by_length,
    training_batches,
)
from bonsai_edge_train.chat import CHAT_TEMPLATE  # noqa: E402
from bonsai_edge_train.config import read_config  # noqa: E402
from bonsai_edge_train.conversations import Conversation, Message  # noqa: E402
from bonsai_edge_train.errors import TrainingDataError  # noqa: E402

TWO_TURNS = Conversation(
    [
        Message("system", "You are a robot."),
        Message("user", "halt now"),
        Message("assistant", "one"),
        Message("user", "go to the door"),
        Message("assistant", "two"),
    ]
)


def test_a_conversation_is_encoded_as_the_chat_template_renders_it(tokenizer):
    token_ids, weights = encode_conversation(tokenizer, TWO_TURNS, 0.1)
    messages = [{"role": message.role, "content": message.content} for message in TWO_TURNS.messages]
    rendered = jinja2.Environment().from_string(CHAT_TEMPLATE).render(messages=messages)
    assert tokenizer.decode(token_ids, skip_special_tokens=False) + "\n" == rendered
    assert token_ids == tokenizer.encode(rendered).ids[:-1]
    assert len(weights) == len(token_ids)


def test_only_answers_have_full_weight(tokenizer):
    token_ids, weights = encode_conversation(tokenizer, TWO_TURNS, 0.1)
    answers = [token_id for token_id, weight in zip(token_ids, weights, strict=True) if weight == 1.0]
    assert tokenizer.decode(answers, skip_special_tokens=False) == "one<|im_end|>two<|im_end|>"
    assert set(weights) == {0.1, 1.0}


def test_padding_to_a_multiple_of_8_has_no_weight():
    token_ids, weights = pad([([1, 2, 3], [1.0] * 3), ([4], [1.0])], pad_id=9)
    assert token_ids.tolist() == [[1, 2, 3, 9, 9, 9, 9, 9], [4, 9, 9, 9, 9, 9, 9, 9]]
    assert weights.tolist() == [[1.0, 1.0, 1.0, *[0.0] * 5], [1.0, *[0.0] * 7]]


def test_batches_of_similar_length_stay_below_the_token_limit_with_their_padding():
    conversations = [([0] * length, [1.0] * length) for length in (5, 1, 30, 2, 6, 29, 3, 9, 10)]
    batches = split_by_length(conversations, 64)
    lengths = [[len(token_ids) for token_ids, _ in batch] for batch in batches]
    assert lengths == [[30, 29], [10, 9, 6, 5], [3, 2, 1]]


def test_a_length_always_comes_with_the_same_number_of_conversations():
    conversations = [([0] * length, [1.0] * length) for length in range(1, 65)]
    shapes = {pad(batch, 0)[0].shape for batch in split_by_length(conversations, 128)[:-1]}
    assert len(shapes) == len({length for _, length in shapes})


def test_a_conversation_longer_than_a_batch_has_one_of_its_own():
    assert split_by_length([([0] * 9, [1.0] * 9)] * 2, 4) == [[([0] * 9, [1.0] * 9)]] * 2


def test_a_conversation_longer_than_the_context_is_refused():
    with pytest.raises(TrainingDataError) as caught:
        check_lengths([([0] * 129, [1.0] * 129)], 128)
    assert caught.value.cause == "A conversation has 129 tokens, and `model.context_length` is 128."


@pytest.mark.parametrize("num_batches", [1, 5, 900])  # a chunk has fewer than 900 batches
def test_a_stream_continues_from_the_position_of_any_batch(tokenizer, write_config, num_batches):
    config = read_config(write_config())
    stream = training_batches(tokenizer, config, StreamPosition())
    *_, last = islice(stream, num_batches)
    resumed = training_batches(tokenizer, config, last.next_position)
    for _ in range(3):
        expected, found = next(stream), next(resumed)
        assert torch.equal(found.token_ids, expected.token_ids)
        assert torch.equal(found.weights, expected.weights)
        assert found.next_position == expected.next_position


def test_num_tokens_counts_no_padding(tokenizer, write_config):
    batch = next(training_batches(tokenizer, read_config(write_config()), StreamPosition()))
    assert batch.num_tokens == int((batch.weights > 0).sum())
