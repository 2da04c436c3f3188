"""Tokenizer and chat template: from Hugging Face's files to GGUF keys, and back."""

import json

import pytest
import tokenizers

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.text.tokenizer import Tokenizer
from bonsai_edge_convert.conversion import convert
from bonsai_edge_convert.tokenizer_files import read_sampling, read_tokenizer
from gguf_files import CHATML_TEMPLATE, Vocabulary, small_vocabulary

TEXTS = ["hello world", "the robot's going 12 m\n\n", "Grüße, 世界 🤖", "  a\t b  ", "<think>x</think>", "DON'T"]


def values(metadata):
    return {key: typed.value for key, typed in metadata.items()}


def test_vocabulary_ids_and_template_become_gguf_keys(tmp_path, write_tokenizer):
    vocabulary = write_tokenizer(tmp_path)
    found = values(read_tokenizer(tmp_path, len(vocabulary.tokens)))
    assert found == {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": vocabulary.token_types,
        "tokenizer.ggml.merges": vocabulary.merges,
        "tokenizer.ggml.eos_token_id": vocabulary.eos_id,
        "tokenizer.ggml.padding_token_id": vocabulary.pad_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML_TEMPLATE,
    }


def test_rows_without_a_token_become_unused_tokens(tmp_path, write_tokenizer):
    num_tokens = len(write_tokenizer(tmp_path).tokens)
    found = values(read_tokenizer(tmp_path, num_tokens + 2))
    assert found["tokenizer.ggml.tokens"][num_tokens:] == [f"[PAD{num_tokens}]", f"[PAD{num_tokens + 1}]"]
    assert found["tokenizer.ggml.token_type"][num_tokens:] == [5, 5]


def test_a_token_without_a_row_is_refused(tmp_path, write_tokenizer):
    num_tokens = len(write_tokenizer(tmp_path).tokens)
    with pytest.raises(MalformedModelError, match=rf"but the model has {num_tokens - 1} rows"):
        read_tokenizer(tmp_path, num_tokens - 1)


def test_a_tokenizer_that_cuts_otherwise_is_refused(tmp_path, write_tokenizer):
    num_tokens = len(write_tokenizer(tmp_path, split=r"\p{N}{1,3}|\s+|[^\s\p{N}]+").tokens)
    with pytest.raises(UnsupportedModelError, match="does not cut texts as the 'qwen2' tokenizer does"):
        read_tokenizer(tmp_path, num_tokens)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_or_broken_file_is_refused(tmp_path, write_tokenizer, name):
    num_tokens = len(write_tokenizer(tmp_path).tokens)
    (tmp_path / name).write_text('{"model": 3')
    with pytest.raises(MalformedModelError):
        read_tokenizer(tmp_path, num_tokens)
    (tmp_path / name).unlink()
    with pytest.raises(ModelNotFoundError, match=name):
        read_tokenizer(tmp_path, num_tokens)


def test_the_template_of_the_tokenizers_config_is_taken_too(tmp_path, write_tokenizer):
    num_tokens = len(write_tokenizer(tmp_path).tokens)
    (tmp_path / "chat_template.jinja").unlink()
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": "T"}))
    assert values(read_tokenizer(tmp_path, num_tokens))["tokenizer.chat_template"] == "T"
    templates = [{"name": "default", "template": "T"}, {"name": "tools", "template": "U"}]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": templates}))
    with pytest.raises(UnsupportedModelError, match="has several chat templates; supported is one"):
        read_tokenizer(tmp_path, num_tokens)


def test_eos_is_taken_from_the_generation_config_if_nothing_else_names_it(tmp_path, write_tokenizer):
    vocabulary = write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": null, "errors": "replace"}')
    found = values(read_tokenizer(tmp_path, len(vocabulary.tokens)))
    assert found["tokenizer.ggml.eos_token_id"] == vocabulary.eos_id


def test_sampling_defaults_are_carried(tmp_path, write_tokenizer):
    write_tokenizer(tmp_path)
    found = values(read_sampling(tmp_path))
    assert found == {
        "general.sampling.top_k": 20,
        "general.sampling.top_p": pytest.approx(0.85),
        "general.sampling.temp": 0.5,
    }
    (tmp_path / "generation_config.json").write_text('{"top_k": "many"}')
    with pytest.raises(MalformedModelError, match=r"Expected `int \| null`, got `str` - at `\$\.top_k`"):
        read_sampling(tmp_path)


def with_special_tokens_first():
    vocabulary = small_vocabulary(user_defined=["<think>"])
    tokens, types = vocabulary.tokens[-4:] + vocabulary.tokens[:-4], vocabulary.token_types[-4:] + [1] * 276
    return Vocabulary(tokens, types, vocabulary.merges, eos_id=3, pad_id=1)


@pytest.mark.parametrize("special_first", [False, True])
def test_the_written_tokenizer_encodes_and_decodes_like_the_runtimes(make, tmp_path, special_first):
    gguf = make.gguf(**{"vocabulary": with_special_tokens_first()} if special_first else {})
    convert(gguf, tmp_path / "pack")
    convert(tmp_path / "pack", tmp_path / "back.gguf")
    assert (tmp_path / "back.gguf").read_bytes() == gguf.read_bytes()
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "pack" / "tokenizer.json"))
    checkpoint = open_checkpoint(gguf)
    ours = Tokenizer.from_metadata(checkpoint.metadata, checkpoint.spec.vocab_size, gguf)
    for text in TEXTS:
        assert theirs.encode(text).ids == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == text
    turn = "<|im_start|>user\nhello<|im_end|>"
    assert theirs.encode(turn).ids == ours.encode(turn, special=True)
    added = theirs.get_added_tokens_decoder().values()
    assert {token.content: token.special for token in added if token.content.startswith("<")} == {
        "<think>": False, "<|endoftext|>": True, "<|im_start|>": True, "<|im_end|>": True,
    }  # fmt: skip


def test_template_and_special_tokens_are_written_back(make, tmp_path):
    metadata = {"general.sampling.temp": 0.7, "general.sampling.top_k": 40, "tokenizer.ggml.bos_token_id": 3}
    convert(make.gguf(extra_metadata=metadata), tmp_path / "pack")
    assert (tmp_path / "pack" / "chat_template.jinja").read_text() == CHATML_TEMPLATE
    config = json.loads((tmp_path / "pack" / "tokenizer_config.json").read_text())
    assert (config["eos_token"], config["pad_token"], config["bos_token"]) == ("<|im_end|>", "<|endoftext|>", None)
    generation = json.loads((tmp_path / "pack" / "generation_config.json").read_text())
    assert generation["temperature"] == 0.7
    assert generation["top_k"] == 40
    assert generation["do_sample"] is True
    assert generation["bos_token_id"] == 3


def test_a_tokenizer_that_adds_bos_is_refused(make, tmp_path):
    metadata = {"tokenizer.ggml.bos_token_id": 3, "tokenizer.ggml.add_bos_token": True}
    with pytest.raises(UnsupportedModelError, match=r"sets 'tokenizer\.ggml\.add_bos_token'"):
        convert(make.gguf(extra_metadata=metadata), tmp_path / "pack")
