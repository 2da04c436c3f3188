"""The PyTorch model: causal, grouped-query attention as written in the papers, and the same with a KV cache."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from bonsai_edge_train.config import Qwen3Config  # noqa: E402
from bonsai_edge_train.model import KVCache, Qwen3, RMSNorm, apply_rope, attention, rope_tables  # noqa: E402
from bonsai_edge_train.q1_0 import binarize  # noqa: E402

torch.set_num_threads(1)  # on a busy machine several threads spend their time waiting for each other

TINY = {
    "vocab_size": 300, "hidden_size": 128, "intermediate_size": 128, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1,
    "context_length": 64,
}  # fmt: skip


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Qwen3(Qwen3Config(**TINY)).eval()


@pytest.fixture
def token_ids():
    return torch.randint(0, 300, (3, 12), generator=torch.Generator().manual_seed(1))


def test_attention_equals_the_library_function():
    q, k, v = torch.randn(2, 4, 9, 16), torch.randn(2, 2, 9, 16), torch.randn(2, 2, 9, 16)
    expected = torch.nn.functional.scaled_dot_product_attention(
        q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), is_causal=True
    )
    is_future = torch.ones(9, 9, dtype=torch.bool).triu(1)
    torch.testing.assert_close(attention(q, k, v, is_future), expected)


def test_rope_rotates_the_pair_of_dimension_i_and_i_plus_half():
    cos, sin = rope_tables(4, 8, 10000.0)
    x = torch.zeros(1, 1, 4, 8)
    x[..., 1] = 1.0
    rotated = apply_rope(x, cos, sin)[0, 0, 3]
    angle = torch.tensor(3 * 10000.0 ** (-2 / 8))
    torch.testing.assert_close(rotated[[1, 5]], torch.stack((angle.cos(), angle.sin())))
    assert rotated[[0, 2, 3, 4, 6, 7]].abs().max() == 0


def test_rms_norm_is_that_of_the_paper_in_float32():
    norm = RMSNorm(8, 1e-6)
    x = torch.randn(3, 8, dtype=torch.bfloat16)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(8.0))
    expected = x.float() / (x.float().square().mean(-1, keepdim=True) + 1e-6).sqrt() * torch.arange(8.0)
    torch.testing.assert_close(norm(x), expected)


def test_later_tokens_do_not_change_earlier_logits(model, token_ids):
    changed = token_ids.clone()
    changed[:, 8:] = 7
    torch.testing.assert_close(model(changed)[:, :8], model(token_ids)[:, :8])


def test_logits_of_some_rows_are_those_of_all(model, token_ids):
    rows = torch.tensor([0, 5, 35])
    torch.testing.assert_close(model(token_ids, rows=rows), model(token_ids).flatten(0, 1)[rows])


def test_decoding_with_a_cache_gives_the_logits_without_one(model, token_ids):
    lengths = torch.tensor([5, 9, 3])
    cache = KVCache(model.config, num_rows=3, capacity=12)
    with torch.inference_mode():
        model(token_ids[:, :9], cache=cache)  # rows 0 and 2 have padding behind their prompts
        cache.lengths = lengths
        for _ in range(3):
            logits = model(token_ids[torch.arange(3), cache.lengths][:, None], cache=cache)[:, 0]
            expected = model(token_ids)[torch.arange(3), cache.lengths]
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
            cache.lengths = cache.lengths + 1


def test_a_frozen_model_computes_the_same_from_the_weights_of_the_forward_pass(model, token_ids):
    frozen = model.frozen()
    assert frozen.config.weights == "float32"
    assert torch.equal(frozen.token_embd, binarize(model.token_embd.detach()))
    assert torch.equal(frozen(token_ids), model(token_ids))


@pytest.mark.parametrize("weights", ["q1_0", "float32"])
def test_an_untied_head_has_a_weight_of_its_own(weights, token_ids):
    torch.manual_seed(0)
    model = Qwen3(Qwen3Config(**TINY, weights=weights, tied_head=False))
    before = model(token_ids)
    with torch.no_grad():
        model.output.weight.neg_()
    torch.testing.assert_close(model(token_ids), -before)


@pytest.mark.parametrize(("weights", "num_values"), [("q1_0", 2), ("float32", 128)])
def test_the_forward_weights_of_a_group_are_two_values_or_all(weights, num_values):
    torch.manual_seed(0)
    frozen = Qwen3(Qwen3Config(**TINY, weights=weights)).frozen()
    matrices = [parameter for parameter in frozen.parameters() if parameter.dim() == 2]
    assert {len(matrix[0, :128].unique()) for matrix in matrices} == {num_values}


def test_gradients_reach_every_parameter(model, token_ids):
    model(token_ids).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())
