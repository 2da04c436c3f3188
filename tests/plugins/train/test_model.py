"""The PyTorch model: causal, grouped-query attention as written in the papers, and trainable."""

from random import Random

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from bonsai_edge_train.batches import encode_conversation, pad, training_batches  # noqa: E402
from bonsai_edge_train.evaluate import answer_greedily, evaluate  # noqa: E402
from bonsai_edge_train.model import Qwen3, Qwen3Config, apply_rope, causal_attention, rope_tables  # noqa: E402
from bonsai_edge_train.robot_commands import Example  # noqa: E402
from bonsai_edge_train.training import TrainingConfig, learning_rate_share, train  # noqa: E402
from bonsai_edge_train.vocabulary import train_tokenizer  # noqa: E402

torch.set_num_threads(1)  # on a busy machine several threads spend their time waiting for each other

STOP = Example("halt now", '{"actions":[{"action":"stop"}]}', frozenset())


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([f"user\n{STOP.command}\nassistant\n{STOP.answer}"] * 3, 300)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    vocab_size = tokenizer.get_vocab_size()
    return Qwen3(
        Qwen3Config(vocab_size, hidden_size=128, intermediate_size=128, num_layers=1, num_heads=2, num_kv_heads=1)
    )


def test_attention_equals_the_library_function():
    q, k, v = torch.randn(2, 4, 9, 16), torch.randn(2, 2, 9, 16), torch.randn(2, 2, 9, 16)
    expected = torch.nn.functional.scaled_dot_product_attention(
        q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), is_causal=True
    )
    torch.testing.assert_close(causal_attention(q, k, v), expected)


def test_rope_rotates_the_pair_of_dimension_i_and_i_plus_half():
    cos, sin = rope_tables(4, 8, 10000.0)
    x = torch.zeros(1, 1, 4, 8)
    x[..., 1] = 1.0
    rotated = apply_rope(x, cos, sin)[0, 0, 3]
    angle = torch.tensor(3 * 10000.0 ** (-2 / 8))
    torch.testing.assert_close(rotated[[1, 5]], torch.stack((angle.cos(), angle.sin())))
    assert rotated[[0, 2, 3, 4, 6, 7]].abs().max() == 0


def test_later_tokens_do_not_change_earlier_logits(model):
    token_ids = torch.tensor([[5, 6, 7, 8]])
    changed = torch.tensor([[5, 6, 7, 99]])
    with torch.no_grad():
        torch.testing.assert_close(model(token_ids)[:, :3], model(changed)[:, :3])


def test_only_answer_tokens_have_full_weight(tokenizer):
    token_ids, weights = encode_conversation(tokenizer, [STOP], None)
    answer = [token_id for token_id, weight in zip(token_ids, weights, strict=True) if weight == 1.0]
    assert tokenizer.decode(answer, skip_special_tokens=False) == STOP.answer + "<|im_end|>"


def test_padding_has_no_weight(tokenizer):
    token_ids, weights = pad([([1, 2, 3], [1.0] * 3), ([4], [1.0])], pad_id=9)
    assert token_ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert weights.tolist() == [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]


def test_learning_rate_warms_up_and_decays_to_zero():
    config = TrainingConfig(num_steps=100, warmup_steps=10)
    shares = [learning_rate_share(step, config) for step in range(101)]
    assert (shares[0], shares[9], shares[100]) == (0.1, 1.0, 0.0)


def test_training_learns_one_command_and_evaluation_agrees(model, tokenizer):
    def examples():
        while True:
            yield STOP

    losses = {}
    batches = training_batches(tokenizer, examples(), tokens_per_batch=128, rng=Random(0))
    before = evaluate(model, tokenizer, [STOP])
    train(model, batches, TrainingConfig(num_steps=100, warmup_steps=5), losses.__setitem__)
    after = evaluate(model, tokenizer, [STOP])
    assert (before.exact_match, before.valid_json) == (0.0, 0.0)
    assert (after.exact_match, after.valid_json) == (1.0, 1.0)
    assert answer_greedily(model, tokenizer, [STOP.command, STOP.command]) == [STOP.answer] * 2
    assert list(losses) == [100]
