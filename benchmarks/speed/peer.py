"""llama.cpp's side, through its C interface, with its defaults for everything but contexts and threads.

Needs llama-cpp-python, built for this machine: CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary llama-cpp-python
llama-cpp-python.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path

import llama_cpp

from speed.case import Case
from speed.engine import Engine, random_token_ids

_WARM_UP_TOKENS = 16
_IGNORE_LOG = llama_cpp.llama_log_callback(lambda level, text, user_data: None)  # ctypes needs it to stay alive


class LlamaCpp(Engine):
    """One model and a context for each depth and number of sequences, just large enough for its cases."""

    def __init__(self, path: Path, threads: int) -> None:
        llama_cpp.llama_log_set(_IGNORE_LOG, None)
        llama_cpp.llama_backend_init()
        self._threads = threads
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load {path}.")
        self._vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._contexts: dict[tuple[int, int], _Context] = {}

    def describe(self) -> str:
        """See `Engine.describe`."""
        system_info: str = llama_cpp.llama_print_system_info().decode()
        return system_info.strip(" |")

    def prepare(self, cases: Sequence[Case]) -> None:
        """See `Engine.prepare`; what a shallower context has computed is copied into the next."""
        self._token_ids = random_token_ids(max(case.longest for case in cases), self._vocab_size)
        filled: _Context | None = None
        for depth, num_sequences in sorted({(case.depth, case.num_sequences) for case in cases}):
            longest = max(case.longest for case in cases if (case.depth, case.num_sequences) == (depth, num_sequences))
            context = _Context(self._model, longest, num_sequences, self._threads)
            for sequence in range(num_sequences):
                context.fill(sequence, self._token_ids[:depth], filled)
                filled = context
            self._contexts[depth, num_sequences] = context
        for case in cases:
            num_tokens = min(case.num_tokens, _WARM_UP_TOKENS if case.phase == "prefill" else 1)
            self.run(Case(case.phase, num_tokens, case.depth, case.num_sequences))

    def run(self, case: Case) -> float:
        """See `Engine.run`."""
        context = self._contexts[case.depth, case.num_sequences]
        token_ids = self._token_ids[case.depth : case.longest]
        started = time.perf_counter()
        if case.phase == "prefill":
            context.append(token_ids)
        else:
            for token_id in token_ids:
                context.append([token_id] * case.num_sequences, together=True)
        seconds = time.perf_counter() - started
        context.rewind(case.depth)
        return seconds


class _Context:
    """A KV cache for `num_sequences` sequences of `length` tokens each."""

    def __init__(self, model: llama_cpp.llama_model_p, length: int, num_sequences: int, threads: int) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = length * num_sequences
        params.n_seq_max = num_sequences
        params.n_threads = params.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise RuntimeError(f"llama.cpp cannot make a context of {num_sequences} x {length} tokens.")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._most_tokens: int = llama_cpp.llama_n_batch(self._context)
        self._batch = llama_cpp.llama_batch_init(self._most_tokens, 0, 1)
        self._positions = [0] * num_sequences

    def fill(self, sequence: int, token_ids: Sequence[int], other: _Context | None) -> None:
        """Run `token_ids` in an empty sequence; the first of them are copied from sequence 0 of another context."""
        if other is not None and other._positions[0] > 0:
            size = llama_cpp.llama_state_seq_get_size(other._context, 0)
            state = (ctypes.c_uint8 * size)()
            llama_cpp.llama_state_seq_get_data(other._context, state, size, 0)
            if llama_cpp.llama_state_seq_set_data(self._context, state, size, sequence) == 0:
                raise RuntimeError("llama.cpp cannot copy the state of a sequence.")
            self._positions[sequence] = other._positions[0]
        rest = token_ids[self._positions[sequence] :]
        for start in range(0, len(rest), self._most_tokens):
            self.append(rest[start : start + self._most_tokens], sequence)

    def append(self, token_ids: Sequence[int], sequence: int = 0, *, together: bool = False) -> None:
        """Append all tokens to one sequence, or one `together` to each; wait for the logits of the last, or of each."""
        batch = self._batch
        batch.n_tokens = len(token_ids)
        for row, token_id in enumerate(token_ids):
            target = row if together else sequence
            batch.token[row] = token_id
            batch.pos[row] = self._positions[target]
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = target
            batch.logits[row] = together or row == len(token_ids) - 1
            self._positions[target] += 1
        status = llama_cpp.llama_decode(self._context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}.")
        llama_cpp.llama_synchronize(self._context)

    def rewind(self, depth: int) -> None:
        """Forget every token from `depth` on."""
        if not llama_cpp.llama_memory_seq_rm(self._memory, -1, depth, -1):
            raise RuntimeError(f"llama.cpp cannot go back to {depth} tokens.")
        self._positions = [depth] * len(self._positions)
