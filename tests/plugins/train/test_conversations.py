"""Sources of training data: the same from the same seed, resumable, and strict about files."""

from random import Random

import pytest

pytest.importorskip("wonderwords", reason="needs the extra `train`")

from bonsai_edge_train.config import DataConfig
from bonsai_edge_train.conversations import SYSTEM_PROMPTS, open_source, read_conversations
from bonsai_edge_train.errors import TrainingDataError


def draw(source, count, seed=0):
    rng = Random(seed)
    return [source.draw(rng) for _ in range(count)]


def generated(**keys):
    return DataConfig(generator="robot-commands", **keys)


def test_generated_conversations_have_the_shares_of_the_configuration():
    drawn = draw(open_source(generated(multi_turn_share=0.5, system_prompt_share=0.25), seed=0), 400)
    roles = [[message.role for message in conversation.messages] for conversation in drawn]
    num_system = sum(found[0] == "system" for found in roles)
    num_multi_turn = sum(found.count("user") > 1 for found in roles)
    assert 70 < num_system < 130
    assert 160 < num_multi_turn < 240
    turns = [found[1:] if found[0] == "system" else found for found in roles]
    assert all(found == ["user", "assistant"] * (len(found) // 2) for found in turns)
    system_prompts = {c.messages[0].content for c in drawn if c.messages[0].role == "system"}
    assert system_prompts <= set(SYSTEM_PROMPTS)


def test_a_source_continues_after_what_was_drawn():
    config = generated()
    source = open_source(config, seed=3)
    draw(source, 20)
    resumed = open_source(config, seed=3, skip=source.num_drawn)
    assert draw(resumed, 20, seed=7) == draw(source, 20, seed=7)


def test_a_file_is_shuffled_anew_each_epoch_and_continues_within_one(conversations, commands):
    config = DataConfig(train=str(conversations), development=str(conversations))
    drawn = draw(open_source(config, seed=0), 30)
    epochs = [drawn[start : start + 3] for start in range(0, 30, 3)]
    asked = [[conversation.messages[0].content for conversation in epoch] for epoch in epochs]
    assert all(set(epoch) == set(commands) for epoch in asked)
    assert len(set(map(tuple, asked))) > 1
    assert draw(open_source(config, seed=0, skip=10), 20) == drawn[10:]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "holds no conversation."),
        ("{}", ", line 1: Object missing required field `messages`."),
        ('{"messages": []}', ", line 1: the last message is not of the role `assistant`."),
        (
            '{"messages": [{"role": "user", "content": "stop"}]}',
            ", line 1: the last message is not of the role `assistant`.",
        ),
        (
            '{"messages": [{"role": "robot", "content": "stop"}]}',
            ", line 1: Invalid enum value 'robot' - at `$.messages[0].role`.",
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_line(tmp_path, text, cause):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(TrainingDataError) as caught:
        read_conversations(path)
    assert caught.value.cause.endswith(cause)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TrainingDataError, match=r"none\.jsonl cannot be read: No such file or directory\."):
        read_conversations(tmp_path / "none.jsonl")


def test_a_file_of_several_turns_keeps_them_in_order(tmp_path):
    roles = ["system", "user", "assistant", "user", "assistant"]
    path = tmp_path / "turns.jsonl"
    messages = ",".join(f'{{"role": "{role}", "content": "{n}"}}' for n, role in enumerate(roles))
    path.write_text(f'{{"messages": [{messages}]}}\n')
    (conversation,) = read_conversations(path)
    assert [(m.role, m.content) for m in conversation.messages] == list(zip(roles, "01234", strict=True))
