import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("matplotlib", reason="needs the extra `train`")
pytest.importorskip("safetensors", reason="needs the extra `train`")

from ablation import round_to_one_bit  # noqa: E402
from bonsai_edge_train.config import Qwen3Config  # noqa: E402
from bonsai_edge_train.model import Qwen3  # noqa: E402
from bonsai_edge_train.q1_0 import binarize  # noqa: E402


def test_rounding_keeps_the_norms_and_the_sign_and_scale_of_each_matrix():
    torch.manual_seed(0)
    model = Qwen3(Qwen3Config(vocab_size=64, hidden_size=128, num_layers=1, num_heads=2, weights="float32"))
    rounded = round_to_one_bit(model).frozen()
    down = model.blocks[0].ffn.down.weight
    assert torch.equal(rounded.blocks[0].ffn.down.weight, binarize(down))
    assert not torch.equal(rounded.blocks[0].ffn.down.weight, down)
    assert torch.equal(rounded.output_norm.weight, model.output_norm.weight)
