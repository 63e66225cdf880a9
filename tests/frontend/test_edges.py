"""Lists of indices, and constants that are given by their entries."""

import numpy as np
import pytest

from fuseflow.frontend.graph.edges import is_edge_weight, one_list, resolve
from fuseflow.frontend.graph.entries import Entries

ENTRIES = Entries(np.array([[0, 5], [3, 0], [4, 3], [4, 4]]), np.arange(1, 5, dtype=np.float32))


def dense(entries: Entries, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape, dtype=np.float32)
    result[tuple(entries.coordinates.T)] = entries.numbers
    return result


def test_negative_indices_count_from_the_end() -> None:
    assert resolve(np.array([0, -1, 2]), 4).tolist() == [0, 3, 2]


@pytest.mark.parametrize("wrong", [4, -5])
def test_index_outside_is_named(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"index {wrong} is outside of the 4 coordinates"):
        resolve(np.array([0, wrong]), 4)


def test_list_is_found_in_what_repeats_it() -> None:
    rows = np.array([3, 1, 1])
    wide = np.broadcast_to(rows.reshape(3, 1), (3, 2**40))
    found = one_list(wide, 0)
    assert found is not None
    assert found.tolist() == [3, 1, 1]
    found = one_list(np.ascontiguousarray(np.broadcast_to(rows, (4, 3))), 1)
    assert found is not None
    assert found.tolist() == [3, 1, 1]


def test_list_that_differs_between_columns_is_none() -> None:
    assert one_list(np.array([[0, 1], [1, 0]]), 0) is None


def test_list_without_indices_is_empty() -> None:
    found = one_list(np.zeros((0, 7), dtype=np.int64), 0)
    assert found is not None
    assert found.shape == (0,)


def test_edge_weight_has_one_number_per_edge() -> None:
    assert is_edge_weight((9,), [(7,), (2, 9)])
    assert is_edge_weight(["edges"], [[2, "edges"]])
    assert not is_edge_weight((9,), [(2, 8)])
    assert not is_edge_weight((9, 1), [(2, 9)])


def test_entries_are_cut_like_slices() -> None:
    whole = dense(ENTRIES, (5, 6))
    cut = ENTRIES.cut(1, 1, 6, 2)
    np.testing.assert_array_equal(dense(cut, (5, 3)), whole[:, 1:6:2])
    assert ENTRIES.cut(0, 1, 3, 1).coordinates.shape == (0, 2)


def test_entries_are_split_like_reshapes() -> None:
    split = ENTRIES.split([(5,), (2, 3)])
    np.testing.assert_array_equal(dense(split, (5, 2, 3)), dense(ENTRIES, (5, 6)).reshape(5, 2, 3))


def test_dimension_of_extent_1_has_no_coordinate() -> None:
    column = Entries(np.array([[2, 0], [4, 0]]))
    split = column.split([(6,), ()])
    assert split.coordinates.tolist() == [[2], [4]]
    assert split.numbers.tolist() == [1, 1]
