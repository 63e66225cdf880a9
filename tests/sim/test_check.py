"""The check accepts rounding, and nothing that stands at the wrong place."""

import numpy as np
import pytest

from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.report import CheckResult
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.sim.check import check_outputs

INF, NAN = np.inf, np.nan


def check(got: list[float], expected: list[float]) -> CheckResult:
    tensor = tensor_from_dense(np.array(got, np.float32))
    value = Value("y", tensor.shape, Role.INTERMEDIATE, tensor=tensor)
    output = Output("out", "y", (0,), tensor.shape, np.array(expected, np.float32))
    return check_outputs([output], {"y": value})


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.00009, 100.0], [1.0, 100.0]),
        ([0.0009, 100.0], [0.0, 100.0]),
        ([INF, -INF, NAN], [INF, -INF, NAN]),
        ([], []),
    ],
)
def test_what_rounding_explains_passes(got: list[float], expected: list[float]) -> None:
    assert check(got, expected).passed


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([1.0, 2.1], [1.0, 2.0]),
        ([0.0011, 100.0], [0.0, 100.0]),
        ([INF, 1.0], [-INF, 1.0]),
        ([NAN, 1.0], [0.0, 1.0]),
        ([0.0, 1.0], [NAN, 1.0]),
        ([1.0, 1.0], [INF, 1.0]),
        ([1e-9], [0.0]),
    ],
)
def test_what_rounding_does_not_explain_fails(got: list[float], expected: list[float]) -> None:
    result = check(got, expected)
    assert not result.passed
    assert len(result.failures) == 1


def test_the_worst_element_is_named() -> None:
    result = check([1.0, 5.0, 2.5], [1.0, 4.0, 2.0])
    assert result.failures == ("out[1]: got 5, expected 4 (2 of 3 elements differ)",)
    assert result.max_abs_error == 1
    assert result.max_rel_error == 0.25


def test_without_a_reference_nothing_is_checked() -> None:
    tensor = tensor_from_dense(np.zeros(2, np.float32))
    value = Value("y", (2,), Role.INTERMEDIATE, tensor=tensor)
    result = check_outputs([Output("out", "y", (0,), (2,))], {"y": value})
    assert not result.performed
    assert not result.passed
