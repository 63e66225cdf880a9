"""The dense oracle, against NumPy and against results worked out by hand."""

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.evaluate import evaluate, evaluate_outputs
from fuseflow.ir.testing import make_graph, sparse_array

INF = float("inf")


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [sparse_array(rng, shape) for shape in shapes]


@pytest.mark.parametrize(
    ("text", "subscripts", "shapes"),
    [
        ("Z[i,j] = add[k] mul(A[i,k], B[k,j])", "ik,kj->ij", ((2, 3), (3, 4))),
        ("Z[j,i] = add[k] mul(A[i,k], B[k,j])", "ik,kj->ji", ((2, 3), (3, 4))),
        ("Z[i,h,j] = add[k] mul(A[h,i,k], B[k,j,h])", "hik,kjh->ihj", ((2, 3, 4), (4, 5, 2))),
        ("Z[j,i] = add[k,l] mul(A[l,i,k], B[k,j,l])", "lik,kjl->ji", ((2, 3, 4), (4, 5, 2))),
        ("Z[i] = add[k] mul(A[i,k], B[i])", "ik,i->i", ((3, 4), (3,))),
        ("Z[] = add[i] mul(A[i], B[i])", "i,i->", ((5,), (5,))),
        ("Z[j,i] = mul(A[i], B[j])", "i,j->ji", ((2,), (3,))),
        ("Z[i,j] = add[k] mul(A[i,k], B[k,j])", "ik,kj->ij", ((2, 0), (0, 4))),
    ],
)
def test_product_equals_numpy_einsum(
    text: str, subscripts: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    a, b = arrays(*shapes)
    result = evaluate(make_graph([text], tensors={"A": a, "B": b}))["Z"]
    expected = np.einsum(subscripts, a, b)
    assert (result.dtype, result.shape) == (np.float32, expected.shape)
    np.testing.assert_array_equal(result, expected)


def test_operands_align_by_name_and_broadcast() -> None:
    a, b = arrays((2, 3), (3,))
    graph = make_graph(["Z[j,i] = sub(A[i,j], b[j])"], tensors={"A": a, "b": b})
    np.testing.assert_array_equal(evaluate(graph)["Z"], (a - b).T)


def test_scalar_operand_is_not_constant_folded() -> None:
    graph = make_graph(["Z[i] = div(x[i], s[])"], tensors={"x": [8.0, 4.0], "s": np.float32(8)})
    np.testing.assert_array_equal(evaluate(graph)["Z"], [1.0, 0.5])


def test_any_function_under_any_reduction() -> None:
    a, b = arrays((2, 3), (3, 4))
    graph = make_graph(["Z[i,j] = max[k] add(A[i,k], B[k,j])"], tensors={"A": a, "B": b})
    expected = (a[:, :, None] + b[None, :, :]).max(axis=1)
    np.testing.assert_array_equal(evaluate(graph)["Z"], expected)


def test_what_is_not_stored_has_the_fill() -> None:
    graph = make_graph(
        ["y[i] = max[j] copy(A[i,j])"],
        tensors={"A": ([[-3.0, 0.0, -1.0], [-2.0, -1.0, -5.0]], "dense,compressed fill=0")},
    )
    np.testing.assert_array_equal(evaluate(graph)["y"], [0.0, -1.0])


def test_softmax_of_masked_scores_settles_empty_rows() -> None:
    graph = make_graph(
        [
            "T[i,j] = masked(M[i,j], S[i,j], -inf)",
            "m[i] = max[j] copy(T[i,j])",
            "d[i,j] = safe_sub(T[i,j], m[i])",
            "e[i,j] = exp(d[i,j])",
            "s[i] = add[j] copy(e[i,j])",
            "P[i,j] = safe_div(e[i,j], s[i])",
        ],
        tensors={
            "S": [[2.0, 1.0, 3.0], [1.0, 1.0, 1.0]],
            "M": ([[1, 0, 1], [0, 0, 0]], "dense,compressed pattern"),
        },
    )
    expected = [[0.26894143, 0.0, 0.73105854], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(evaluate(graph)["P"], expected, rtol=1e-6)


def test_division_follows_ieee_rules() -> None:
    graph = make_graph(
        ["Z[i] = div(x[i], y[i])"],
        tensors={"x": ([6.0, 0.0, 0.0], "compressed"), "y": ([0.0, 2.0, 0.0], "compressed")},
    )
    np.testing.assert_array_equal(evaluate(graph)["Z"], [INF, 0.0, np.nan])


def test_product_does_not_annihilate_infinity() -> None:
    graph = make_graph(
        ["Z[] = add[i] mul(x[i], y[i])"],
        tensors={"x": ([0.0, 1.0], "compressed"), "y": [INF, 1.0]},
    )
    assert np.isnan(evaluate(graph)["Z"])


def test_empty_sum_and_product_are_the_identity_and_empty_maximum_is_refused() -> None:
    tensors = {"A": np.zeros((2, 0))}
    texts = ["s[i] = add[k] copy(A[i,k])", "p[i] = mul[k] copy(A[i,k])"]
    values = evaluate(make_graph(texts, tensors=tensors))
    np.testing.assert_array_equal(values["s"], [0.0, 0.0])
    np.testing.assert_array_equal(values["p"], [1.0, 1.0])
    with pytest.raises(GraphError, match="E013"):
        evaluate(make_graph(["m[i] = min[k] copy(A[i,k])"], tensors=tensors))


@pytest.mark.parametrize("text", ["y[] = add[i] copy(x[i])", "y[] = add[i] mul(x[i], x[i])"])
def test_accumulation_type_decides_what_a_sum_loses(text: str) -> None:
    graph = make_graph([text], tensors={"x": [2.0**13, 0.5, 0.5, 0.5, 0.5]})
    exact = evaluate(graph, np.float64)["y"]
    assert exact == np.float32(2.0**13 + 2 if "copy" in text else 2.0**26 + 1)
    assert abs(evaluate(graph, np.float32)["y"] - exact) <= exact * np.finfo(np.float32).eps


def test_outputs_are_permuted_and_reshaped_for_the_user() -> None:
    (a,) = arrays((2, 3))
    graph = make_graph(["Z[i,j] = copy(A[i,j])"], tensors={"A": a}, outputs=["Z"])
    graph.outputs = [type(graph.outputs[0])("flat", "Z", (1, 0), (6,))]
    np.testing.assert_array_equal(evaluate_outputs(graph)["flat"], a.T.reshape(6))
