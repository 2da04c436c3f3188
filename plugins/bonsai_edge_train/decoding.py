"""Greedy decoding of many prompts at once, with a KV cache."""

# mypy: disallow-untyped-decorators=False
# (PyTorch is an optional extra; without it mypy sees its decorators as Any.)

from __future__ import annotations

import torch
from tokenizers import Tokenizer

from bonsai_edge_train.batches import encode_turn, pad
from bonsai_edge_train.chat import END_OF_TEXT, END_OF_TURN
from bonsai_edge_train.loss import find_targets
from bonsai_edge_train.model import KVCache, Qwen3
from bonsai_edge_train.vocabulary import token_id

MAX_NEW_TOKENS = 200


@torch.inference_mode()
def answer_greedily(model: Qwen3, tokenizer: Tokenizer, prompts: list[str]) -> list[str]:
    """Decode the most likely answer to each prompt, of at most 200 tokens and within the context; `model` is frozen."""
    if not prompts:
        return []
    end_id = token_id(tokenizer, END_OF_TURN)
    prompt_ids: list[list[int]] = [encoding.ids for encoding in tokenizer.encode_batch(prompts)]
    lengths = torch.tensor([len(ids) for ids in prompt_ids])
    longest = int(lengths.max())
    assert longest <= model.config.context_length, f"a prompt has {longest} tokens"
    cache = KVCache(model.config, len(prompts), min(longest + MAX_NEW_TOKENS, model.config.context_length))
    # Padding at the end is harmless: attention is causal, and the cache overwrites it.
    token_ids = torch.tensor([ids + [end_id] * (longest - len(ids)) for ids in prompt_ids])
    last_rows = torch.arange(len(prompts)) * longest + lengths - 1
    next_ids = model(token_ids, rows=last_rows, cache=cache).argmax(dim=-1)
    cache.lengths = lengths

    answers: list[list[int]] = [[] for _ in prompts]
    open_answers = torch.arange(len(prompts))
    while True:
        for answer, next_id in zip(open_answers.tolist(), next_ids.tolist(), strict=True):
            answers[answer].append(next_id)
        is_open = (next_ids != end_id) & (cache.lengths < cache.capacity)
        is_open &= torch.tensor([len(answers[answer]) < MAX_NEW_TOKENS for answer in open_answers.tolist()])
        if not is_open.all():
            if not is_open.any():
                break
            cache.keep_rows(is_open.nonzero().flatten())
            open_answers, next_ids = open_answers[is_open], next_ids[is_open]
        next_ids = model(next_ids[:, None], cache=cache)[:, 0].argmax(dim=-1)
        cache.lengths += 1
    return [tokenizer.decode(answer, skip_special_tokens=False).removesuffix(END_OF_TURN) for answer in answers]


@torch.inference_mode()
def answer_or_confirm(model: Qwen3, tokenizer: Tokenizer, prompts: list[str], expected: list[str]) -> list[str]:
    """Return what `answer_greedily` does, in less time the more of the answers are the expected ones.

    Greedy decoding gives certain tokens if and only if each of them is the most likely one after those before it, which
    one forward pass tells; only the other answers are decoded.
    """
    if not prompts:
        return []
    encoded = [encode_turn(tokenizer, prompt, answer, 0.0) for prompt, answer in zip(prompts, expected, strict=True)]
    token_ids, weights = pad(encoded, token_id(tokenizer, END_OF_TEXT))
    targets = find_targets(token_ids, weights)
    is_wrong = (model(token_ids, rows=targets.rows).argmax(dim=-1) != targets.token_ids) & (targets.weights > 0)
    doubtful = sorted(set((targets.rows[is_wrong] // token_ids.shape[1]).tolist()))
    answers = list(expected)
    decoded = answer_greedily(model, tokenizer, [prompts[index] for index in doubtful])
    for index, answer in zip(doubtful, decoded, strict=True):
        answers[index] = answer
    return answers
