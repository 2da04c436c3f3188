"""Evaluation: greedy answers, compared by their actions, counted by category."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("wonderwords", reason="needs the extra `train`")

from bonsai_edge_train import evaluate as evaluation  # noqa: E402
from bonsai_edge_train.chat import render_prompt  # noqa: E402
from bonsai_edge_train.config import Qwen3Config  # noqa: E402
from bonsai_edge_train.decoding import MAX_NEW_TOKENS, answer_greedily, answer_or_confirm  # noqa: E402
from bonsai_edge_train.model import Qwen3  # noqa: E402
from bonsai_edge_train.robot_commands.scoring import Count, Miss  # noqa: E402

torch.set_num_threads(1)  # on a busy machine several threads spend their time waiting for each other


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=300, hidden_size=128, intermediate_size=128, num_layers=1, num_heads=2, num_kv_heads=1
    )
    return Qwen3(config).frozen()


def decode_without_cache(model, tokenizer, prompt, num_tokens):
    token_ids = tokenizer.encode(prompt).ids
    for _ in range(num_tokens):
        token_ids.append(int(model(torch.tensor([token_ids]))[0, -1].argmax()))
    return tokenizer.decode(token_ids, skip_special_tokens=False)


def test_greedy_answers_are_those_of_decoding_one_by_one_without_a_cache(model, tokenizer):
    prompts = [render_prompt(command) for command in ("halt", "go to the kitchen door", "pick up the red cup, please")]
    answers = answer_greedily(model, tokenizer, prompts)
    for prompt, answer in zip(prompts, answers, strict=True):
        num_tokens = 20
        expected = decode_without_cache(model, tokenizer, prompt, num_tokens)
        assert (prompt + answer).startswith(expected.removesuffix("<|im_end|>")[:-8])


def test_an_answer_ends_at_the_limit_or_at_the_end_of_the_context(model, tokenizer):
    (answer,) = answer_greedily(model, tokenizer, [render_prompt("halt")])
    assert "<|im_end|>" in answer or len(tokenizer.encode(answer).ids) <= MAX_NEW_TOKENS


def test_confirming_gives_the_answers_of_decoding(model, tokenizer):
    prompts = [render_prompt(command) for command in ("halt", "go on")]
    decoded = answer_greedily(model, tokenizer, prompts)
    assert answer_or_confirm(model, tokenizer, prompts, [decoded[0], "another"]) == decoded


def example(command, answer, category):
    return SimpleNamespace(command=command, answer=answer, category=category)


STOP = '{"actions":[{"action":"stop"}]}'
DOCK = '{"actions":[{"action":"dock"}]}'
NOTHING = '{"actions":[],"reply":"OK."}'


def test_a_score_compares_actions_and_counts_by_category(monkeypatch, model, tokenizer):
    answers = {"halt": STOP, "stop it": DOCK, "dock": '{"actions":', "hi": '{"actions":[],"reply":"Hello!"}'}
    monkeypatch.setattr(
        evaluation,
        "answer_or_confirm",
        lambda model, tokenizer, prompts, expected: [
            answers[prompt.split("user\n")[1].split("<|im_end|>")[0]] for prompt in prompts
        ],
    )
    score = evaluation.evaluate(
        model,
        tokenizer,
        [
            example("halt", STOP, "motion"),
            example("stop it", STOP, "motion"),
            example("dock", DOCK, "docking"),
            example("hi", NOTHING, "talk"),
        ],
    )
    assert score.total == Count(examples=4, exact=2, valid=3)
    assert score.categories == {
        "motion": Count(examples=2, exact=1, valid=2),
        "docking": Count(examples=1, exact=0, valid=0),
        "talk": Count(examples=1, exact=1, valid=1),
    }
    assert (score.total.exact_match, score.total.valid_share) == (0.5, 0.75)
    assert sorted(miss.command for miss in score.misses) == ["dock", "stop it"]
    assert score.misses[0] == Miss("dock", "docking", DOCK, '{"actions":')
