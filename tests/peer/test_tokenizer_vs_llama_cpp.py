"""Our tokenizer against llama.cpp's, on the Qwen2 vocabulary that lies in llama.cpp's own tests."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bonsai_edge.formats.gguf import GGUFFile
from bonsai_edge.generation import Message
from bonsai_edge.text.chat import encode_chat
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.detokenizer import Detokenizer
from bonsai_edge.text.tokenizer import Tokenizer
from chat_templates import THINKING_TEMPLATE

llama_cpp = pytest.importorskip("llama_cpp", reason="the peer tests need the extra `peer`")

pytestmark = pytest.mark.peer

NUM_RANDOM_TEXTS = 10_000
SURROGATES = range(0xD800, 0xE000)


class LlamaVocabulary:
    """llama.cpp's tokenizer over its C interface: the wrapper's `detokenize` fails on tokens of over 32 bytes."""

    def __init__(self, path: Path) -> None:
        self._llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        self._vocab = llama_cpp.llama_model_get_vocab(self._llama.model)

    def encode(self, text: str, special: bool = False) -> list[int]:
        raw = text.encode()
        ids = (ctypes.c_int32 * (len(raw) + 1))()
        count = llama_cpp.llama_tokenize(self._vocab, raw, len(raw), ids, len(ids), False, special)
        assert count >= 0
        return ids[:count]

    def decode(self, ids: list[int], special: bool = False) -> bytes:
        array = (ctypes.c_int32 * len(ids))(*ids)
        text = ctypes.create_string_buffer(256 * len(ids) + 1)
        count = llama_cpp.llama_detokenize(self._vocab, array, len(ids), text, len(text), False, special)
        assert count >= 0
        return text.raw[:count]

    def stops_at(self, token_id: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token_id))


@pytest.fixture(scope="module")
def tokenizer(qwen2_vocabulary: Path) -> Tokenizer:
    return Tokenizer.from_metadata(GGUFFile(qwen2_vocabulary).metadata, 151936, qwen2_vocabulary)


@pytest.fixture(scope="module")
def llama(qwen2_vocabulary: Path) -> LlamaVocabulary:
    return LlamaVocabulary(qwen2_vocabulary)


def test_every_published_case_encodes_identically(tokenizer: Tokenizer, qwen2_vocabulary: Path) -> None:
    texts = qwen2_vocabulary.with_suffix(".gguf.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    expected = qwen2_vocabulary.with_suffix(".gguf.out").read_bytes().decode().splitlines()
    cases = list(zip(texts, expected, strict=False))
    assert len(cases) == len(expected) >= 46
    for text, ids in cases:
        assert tokenizer.encode(text) == [int(token_id) for token_id in ids.split()], repr(text)


def test_random_texts_encode_and_round_trip_identically(tokenizer: Tokenizer, llama: LlamaVocabulary) -> None:
    for text in random_texts(random.Random(1), NUM_RANDOM_TEXTS):
        ids = tokenizer.encode(text)
        assert ids == llama.encode(text), ascii(text)
        assert tokenizer.decode(ids) == text, ascii(text)
        assert llama.decode(ids).decode() == text, ascii(text)


def test_random_texts_with_special_tokens_encode_and_decode_identically(
    tokenizer: Tokenizer, llama: LlamaVocabulary
) -> None:
    rng = random.Random(2)
    specials = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "[PAD151646]", "[PAD151700]", "<|im_", "|>", "[PAD"]
    for text in random_texts(rng, 1000):
        cut = rng.randrange(len(text) + 1)
        mixed = text[:cut] + "".join(rng.choices(specials, k=rng.randrange(1, 4))) + text[cut:]
        for special in (False, True):
            ids = tokenizer.encode(mixed, special)
            assert ids == llama.encode(mixed, special), ascii(mixed)
            assert tokenizer.decode(ids).encode() == llama.decode(ids), ascii(mixed)
            assert tokenizer.decode(ids, special=True).encode() == llama.decode(ids, special=True), ascii(mixed)


def test_pieces_of_random_token_ids_match(tokenizer: Tokenizer, llama: LlamaVocabulary) -> None:
    rng = random.Random(3)
    for _ in range(1000):
        ids = rng.choices(range(tokenizer.num_tokens), k=20)
        detokenizer = Detokenizer(tokenizer)
        text = "".join(map(detokenizer.push, ids)) + detokenizer.finish()
        assert text == llama.decode(ids).decode(errors="replace")


def test_every_character_is_of_the_same_class(tokenizer: Tokenizer, llama: LlamaVocabulary) -> None:
    """Between letters, digits, spaces and punctuation, a letter, digit, space or other is cut differently."""
    dense = [code for code in range(0x30000) if code not in SURROGATES]
    sparse = range(0x30000, 0x110000, 101)
    for codes in (dense, sparse):
        for start in range(0, len(codes), 1024):
            text = "".join(f"a{chr(code)}b1{chr(code)} {chr(code)}!" for code in codes[start : start + 1024])
            assert tokenizer.encode(text) == llama.encode(text), f"from U+{codes[start]:04X}"


def test_generation_stops_where_llama_cpp_stops(tokenizer: Tokenizer, llama: LlamaVocabulary) -> None:
    stops = {token_id for token_id in range(151643, tokenizer.num_tokens) if llama.stops_at(token_id)}
    assert tokenizer.stop_ids == stops == {151643, 151645}


def test_chat_prompt_is_the_one_recorded_of_bonsai(qwen2_vocabulary: Path) -> None:
    """Ids recorded from Bonsai 1.7B, whose vocabulary names two of the ids that are padding in this one."""
    metadata = dict(GGUFFile(qwen2_vocabulary).metadata)
    tokens = [*metadata["tokenizer.ggml.tokens"][:151667], "<think>", "</think>"]
    metadata |= {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": metadata["tokenizer.ggml.token_type"][:151669],
    }
    tokenizer = Tokenizer.from_metadata(metadata, 151669, qwen2_vocabulary)
    messages = [Message("user", "The capital of France is")]
    # fmt: off
    assert encode_chat(tokenizer, ChatTemplate(THINKING_TEMPLATE), messages) == [
        151644, 872, 198, 785, 6722, 315, 9625, 374, 151645, 198, 151644, 77091, 198, 151667, 271, 151668, 271,
    ]
    # fmt: on


def random_texts(rng: random.Random, count: int) -> Iterator[str]:
    """Yield texts that mix scripts, whitespace, digits, controls, emoji, private use and unassigned characters."""
    ranges = [
        range(0x20, 0x7F),
        range(0x20, 0x7F),
        range(0x00, 0x20),
        range(0x80, 0x250),
        range(0x300, 0x370),  # combining marks
        range(0x370, 0x530),  # Greek, Cyrillic
        range(0x590, 0x780),  # Hebrew, Arabic, Syriac
        range(0x900, 0xE80),  # scripts of India, Thai
        range(0x1C80, 0x2000),
        range(0x2000, 0x2070),  # spaces, joiners, directions
        range(0x2070, 0x2C00),  # symbols
        range(0x3000, 0x3100),  # Japanese
        range(0x4E00, 0xA000),  # Chinese
        range(0xA640, 0xD7A4),  # Korean and others
        range(0xE000, 0xF900),  # private use
        range(0xF900, 0x10000),  # compatibility forms, noncharacters
        range(0x10000, 0x1F000),
        range(0x1F000, 0x20000),  # emoji
        range(0x20000, 0x110000),  # rare Chinese, unassigned, tags, private use
    ]
    words = [
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u00a0",
        "\u0085",
        "\u3000",
        "'s",
        "'LL",
        "\u2019s",
        "'\u017f",
        "123",
        "٣",
        "Ⅷ",
        "the",
    ]
    for _ in range(count):
        few = rng.sample(ranges, 3)
        pieces = [
            rng.choice(words) if rng.random() < 0.3 else chr(rng.choice(rng.choice(few)))
            for _ in range(rng.randrange(1, 40))
        ]
        yield "".join(pieces)
