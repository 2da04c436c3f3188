"""The shipped file bonsai_edge/data/seedling.gguf: complete, small, and right about the demo commands."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
gguf = pytest.importorskip("gguf", reason="needs the extra `train`")

from tokenizers.models import BPE  # noqa: E402

from bonsai_edge_train.evaluate import evaluate  # noqa: E402
from bonsai_edge_train.export import tensor_names  # noqa: E402
from bonsai_edge_train.held_out import DEMO_EXAMPLES, held_out_examples  # noqa: E402
from bonsai_edge_train.model import Qwen3, Qwen3Config  # noqa: E402
from bonsai_edge_train.vocabulary import add_special_tokens, make_tokenizer  # noqa: E402

torch.set_num_threads(1)  # on a busy machine several threads spend their time waiting for each other

PATH = Path(__file__).parents[3] / "bonsai_edge" / "data" / "seedling.gguf"


@pytest.fixture(scope="module")
def reader():
    return gguf.GGUFReader(PATH)


@pytest.fixture(scope="module")
def tokenizer(reader):
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    bpe = BPE({token: token_id for token_id, token in enumerate(tokens)}, [tuple(merge.split(" ")) for merge in merges])
    tokenizer = make_tokenizer(bpe)
    add_special_tokens(tokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def model(reader, dequantize_q1_0):
    """Decoded weights serve as latents: the mean magnitude of a group is then its scale again, exactly."""
    tensors = {
        tensor.name: dequantize_q1_0(tensor.data) if tensor.tensor_type.name == "Q1_0" else tensor.data.copy()
        for tensor in reader.tensors
    }
    vocab_size = len(tensors["token_embd.weight"])
    model = Qwen3(Qwen3Config(vocab_size))
    names = tensor_names(model.config.num_layers)
    model.load_state_dict({ours: torch.from_numpy(tensors.pop(theirs)) for ours, theirs in names})
    assert not tensors
    return model.eval()


def test_file_is_small_enough_to_ship():
    assert PATH.stat().st_size <= 4_000_000


def test_demo_commands_are_answered_exactly(model, tokenizer):
    assert evaluate(model, tokenizer, DEMO_EXAMPLES).misses == []


def test_most_generated_held_out_commands_are_answered_exactly(model, tokenizer):
    score = evaluate(model, tokenizer, held_out_examples(64)["generated"])
    assert score.exact_match >= 0.9
