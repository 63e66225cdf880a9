"""The builders of test graphs."""

import numpy as np
import pytest

from fuseflow.ir.einsum import Role
from fuseflow.ir.testing import make_graph, make_tensor, sparse_array
from fuseflow.ir.verify_einsum import verify_einsum_graph

EYE = np.eye(3, dtype=np.float32)


def test_graph_from_text_is_legal_and_carries_references() -> None:
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (EYE, "dense,compressed"), "B": EYE},
        outputs=["Z", "T"],
        references=True,
    )
    verify_einsum_graph(graph)
    assert [value.role for value in graph.values.values()] == [Role.INPUT] * 2 + [
        Role.INTERMEDIATE
    ] * 2
    assert [output.name for output in graph.outputs] == ["Z", "T"]
    for output in graph.outputs:
        np.testing.assert_array_equal(output.reference, EYE)


def test_last_einsum_is_the_output_by_default() -> None:
    graph = make_graph(["y[i] = add[k] copy(A[i,k])"], tensors={"A": EYE})
    assert [(output.value, output.shape) for output in graph.outputs] == [("y", (3,))]


def test_value_that_nothing_defines_is_an_error() -> None:
    with pytest.raises(KeyError):
        make_graph(["y[i] = copy(x[i])"], tensors={})


def test_tensor_text_gives_format_fill_and_pattern() -> None:
    tensor = make_tensor(
        ([[2.0, -np.inf], [-np.inf, -np.inf]], "compressed,compressed@1,0 fill=-inf")
    )
    assert str(tensor.format) == "compressed,compressed@1,0"
    assert (tensor.fill, tensor.stored) == (-np.inf, 1)
    assert make_tensor((EYE, "dense,compressed pattern")).values is None
    with pytest.raises(ValueError, match="fil"):
        make_tensor((EYE, "dense,dense fil=1"))


def test_sparse_array_is_seeded_and_exact_in_float32() -> None:
    first, second = (sparse_array(np.random.default_rng(3), (20, 20), fill=0.5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first * 8, np.round(first * 8))
    assert 0.3 < np.mean(first == 0.5) < 0.7
