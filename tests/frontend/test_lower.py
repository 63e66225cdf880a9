"""From tensor operators to einsums, without a framework."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import ModelError
from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.ir.einsum import EinsumGraph, Role, SourceLoc
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.verify_einsum import verify_einsum_graph


def builder(**shapes: tuple[int, ...]) -> OpBuilder:
    """Return a builder with inputs of these shapes and seeded data."""
    b = OpBuilder("test")
    for name, shape in shapes.items():
        data = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32)
        b.add_value(OpValue(name, shape, Role.INPUT, data))
    return b


def lowered(b: OpBuilder, result: str) -> EinsumGraph:
    b.output("output", result)
    graph = lower_to_einsums(b.graph)
    verify_einsum_graph(graph)
    return graph


def test_lowering_leaves_the_operators_as_they_are() -> None:
    b = builder(x=(4, 6))
    result = b.softmax(b.slice("x", 1, 0, 3), -1)
    before = list(b.graph.ops), dict(b.graph.values)
    lowered(b, result)
    assert (b.graph.ops, b.graph.values) == before


def test_names_come_from_the_module_and_the_function() -> None:
    b = builder(x=(4, 6), w=(6, 6))
    b.source = SourceLoc("linear", "n", "net.py", 3, (("", "Net"), ("body.0", "Linear")))
    y = spellings.matmul(b, "x", "w")
    graph = lowered(b, b.softmax(spellings.matmul(b, y, "w"), -1))
    assert [op.name for op in graph.einsums][:3] == [
        "body.0.matmul",
        "body.0.matmul_1",
        "body.0.softmax_1.max",
    ]
    assert graph.einsums[0].sources[0].line == 3


def test_intermediate_name_never_hides_an_input() -> None:
    b = builder(relu=(4,))
    graph = lowered(b, b.map("relu", b.map("relu", "relu")))
    assert list(graph.values) == ["relu", "relu_1", "relu_2"]


def test_what_no_output_needs_is_left_out() -> None:
    b = builder(x=(4,))
    b.map("exp", "x")
    graph = lowered(b, b.map("relu", "x"))
    assert [op.fn for op in graph.einsums] == ["relu"]


def test_weight_is_stored_summed_dimensions_first_whatever_its_own_order() -> None:
    texts = []
    for shape, transpose in (((5, 4), True), ((4, 5), False)):
        b = builder(x=(3, 4))
        data = np.arange(20, dtype=np.float32).reshape(4, 5)
        w = b.add_value(OpValue("w", shape, Role.PARAMETER, data.T if transpose else data))
        graph = lowered(b, spellings.matmul(b, "x", w, transpose_y=transpose))
        texts.append(list(map(str, graph.einsums)))
        assert graph.values["w"].tensor is not None
        assert np.array_equal(graph.values["w"].tensor.to_dense(), data)
    assert texts == [["matmul[i,k] = add[j] mul(x[i,j], w[j,k])"]] * 2


def test_operators_behind_a_refusal_name_their_place() -> None:
    b = builder(x=(12,))
    x = b.map("relu", "x")
    first = b.reshape(x, (3, 4))
    b.source = SourceLoc("view", "view_1", "net.py", 12)
    # The same axis in other factors: each reshape alone would only rename indices.
    second = b.reshape(x, (4, 3))
    with pytest.raises(ModelError) as caught:
        lowered(b, b.map("add", b.reduce("add", first, ()), b.reduce("add", second, ())))
    assert str(caught.value.findings[0].where).startswith("net.py:12")


@st.composite
def chains(draw: st.DrawFn) -> list[tuple[str, int]]:
    kinds = st.sampled_from(["relu", "transpose", "merge", "split", "slice", "sum", "softmax"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 5)), min_size=1, max_size=7))


def _apply(b: OpBuilder, name: str, array: np.ndarray, kind: str, seed: int):  # type: ignore[no-untyped-def, type-arg]
    """Apply one random operator to a value and to the array that it should equal."""
    rank = array.ndim
    dim = seed % rank if rank else 0
    if kind == "relu":
        return b.map("relu", name), np.maximum(array, 0)
    if kind == "transpose" and rank > 1:
        order = tuple(np.roll(range(rank), 1 + seed % (rank - 1)).tolist())
        return b.permute(name, order), array.transpose(order)
    if kind == "merge" and rank > 1:
        at = seed % (rank - 1)
        shape = (*array.shape[:at], array.shape[at] * array.shape[at + 1], *array.shape[at + 2 :])
        return b.reshape(name, shape), array.reshape(shape)
    if kind == "split" and rank and array.shape[dim] % 2 == 0 and rank < 5:
        shape = (*array.shape[:dim], 2, array.shape[dim] // 2, *array.shape[dim + 1 :])
        return b.reshape(name, shape), array.reshape(shape)
    if kind == "slice" and rank and array.shape[dim] > 1:
        cut = [slice(None)] * rank
        cut[dim] = slice(1, None)
        return b.slice(name, dim, 1, array.shape[dim]), array[tuple(cut)]
    if kind == "sum" and rank > 1:
        return b.reduce("add", name, (dim,)), array.sum(dim)
    if kind == "softmax" and rank:
        weights = np.exp(array - array.max(dim, keepdims=True))
        return b.softmax(name, dim), weights / weights.sum(dim, keepdims=True)
    return name, array


@given(chains())
def test_random_chains_mean_what_numpy_means(chain: list[tuple[str, int]]) -> None:
    b = builder(x=(4, 6, 2))
    name, array = "x", np.asarray(b.graph.values["x"].data)
    for kind, seed in chain:
        name, array = _apply(b, name, array, kind, seed)
    try:
        graph = lowered(b, name)
    except ModelError as error:
        # A merge of sliced or unequal factors may be split where no factor ends.
        assert error.rule == "I010 no-common-refinement"  # noqa: PT017
        return
    result = evaluate_outputs(graph)["output"]
    np.testing.assert_allclose(result, array, rtol=1e-5, atol=1e-5)
