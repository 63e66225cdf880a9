"""The scalar functions of the twin cover the table, and agree with it."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from fuseflow.ir.dataflow import TileAxes, TileOp
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS, apply_scalar
from fuseflow.sim.twin.scalar import COMBINE, SCALAR, apply, combine, fold_absent

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 90.0, -200.0, 1e-40, 3e38, math.inf, -math.inf]
POINTS = [np.float32(x) for x in [*SPECIAL, math.nan]]
PARAMETERS = [np.float32(x) for x in (0.0, 0.25, -2.0, 3.0, 0.5, math.inf)]


def test_every_function_of_the_table_is_here() -> None:
    assert set(SCALAR) == set(SCALAR_FUNCTIONS)
    assert set(COMBINE) == set(REDUCTIONS)


def arguments(name: str) -> Iterator[tuple[tuple[Any, ...], tuple[float, ...]]]:
    """Operands and parameters to compare a function with its reference at."""
    row = SCALAR_FUNCTIONS[name]
    constants = [(float(c),) for c in PARAMETERS] if row.parameters else [()]
    for operands in product(POINTS, repeat=row.arity):
        for parameters in constants:
            # NumPy takes a root for the power 0.5, so that -inf is not a number to it.
            if name != "pow_scalar" or operands[0] != -math.inf:
                yield operands, parameters


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SCALAR_FUNCTIONS)
def test_function_agrees_with_its_reference(name: str) -> None:
    for operands, parameters in arguments(name):
        with np.errstate(all="ignore"):
            got = apply(name, operands, parameters)
        wanted = apply_scalar(name, operands, parameters)
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7, err_msg=str(operands))
        assert got.dtype == np.float32


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [
        (-math.inf, 0.5, math.inf),
        (0.0, -1.0, math.inf),
        (-0.0, -1.0, -math.inf),
        (-1e30, 11.0, -math.inf),
        (-1e30, 12.0, math.inf),
        (-2.0, 0.5, math.nan),
    ],
)
def test_power_ends_where_that_of_c_does(base: float, exponent: float, expected: float) -> None:
    got = apply("pow_scalar", (np.float32(base),), (exponent,))
    np.testing.assert_array_equal(got, np.float32(expected))


def test_arithmetic_is_rounded_to_float32_per_operation() -> None:
    tenth = np.float32(0.1)
    assert apply("mul", (tenth, tenth), ()) == tenth * tenth
    assert apply("add", (np.float32(1e8), np.float32(1)), ()) == np.float32(1e8)
    assert apply("exp", (np.float32(1),), ()) == np.float32(math.exp(1))


@pytest.mark.parametrize("op", REDUCTIONS)
def test_identity_changes_nothing(op: str) -> None:
    identity = np.float32(REDUCTIONS[op].identity)
    for x in POINTS:
        np.testing.assert_array_equal(combine(op, identity, x), x)


def test_max_and_min_keep_what_is_not_a_number() -> None:
    nan, one = np.float32(math.nan), np.float32(1)
    for op in ("max", "min"):
        assert np.isnan(combine(op, nan, one))
        assert np.isnan(combine(op, one, nan))


def test_absent_entries_are_folded_in_one_step() -> None:
    three = np.float32(3)
    assert fold_absent("add", three, 2.0, 4) == 11
    assert fold_absent("mul", three, 2.0, 4) == 48
    assert fold_absent("max", three, 5.0, 1) == 5
    assert fold_absent("add", three, math.inf, 0) == 3


def test_functions_apply_to_tiles_by_element() -> None:
    tile = np.array([[1, -2], [3, -4]], np.float32)
    np.testing.assert_array_equal(apply("relu", (tile,), ()), [[1, 0], [3, 0]])
    np.testing.assert_array_equal(apply("add", (tile, 1.0), ()), tile + 1)
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((2, 3), (3, 4)))
    product = TileOp((2, 4, 3), (TileAxes((0, 2)), TileAxes((2, 1))), TileAxes((0, 1)), "add")
    np.testing.assert_array_equal(apply("mul", (left, right), (), product), left @ right)


def test_tiles_broadcast_and_fold_over_their_own_axes() -> None:
    rng = np.random.default_rng(1)
    matrix, row = (rng.integers(-3, 4, s).astype(np.float32) for s in ((2, 3), (3,)))
    both, column = TileAxes((0, 1)), TileAxes((1,))
    added = TileOp((2, 3), (both, column), both)
    np.testing.assert_array_equal(apply("add", (matrix, row), (), added), matrix + row)
    largest = TileOp((2, 3), (both,), TileAxes((0,)), "max")
    np.testing.assert_array_equal(apply("copy", (matrix,), (), largest), matrix.max(axis=1))
    turned = TileOp((2, 3), (both,), TileAxes((1, 0)))
    np.testing.assert_array_equal(apply("neg", (matrix,), (), turned), -matrix.T)
    total = TileOp((2, 3), (both, TileAxes(())), TileAxes(()), "add")
    assert apply("mul", (matrix, np.float32(2)), (), total) == 2 * matrix.sum()
