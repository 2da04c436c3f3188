"""Whatever is opened, forked, pinned, restored or interrupted: sequences read back their tokens, no page is lost."""

from itertools import chain

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.pins import PinnedPrefixes
from bonsai_edge.engine.snapshot import PrefixSnapshot
from bonsai_edge.errors import KVCacheFullError
from bonsai_edge.kv_cache import PAGE_TOKENS
from fake_runner import CountingRunner
from paging_checks import check_pages, longest_cached

NUM_PAGES = 7
MOST_TOKENS = NUM_PAGES * PAGE_TOKENS

pieces = st.sampled_from([[1] * 3, [1] * 17, [2] * 8, [1, 2] * 16, [2] * 32, [3] * 33, [1] * 64])
texts = st.lists(pieces, min_size=1, max_size=4).map(lambda parts: [*chain(*parts)])
numbers = st.integers(0, 1 << 16)


class LateRunner(CountingRunner):
    """Can be interrupted, and then finishes its step only when it is called for the next, as a team of threads may."""

    def __init__(self):
        super().__init__(num_pages=NUM_PAGES)
        self.is_interrupted = False
        self._late = None

    def forward(self, batch):
        if self._late is not None:
            super().forward(self._late)
            self._late = None
        if self.is_interrupted:
            self._late = batch
            raise KeyboardInterrupt
        return super().forward(batch)


class Sequences(RuleBasedStateMachine):
    @initialize()
    def load(self):
        self.runner = LateRunner()
        self.engine = Engine(self.runner)
        self.pins = PinnedPrefixes(self.engine)
        self.texts = {}  # the tokens of each open sequence
        self.room = {}  # how many it may have
        self.snapshots = []

    def chosen(self, number):
        return list(self.texts)[number % len(self.texts)]

    def opened(self, sequence, text, room):
        self.texts[sequence] = text
        self.room[sequence] = room

    def forget(self, sequence):
        sequence.close()
        del self.texts[sequence], self.room[sequence]

    def fitting(self, sequence, token_ids):
        return token_ids[: self.room[sequence] - len(self.texts[sequence])]

    def append(self, sequence, token_ids):
        if token_ids:
            sequence.prefill(token_ids)
            self.texts[sequence] += token_ids

    @rule(prompt=texts, max_tokens=st.integers(0, 80), num_steps=numbers)
    def open_prompt(self, prompt, max_tokens, num_steps):
        cached = longest_cached(self.engine, prompt[:-1])
        room = len(prompt) + max_tokens
        try:
            sequence = self.engine.open_prompt(prompt, max_tokens)
        except KVCacheFullError:
            assert self.texts or self.pins.num_tokens or room > MOST_TOKENS
            return
        assert sequence.length == cached
        self.opened(sequence, prompt[:cached], room)
        rest = prompt[cached:]
        self.append(sequence, rest[: num_steps % (len(rest) + 1)])  # cancelled in between, unless it is all

    @rule(num_tokens=st.integers(1, 100))
    def open_apart(self, num_tokens):
        try:
            self.opened(self.engine.sequence(num_tokens), [], num_tokens)
        except KVCacheFullError:
            assert self.texts or self.pins.num_tokens

    @precondition(lambda self: self.texts)
    @rule(number=numbers, piece=pieces)
    def grow(self, number, piece):
        sequence = self.chosen(number)
        self.append(sequence, self.fitting(sequence, piece))

    @precondition(lambda self: self.texts)
    @rule(number=numbers)
    def fork(self, number):
        sequence = self.chosen(number)
        try:
            self.opened(sequence.fork(), list(self.texts[sequence]), self.room[sequence])
        except KVCacheFullError:
            return

    @precondition(lambda self: self.texts)
    @rule(number=numbers)
    def close(self, number):
        self.forget(self.chosen(number))

    @precondition(lambda self: self.texts)
    @rule(number=numbers, piece=pieces)
    def interrupt_a_step(self, number, piece):
        sequence = self.chosen(number)
        token_ids = self.fitting(sequence, piece)
        if token_ids:
            self.runner.is_interrupted = True
            with pytest.raises(KeyboardInterrupt):
                sequence.prefill(token_ids)
            self.runner.is_interrupted = False
            self.forget(sequence)

    @precondition(lambda self: len(self.texts) > 1)
    @rule(number=numbers, piece=pieces)
    def close_one_during_a_step_of_another(self, number, piece):
        sequence, abandoned = self.chosen(number), self.chosen(number + 1)
        forward = self.runner.forward

        def forward_and_collect(batch):
            self.runner.forward = forward
            self.forget(abandoned)
            return forward(batch)

        self.runner.forward = forward_and_collect
        self.append(sequence, self.fitting(sequence, piece))
        self.runner.forward = forward

    @rule(name=st.sampled_from("ab"), prefix=texts)
    def pin(self, name, prefix):
        try:
            self.pins.pin(name, prefix)
        except KVCacheFullError:
            assert self.texts or self.pins.num_tokens or len(prefix) > MOST_TOKENS
        else:
            assert self.pins.num_tokens[name] == len(prefix) == longest_cached(self.engine, prefix)

    @precondition(lambda self: self.pins.num_tokens)
    @rule(number=numbers)
    def unpin(self, number):
        names = list(self.pins.num_tokens)
        self.pins.unpin(names[number % len(names)])

    @rule(text=texts)
    def take_a_snapshot(self, text):
        cached = longest_cached(self.engine, text)
        try:
            with self.engine.snapshot(text) as snapshot:
                assert list(snapshot.token_ids) == text[:cached]
                pages = []
                for page in snapshot.pages:
                    pages.append(page)
                    self.grow_any(len(pages))
        except KVCacheFullError:
            assert self.texts or self.pins.num_tokens
            return
        assert len(pages) == -(-cached // PAGE_TOKENS)
        self.snapshots.append(PrefixSnapshot(snapshot.token_ids, pages))

    @precondition(lambda self: self.snapshots)
    @rule(number=numbers, num_readable=numbers)
    def restore(self, number, num_readable):
        snapshot = self.snapshots[number % len(self.snapshots)]
        num_readable %= 2 * len(snapshot.pages) + 1

        def reading():
            for index, page in enumerate(snapshot.pages[:num_readable]):
                self.grow_any(index)
                yield page

        free = self.engine.num_free_pages
        cached = self.engine.restore(PrefixSnapshot(snapshot.token_ids, reading()))
        assert cached == longest_cached(self.engine, snapshot.token_ids)
        assert cached >= min(len(snapshot.token_ids), PAGE_TOKENS * min(num_readable, free))

    def grow_any(self, number):
        """Append to a sequence in between, if there is one that may grow."""
        if self.texts:
            sequence = self.chosen(number)
            self.append(sequence, self.fitting(sequence, [1, 2] * 16))

    @invariant()
    def every_sequence_reads_back_its_tokens(self):
        pinned = {
            pin.sequence: pin.sequence._table.token_ids[: pin.num_tokens // PAGE_TOKENS * PAGE_TOKENS]
            for pin in self.pins._pins.values()
        }
        check_pages(self.engine, self.runner, {**self.texts, **pinned})
        assert all(longest_cached(self.engine, text) == len(text) for text in pinned.values())

    def teardown(self):
        if not hasattr(self, "engine"):
            return
        for sequence, text in self.texts.items():  # all at once can have what they were promised
            missing = self.room[sequence] - len(text)
            if missing:
                self.append(sequence, [3] * missing)
        self.every_sequence_reads_back_its_tokens()
        for sequence in list(self.texts):
            self.forget(sequence)
        for name in list(self.pins.num_tokens):
            self.pins.unpin(name)
        assert self.engine.num_free_pages == NUM_PAGES
        self.every_sequence_reads_back_its_tokens()


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
