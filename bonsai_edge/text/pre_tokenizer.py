"""How `tokenizer.ggml.pre` = "qwen2" cuts text into words, before byte-pair merging within each word."""

from __future__ import annotations

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split

# Letters and digits that Unicode 16 added. The regex engine of `tokenizers` knows them; llama.cpp's tables, of Unicode
# 15.1, do not, and cut them off like punctuation.
_UNICODE_16 = (
    r"\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D40}-\x{10D85}\x{10EC2}-\x{10EC4}"
    r"\x{11380}-\x{113D3}\x{116D0}-\x{116E3}\x{11BC0}-\x{11BF9}\x{13460}-\x{143FA}\x{16100}-\x{16139}"
    r"\x{16D40}-\x{16D79}\x{18CFF}\x{1CCF0}-\x{1CCF9}\x{1E5D0}-\x{1E5FA}"
)
_LETTER = rf"[\p{{L}}&&[^{_UNICODE_16}]]"
_DIGIT = rf"[\p{{N}}&&[^{_UNICODE_16}]]"
# The alternatives of LLAMA_VOCAB_PRE_TYPE_QWEN2 in llama.cpp's llama-vocab.cpp, in their order.
_QWEN2 = "|".join(
    (
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
        rf"[^\r\n{_LETTER}{_DIGIT}]?{_LETTER}+",
        _DIGIT,
        rf" ?[^\s{_LETTER}{_DIGIT}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def qwen2_pre_tokenizer() -> PreTokenizer:
    """Return the pre-tokenizer that cuts as llama.cpp does and writes each word in the byte-level alphabet."""
    return Sequence([Split(Regex(_QWEN2), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])
