"""Constants that stay broadcasts, and scatters of them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from fuseflow.frontend.onnx.lazy import compact, fold_lazily

Array = npt.NDArray[Any]

HUGE = 2**40


def fold(op: str, *operands: Array, **attrs: Any) -> Array:
    result = fold_lazily(op, operands, attrs)
    assert result is not None
    return result


def test_expansion_takes_the_memory_of_what_it_repeats() -> None:
    column = np.arange(3).reshape(3, 1)
    wide = fold("Expand", column, np.array([3, HUGE]))
    assert wide.shape == (3, HUGE)
    np.testing.assert_array_equal(compact(wide), column)


def test_filled_shape_takes_no_memory() -> None:
    value = numpy_helper.from_array(np.array([7], dtype=np.int64))
    filled = fold("ConstantOfShape", np.array([HUGE, 2]), value=value)
    assert (filled.shape, compact(filled).tolist()) == ((HUGE, 2), [[7]])
    assert fold("ConstantOfShape", np.array([2])).dtype == np.float32


def test_scatter_of_broadcasts_is_a_broadcast() -> None:
    base = fold("ConstantOfShape", np.array([4, HUGE]))
    rows = fold("Expand", np.array([[2], [0], [2]]), np.array([3, HUGE]))
    ones = np.broadcast_to(np.float32(1), (3, HUGE))
    result = fold("ScatterElements", base, rows, ones, axis=0, reduction="add")
    assert result.shape == (4, HUGE)
    assert compact(result).reshape(-1).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scatter_of_arrays_equals_the_reference_of_onnx(reduction: str, axis: int) -> None:
    generator = np.random.default_rng(0)
    data = generator.standard_normal((4, 4)).astype(np.float32)
    # Each place is written to once, so that the order of writing does not matter.
    indices = np.stack([generator.permutation(4)[:3] for _ in range(3)])
    indices = indices.T.copy() if axis == 0 else indices
    updates = generator.standard_normal((3, 3)).astype(np.float32)
    node = helper.make_node(
        "ScatterElements", ["d", "i", "u"], ["y"], axis=axis, reduction=reduction
    )
    (expected,) = ReferenceEvaluator(node).run(None, {"d": data, "i": indices, "u": updates})
    result = fold("ScatterElements", data, indices, updates, axis=axis, reduction=reduction)
    np.testing.assert_allclose(result, expected)


def test_scatter_that_leaves_out_columns_keeps_them() -> None:
    base = np.broadcast_to(np.float32(5), (3, 4))
    rows = np.broadcast_to(np.array([[1]]), (1, 2))
    updates = np.broadcast_to(np.float32(1), (1, 2))
    result = fold("ScatterElements", base, rows, updates, axis=0, reduction="none")
    expected = np.full((3, 4), 5, dtype=np.float32)
    expected[1, :2] = 1
    np.testing.assert_array_equal(result, expected)


def test_other_operators_are_not_folded_here() -> None:
    assert fold_lazily("Add", (np.ones(2), np.ones(2)), {}) is None
