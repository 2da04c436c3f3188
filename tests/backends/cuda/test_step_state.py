import numpy as np
import pytest

from bonsai_edge.backend import Batch
from bonsai_edge_cuda.step_state import UNUSED, StepState, attention_tiles
from recording_driver import RecordingDriver


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("sequence_ids", "tile_rows", "tiles"),
    [
        ([0], 16, [(0, 1)]),
        ([0] * 5, 16, [(0, 5)]),
        ([0] * 5, 2, [(0, 2), (2, 2), (4, 1)]),
        ([0, 0, 0, 1, 2, 2], 2, [(0, 2), (2, 1), (3, 1), (4, 2)]),
        ([0, 1, 0, 1], 8, [(0, 1), (1, 1), (2, 1), (3, 1)]),
        ([3] * 4 + [1] * 4, 4, [(0, 4), (4, 4)]),
    ],
)
def test_a_tile_is_a_run_of_rows_of_one_sequence(sequence_ids, tile_rows, tiles) -> None:
    assert attention_tiles(int32(*sequence_ids), tile_rows).tolist() == [list(tile) for tile in tiles]


def test_every_row_is_in_one_tile_of_its_own_sequence() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        sequence_ids = np.repeat(rng.integers(0, 3, 12), rng.integers(1, 9, 12)).astype(np.int32)
        tile_rows = int(rng.integers(1, 9))
        covered = [range(first, first + count) for first, count in attention_tiles(sequence_ids, tile_rows)]
        assert [row for rows in covered for row in rows] == list(range(len(sequence_ids)))
        assert all(len(set(sequence_ids[list(rows)])) == 1 and len(rows) <= tile_rows for rows in covered)


def test_what_a_batch_does_not_have_is_marked_unused_whatever_was_there_before() -> None:
    driver = RecordingDriver()
    state = StepState(driver, max_rows=8, max_pages=3)
    tables = np.array([[4, 5, -1], [6, -1, -1]], np.int32)
    state.fill(Batch(int32(7, 8, 9), int32(40, 41, 3), int32(0, 0, 1), tables, int32(1, 2)), 4, tile_rows=16)
    state.copy(num_sequences=2)
    assert driver.ints(state.token_ids, 4) == [7, 8, 9, 0]
    assert driver.ints(state.positions, 4) == [40, 41, 3, UNUSED]
    assert driver.ints(state.sequence_ids, 4) == [0, 0, 1, 0]
    assert driver.ints(state.logit_rows(), 4) == [1, 2, 0, 0]
    assert driver.ints(state.logit_rows(1), 1) == [2]
    assert driver.ints(state.tiles, 4) == [0, 2, 2, 1]
    assert driver.ints(state.page_tables, 6) == [4, 5, -1, 6, -1, -1]
    state.fill(Batch(int32(1), int32(0), int32(0), int32(2)[None], int32()), 2, tile_rows=16)
    state.copy(num_sequences=1)
    assert driver.ints(state.token_ids, 2) == [1, 0]
    assert driver.ints(state.positions, 2) == [0, UNUSED]
    assert driver.ints(state.page_tables, 1) == [2]


def test_tables_may_be_wider_than_a_sequence_can_be_long() -> None:
    driver = RecordingDriver()
    state = StepState(driver, max_rows=2, max_pages=2)
    state.fill(Batch(int32(1), int32(0), int32(0), int32(8, 9, -1, -1)[None], int32(0)), 1, tile_rows=4)
    state.copy(num_sequences=1)
    assert driver.ints(state.page_tables, 2) == [8, 9]
