"""Every rule of einsum graphs and tensors, each broken by a smallest graph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Access, EinsumGraph, Output, Role, Value
from fuseflow.ir.evaluate import evaluate
from fuseflow.ir.tensor import Format, Level, LevelFormat, Tensor
from fuseflow.ir.testing import make_graph
from fuseflow.ir.verify_einsum import RULES, verify_einsum_graph

A = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0]], dtype=np.float32)


def product() -> EinsumGraph:
    """Return a legal graph: Z = relu(A A), A stored by compressed rows."""
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], A[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (A, "compressed,compressed")},
        references=True,
    )


def change_einsum(graph: EinsumGraph, position: int = 0, **changes: object) -> EinsumGraph:
    graph.einsums[position] = replace(graph.einsums[position], **changes)  # type: ignore[arg-type]
    return graph


def change_output(graph: EinsumGraph, **changes: object) -> EinsumGraph:
    graph.outputs[0] = replace(graph.outputs[0], **changes)  # type: ignore[arg-type]
    return graph


def change_value(graph: EinsumGraph, name: str, **changes: object) -> EinsumGraph:
    for field, content in changes.items():
        setattr(graph.values[name], field, content)
    return graph


def change_tensor(graph: EinsumGraph, **changes: object) -> EinsumGraph:
    tensor = graph.values["A"].tensor
    assert tensor is not None
    graph.values["A"].tensor = replace(tensor, **changes)  # type: ignore[arg-type]
    return graph


def change_level(graph: EinsumGraph, depth: int, **changes: object) -> EinsumGraph:
    """Change level `depth` of A and keep format and level in agreement."""
    tensor = graph.values["A"].tensor
    assert tensor is not None
    levels = list(tensor.levels)
    levels[depth] = replace(levels[depth], **changes)  # type: ignore[arg-type]
    graph = change_tensor(graph, levels=tuple(levels))
    tensor = graph.values["A"].tensor
    assert tensor is not None
    return change_value(graph, "A", format=tensor.format)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def reverse_einsums(graph: EinsumGraph) -> EinsumGraph:
    graph.einsums.reverse()
    return graph


def repeat_outputs(graph: EinsumGraph) -> EinsumGraph:
    graph.outputs *= 2
    return graph


def misfile(graph: EinsumGraph) -> EinsumGraph:
    graph.values["B"] = graph.values.pop("A")
    graph.values["A"] = replace_value(graph.values["B"], name="A")
    return graph


def replace_value(value: Value, **changes: object) -> Value:
    fields = {name: getattr(value, name) for name in Value.__slots__}
    return Value(**{**fields, **changes})  # type: ignore[arg-type]


def add_value(graph: EinsumGraph, value: Value) -> EinsumGraph:
    graph.values[value.name] = value
    return graph


def zero_extent_maximum() -> EinsumGraph:
    return make_graph(["y[i] = max[k] copy(A[i,k])"], tensors={"A": np.zeros((2, 0))})


BROKEN: list[tuple[str, str, Callable[[], EinsumGraph]]] = [
    ("E001", "filed under", lambda: misfile(product())),
    ("E001", "2 einsums", lambda: change_einsum(product(), name="Z")),
    ("E001", "2 outputs", lambda: repeat_outputs(product())),
    ("E002", "unknown value 'B'", lambda: change_einsum(
        product(), operands=(Access("A", ("i", "k")), Access("B", ("k", "j"))))),
    ("E003", "another einsum", lambda: change_einsum(product(), 1, output=Access("T", ("i", "j")))),
    ("E003", "input of the model", lambda: change_value(product(), "Z", role=Role.INPUT)),
    ("E003", "no einsum", lambda: add_value(product(), Value("U", (3,), Role.INTERMEDIATE))),
    ("E004", "reads 'T' before", lambda: reverse_einsums(product())),
    ("E005", "1 indices for 2", lambda: change_einsum(
        product(), 1, output=Access("Z", ("i",)), operands=(Access("T", ("i",)),))),
    ("E006", "twice", lambda: change_einsum(
        product(), operands=(Access("A", ("k", "k")), Access("A", ("i", "j"))))),
    ("E007", "extent 4", lambda: change_value(product(), "Z", shape=(3, 4))),
    ("E008", "in no operand", lambda: change_einsum(
        product(), 1, output=Access("Z", ("i", "m")), reduce="add", over=("j",))),
    ("E009", "in the output", lambda: change_einsum(product(), over=("k", "j"))),
    ("E009", "in no operand", lambda: change_einsum(product(), over=("k", "m"))),
    ("E009", "twice", lambda: change_einsum(product(), over=("k", "k"))),
    ("E009", "neither reduced", lambda: change_einsum(product(), reduce=None, over=())),
    ("E010", "unknown function", lambda: change_einsum(product(), fn="convolve")),
    ("E010", "takes 1 operands", lambda: change_einsum(product(), fn="relu")),
    ("E011", "slope", lambda: change_einsum(product(), 1, fn="leaky_relu")),
    ("E011", "none", lambda: change_einsum(product(), 1, parameters=(1.0,))),
    ("E012", "unknown reduction", lambda: change_einsum(product(), reduce="median")),
    ("E012", "no index", lambda: change_einsum(product(), 1, reduce="add")),
    ("E012", "none over k", lambda: change_einsum(product(), reduce=None)),
    ("E013", "extent 0", zero_extent_maximum),
    ("E014", "negative", lambda: change_value(product(), "T", shape=(-3, 3))),
    ("E014", "dtype", lambda: change_value(product(), "T", dtype="quaternion")),
    ("E015", "does not fit", lambda: change_value(
        product(), "T", format=Format((LevelFormat.DENSE,), (0,)))),
    ("E015", "has shape", lambda: change_value(product(), "A", shape=(3, 4))),
    ("E015", "levels in mode", lambda: change_tensor(product(), levels=())),
    ("E015", "stored as", lambda: change_value(
        product(), "A", format=Format((LevelFormat.DENSE,) * 2, (0, 1)))),
    ("E015", "fill", lambda: change_value(product(), "A", fill=float("nan"))),
    ("E015", "extent 4", lambda: change_level(product(), 1, size=4)),
    ("E016", "has segments", lambda: change_level(product(), 1, format=LevelFormat.DENSE)),
    ("E016", "has segments", lambda: change_level(product(), 1, format=LevelFormat.SINGLETON)),
    ("E016", "has coordinates", lambda: change_level(
        product(), 1, format=LevelFormat.DENSE, segments=None)),
    ("E016", "needs coordinates", lambda: change_level(product(), 0, coordinates=None)),
    ("E016", "needs coordinates", lambda: change_level(
        product(), 0, coordinates=np.array([0, 2], dtype=np.int32))),
    ("E016", "3 at position 1", lambda: change_level(product(), 0, coordinates=ints(0, 3))),
    ("E016", "-1 at position 0", lambda: change_level(product(), 0, coordinates=ints(-1, 2))),
    ("E016", "3 coordinates for 2", lambda: change_level(
        product(), 1, format=LevelFormat.SINGLETON, segments=None)),
    ("E016", "needs segments", lambda: change_level(product(), 0, segments=None)),
    ("E016", "2 segments for 2", lambda: change_level(product(), 1, segments=ints(0, 3))),
    ("E016", "go from", lambda: change_level(product(), 0, segments=ints(0, 3))),
    ("E016", "go from", lambda: change_level(product(), 0, segments=ints(1, 2))),
    ("E016", "fall after fiber 1", lambda: change_level(
        product(), 1, segments=ints(0, 4, 3), coordinates=ints(0, 1, 2))),
    ("E016", "do not ascend at position 1", lambda: change_level(
        product(), 0, coordinates=ints(2, 2))),
    ("E016", "do not ascend at position 1", lambda: change_level(
        product(), 1, coordinates=ints(2, 0, 1))),
    ("E017", "float64", lambda: change_tensor(product(), values=np.ones(3))),
    ("E017", "shape (2,)", lambda: change_tensor(product(), values=np.ones(2, np.float32))),
    ("E018", "unknown value", lambda: change_output(product(), value="U")),
    ("E018", "permutation", lambda: change_output(product(), permutation=(0, 0))),
    ("E018", "elements", lambda: change_output(product(), shape=(3, 4), reference=None)),
    ("E019", "of shape (9,)", lambda: change_output(product(), reference=np.ones(9, np.float32))),
    ("E019", "float64", lambda: change_output(product(), reference=np.ones((3, 3)))),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words", "build"), BROKEN)
def test_broken_rule_is_reported_with_its_id(
    rule: str, words: str, build: Callable[[], EinsumGraph]
) -> None:
    with pytest.raises(GraphError) as caught:
        verify_einsum_graph(build())
    messages = [str(finding) for finding in caught.value.findings if finding.rule == rule]
    assert any(words in message for message in messages), caught.value.findings


def test_value_without_data_or_with_tiles_is_not_evaluated() -> None:
    no_data = change_value(product(), "A", tensor=None)
    verify_einsum_graph(no_data)
    with pytest.raises(GraphError, match=r'^E020: field "A": value has no data'):
        evaluate(no_data)
    with pytest.raises(GraphError, match="E020"):
        evaluate(change_tensor(product(), tile=(1, 1)))


def test_every_rule_has_a_graph_that_breaks_it() -> None:
    only_on_evaluation = {"E020"}
    assert {rule for rule, _, _ in BROKEN} | only_on_evaluation == set(RULES)


def test_legal_graph_passes() -> None:
    verify_einsum_graph(product())


def test_a_fiber_may_start_below_the_end_of_the_one_before() -> None:
    verify_einsum_graph(change_level(product(), 1, coordinates=ints(0, 2, 0)))


def test_singleton_level_under_compressed_rows_passes() -> None:
    rows = Level(LevelFormat.COMPRESSED, 3, ints(0, 2), ints(0, 2))
    columns = Level(LevelFormat.SINGLETON, 3, coordinates=ints(2, 1))
    tensor = Tensor((3, 3), (rows, columns), (0, 1), np.ones(2, np.float32))
    verify_einsum_graph(make_graph(["Z[i,j] = relu(A[i,j])"], tensors={"A": tensor}))


def test_all_findings_are_reported_together() -> None:
    graph = change_einsum(product(), fn="convolve", reduce="median")
    graph.outputs.append(Output("more", "missing", (), ()))
    with pytest.raises(GraphError) as caught:
        verify_einsum_graph(graph)
    assert [finding.rule for finding in caught.value.findings] == ["E010", "E012", "E018"]


def test_finding_names_the_einsum() -> None:
    with pytest.raises(GraphError) as caught:
        verify_einsum_graph(change_einsum(product(), fn="convolve"))
    assert str(caught.value) == "E010: node \"T\": unknown function 'convolve'"
