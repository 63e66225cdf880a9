"""Tensors store what they denote, in every format."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.ir.tensor import Format, Level, LevelFormat, Tensor, dense_format, tensor_from_dense
from fuseflow.ir.testing import make_graph, make_tensor
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.strategies import formats, tensors

A = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 0]], dtype=np.float32)


@given(st.data(), st.lists(st.integers(0, 4), max_size=4))
def test_dense_array_survives_every_format(data: st.DataObject, shape: list[int]) -> None:
    first = data.draw(tensors(tuple(shape)))
    dense = first.to_dense()
    again = tensor_from_dense(dense, data.draw(formats(len(shape))), fill=first.fill)
    np.testing.assert_array_equal(again.to_dense(), dense)


@given(st.data(), st.lists(st.integers(0, 4), max_size=4))
def test_stored_tensor_is_well_formed_and_lists_its_entries(
    data: st.DataObject, shape: list[int]
) -> None:
    tensor = data.draw(tensors(tuple(shape)))
    names = ",".join("ijkl"[: len(shape)])
    verify_einsum_graph(make_graph([f"Z[{names}] = copy(x[{names}])"], tensors={"x": tensor}))
    coordinates = tensor.coordinates()
    assert tensor.values is not None
    assert len(coordinates) == tensor.stored == len(tensor.values)
    assert len(np.unique(coordinates, axis=0)) == len(coordinates)
    assert (coordinates < np.array(shape).reshape(1, -1)).all()
    in_order = coordinates[:, list(tensor.mode_order)].tolist()
    assert in_order == sorted(in_order)
    if shape:
        np.testing.assert_array_equal(tensor.to_dense()[tuple(coordinates.T)], tensor.values)


def test_compressed_rows_have_segments_and_coordinates() -> None:
    tensor = make_tensor((A, "dense,compressed"))
    rows, columns = tensor.levels
    assert (rows.segments, rows.coordinates) == (None, None)
    assert columns.segments is not None
    assert columns.coordinates is not None
    assert columns.segments.tolist() == [0, 2, 2, 3]
    assert columns.coordinates.tolist() == [1, 3, 0]
    assert tensor.values is not None
    assert tensor.values.tolist() == [1, 2, 3]
    assert tensor.density == 3 / 12


def test_mode_order_stores_columns_first() -> None:
    tensor = make_tensor((A, "compressed,compressed@1,0"))
    assert [level.size for level in tensor.levels] == [4, 3]
    assert tensor.coordinates().tolist() == [[2, 0], [0, 1], [0, 3]]
    np.testing.assert_array_equal(tensor.to_dense(), A)


def test_entries_below_a_dense_level_are_kept_whatever_their_value() -> None:
    tensor = make_tensor((A, "compressed,dense"))
    assert tensor.stored == 8
    assert tensor.coordinates()[:, 0].tolist() == [0] * 4 + [2] * 4


def test_fill_is_what_may_be_omitted() -> None:
    dense = np.array([5.0, np.nan, 0.0, 5.0], dtype=np.float32)
    tensor = make_tensor((dense, "compressed fill=5"))
    assert tensor.coordinates().ravel().tolist() == [1, 2]
    np.testing.assert_array_equal(tensor.to_dense(), dense)


def test_stored_pattern_may_hold_fills_and_a_nan_fill_holds_everything() -> None:
    keep = np.array([True, False, True])
    explicit = tensor_from_dense(
        [0.0, 0.0, 1.0], Format((LevelFormat.COMPRESSED,), (0,)), stored=keep
    )
    assert explicit.values is not None
    assert explicit.values.tolist() == [0, 1]
    assert make_tensor(([1.0, np.nan], "compressed fill=nan")).stored == 2


def test_pattern_denotes_ones() -> None:
    tensor = make_tensor((A, "dense,compressed pattern"))
    assert tensor.values is None
    np.testing.assert_array_equal(tensor.to_dense(), A != 0)


def test_scalar_has_one_entry_and_no_levels() -> None:
    tensor = tensor_from_dense(2.5)
    assert (tensor.shape, tensor.levels, tensor.stored) == ((), (), 1)
    assert tensor.to_dense() == 2.5
    assert tensor.format == dense_format(0)


def test_singleton_level_has_one_coordinate_per_position_above() -> None:
    def stored(*numbers: int) -> np.ndarray:
        return np.array(numbers, dtype=np.int64)

    rows = Level(LevelFormat.COMPRESSED, 3, stored(0, 2), stored(0, 2))
    columns = Level(LevelFormat.SINGLETON, 4, coordinates=stored(3, 0))
    tensor = Tensor((3, 4), (rows, columns), (0, 1), np.array([2, 3], np.float32))
    np.testing.assert_array_equal(tensor.to_dense(), [[0, 0, 0, 2], [0] * 4, [3, 0, 0, 0]])


@pytest.mark.parametrize(
    ("fmt", "reason"),
    [
        (Format((LevelFormat.DENSE,), (0,)), "does not fit"),
        (Format((LevelFormat.DENSE,) * 2, (0, 1), (2, 2)), "does not fit"),
        (Format((LevelFormat.DENSE, LevelFormat.SINGLETON), (0, 1)), "cannot build"),
    ],
)
def test_format_that_does_not_fit_is_refused(fmt: Format, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tensor_from_dense(A, fmt)


def test_mode_order_must_be_a_permutation() -> None:
    with pytest.raises(ValueError, match="no order of 2 modes"):
        Format((LevelFormat.DENSE,) * 2, (0, 0))


def test_tiles_beyond_the_extent_are_cut_off() -> None:
    values = np.array([[1, 2], [3, 9]], np.float32)
    tensor = Tensor((3,), (Level(LevelFormat.DENSE, 2),), (0,), values, tile=(2,))
    np.testing.assert_array_equal(tensor.to_dense(), [1, 2, 3])
