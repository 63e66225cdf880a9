"""The table of scalar functions: values, absorption, NaN, and the identity of reductions."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS, apply_scalar

INF = math.inf
NAN = math.nan


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def power(x: float, y: float) -> float:
    """C's pow: a negative number to a fraction is no number, 0 to a negative one infinite."""
    if x == 0 and y < 0:
        return math.copysign(INF, x) if y % 2 == 1 else INF
    result = float(x) ** float(y)
    return NAN if isinstance(result, complex) else result


UNARY: dict[str, tuple[Callable[..., float], tuple[float, ...]]] = {
    "copy": (lambda x: x, ()),
    "neg": (lambda x: -x, ()),
    "abs": (abs, ()),
    "relu": (lambda x: max(x, 0.0), ()),
    "leaky_relu": (lambda x, slope: x if x > 0 else slope * x, (0.1,)),
    "exp": (math.exp, ()),
    "log": (lambda x: math.log(x) if x > 0 else -INF if x == 0 else NAN, ()),
    "sqrt": (lambda x: math.sqrt(x) if x >= 0 else NAN, ()),
    "rsqrt": (lambda x: 1 / math.sqrt(x) if x > 0 else INF if x == 0 else NAN, ()),
    "reciprocal": (lambda x: 1 / x if x else INF, ()),
    "square": (lambda x: x * x, ()),
    "sigmoid": (sigmoid, ()),
    "silu": (lambda x: x * sigmoid(x), ()),
    "tanh": (math.tanh, ()),
    "erf": (math.erf, ()),
    "gelu": (lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))), ()),
    "gelu_tanh": (gelu_tanh, ()),
    "sin": (math.sin, ()),
    "cos": (math.cos, ()),
    "add_scalar": (lambda x, c: x + c, (0.75,)),
    "mul_scalar": (lambda x, c: x * c, (0.75,)),
    "rsub_scalar": (lambda x, c: c - x, (0.75,)),
    "rdiv_scalar": (lambda x, c: c / x if x else INF, (0.75,)),
    "div_scalar": (lambda x, c: x / c, (0.75,)),
    "pow_scalar": (lambda x, c: x**c, (3.0,)),
    "max_scalar": (max, (0.75,)),
    "min_scalar": (min, (0.75,)),
}
BINARY: dict[str, tuple[Callable[..., float], tuple[float, ...]]] = {
    "mul": (lambda a, b: a * b, ()),
    "add": (lambda a, b: a + b, ()),
    "sub": (lambda a, b: a - b, ()),
    "div": (lambda a, b: a / b if b else NAN if a == 0 else math.copysign(INF, a), ()),
    "max": (max, ()),
    "min": (min, ()),
    "pow": (power, ()),
    "safe_sub": (lambda a, b: a - b, ()),
    "safe_div": (lambda a, b: a / b if b else 0.0 if a == 0 else math.copysign(INF, a), ()),
    "masked": (lambda m, x, fill: x if m else fill, (-INF,)),
}
NUMBERS = (-3.0, -1.5, 0.0, 0.25, 1.0, 2.5)


def test_every_function_has_a_reference_here() -> None:
    assert set(UNARY) | set(BINARY) == set(SCALAR_FUNCTIONS)


@pytest.mark.parametrize("name", list(UNARY))
def test_unary_function_has_the_values_of_its_formula(name: str) -> None:
    formula, parameters = UNARY[name]
    expected = [formula(x, *parameters) for x in NUMBERS]
    result = apply_scalar(name, (np.array(NUMBERS),), parameters)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", list(BINARY))
def test_binary_function_has_the_values_of_its_formula(name: str) -> None:
    formula, parameters = BINARY[name]
    a, b = (grid.ravel() for grid in np.meshgrid(NUMBERS, NUMBERS))
    expected = [formula(x, y, *parameters) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(apply_scalar(name, (a, b), parameters), expected, rtol=2e-6)


@pytest.mark.parametrize("name", list(SCALAR_FUNCTIONS))
def test_row_declares_its_operands_and_parameters(name: str) -> None:
    row = SCALAR_FUNCTIONS[name]
    _, parameters = (UNARY | BINARY)[name]
    assert row.arity == (1 if name in UNARY else 2)
    assert len(row.parameters) == len(parameters)
    assert row.flops >= 0
    assert not any(row.absorbing) or row.arity == 2


@pytest.mark.parametrize("name", [row.name for row in SCALAR_FUNCTIONS.values() if row.arity == 2])
def test_absorbing_operand_leaves_one_result_for_every_finite_other(name: str) -> None:
    row = SCALAR_FUNCTIONS[name]
    parameters = BINARY[name][1]
    others = np.array([*NUMBERS, 1e-30, -1e30, 3e38], dtype=np.float32)
    for position, absorbing in enumerate(row.absorbing):
        for value in absorbing:
            fixed = np.full_like(others, value)
            operands = (fixed, others) if position == 0 else (others, fixed)
            results = apply_scalar(name, operands, parameters)
            assert len(np.unique(results)) == 1, (position, value, results)


@pytest.mark.parametrize("name", ["mul", "add", "sub", "div", "max", "min"])
@pytest.mark.parametrize("value", [0.0, INF, -INF])
def test_value_that_is_not_listed_as_absorbing_does_not_absorb(name: str, value: float) -> None:
    """Keeps the table complete: what absorbs and is not listed costs a union for nothing."""
    row = SCALAR_FUNCTIONS[name]
    others = np.array(NUMBERS, dtype=np.float32)
    for position in range(2):
        fixed = np.full_like(others, value)
        operands = (fixed, others) if position == 0 else (others, fixed)
        results = np.unique(apply_scalar(name, operands))
        assert (len(results) == 1) == (value in row.absorbing[position]), (position, results)


def test_safe_forms_keep_absent_scores_absent() -> None:
    absent = np.float32(-INF)
    assert apply_scalar("safe_sub", (absent, absent)) == -INF
    assert np.isnan(apply_scalar("sub", (absent, absent)))
    assert apply_scalar("safe_div", (0.0, 0.0)) == 0.0
    assert np.isnan(apply_scalar("div", (0.0, 0.0)))


@pytest.mark.parametrize("name", ["relu", "max_scalar", "min_scalar", "leaky_relu", "abs"])
def test_nan_is_kept_by_comparing_functions(name: str) -> None:
    assert np.isnan(apply_scalar(name, (NAN,), UNARY[name][1]))


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_wins_over_a_number_on_either_side(name: str) -> None:
    assert np.isnan(apply_scalar(name, ([NAN, 1.0], [1.0, NAN]))).all()


def test_no_function_warns_about_infinities() -> None:
    extremes = np.array([INF, -INF, NAN, 0.0, 3e38], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, (_, parameters) in UNARY.items():
            apply_scalar(name, (extremes,), parameters)
        for name, (_, parameters) in BINARY.items():
            apply_scalar(name, (extremes, extremes), parameters)


@pytest.mark.parametrize("name", list(SCALAR_FUNCTIONS))
def test_functions_accept_empty_arrays_and_scalars(name: str) -> None:
    row = SCALAR_FUNCTIONS[name]
    parameters = (UNARY | BINARY)[name][1]
    assert apply_scalar(name, (np.zeros((0, 3)),) * row.arity, parameters).shape == (0, 3)
    assert apply_scalar(name, (1.0,) * row.arity, parameters).shape == ()


@pytest.mark.parametrize("name", list(REDUCTIONS))
def test_identity_of_a_reduction_changes_nothing(name: str) -> None:
    row = REDUCTIONS[name]
    numbers = np.array([*NUMBERS, INF, -INF], dtype=np.float32)
    np.testing.assert_array_equal(row.ufunc(numbers, np.float32(row.identity)), numbers)
