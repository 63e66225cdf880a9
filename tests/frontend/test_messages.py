"""Gathers and scatters by constant lists, compared with NumPy on any list of edges."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.ir.einsum import EinsumGraph, Role
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.verify_einsum import verify_einsum_graph

Array = npt.NDArray[np.float32]
Edges = npt.NDArray[np.int64]

TARGETS, SOURCES, WIDTH = 5, 4, 3


@dataclass(frozen=True)
class Spoken:
    """Messages spelled with a builder: features of targets and sources, edges, their weights."""

    b: OpBuilder
    at_targets: str
    at_sources: str
    targets: str
    sources: str
    weights: str

    def from_sources(self) -> str:
        return self.b.gather(self.at_sources, self.sources, 0)

    def from_targets(self) -> str:
        return self.b.gather(self.at_targets, self.targets, 0)

    def scatter(self, x: str, op: str = "add", empty: float = 0.0) -> str:
        return self.b.scatter(x, self.targets, 0, TARGETS, op, empty)


@dataclass(frozen=True)
class Computed:
    """The same in NumPy."""

    at_targets: Array
    at_sources: Array
    edges: Edges
    weights: Array

    def from_sources(self) -> Array:
        return self.at_sources[self.edges[1]]

    def from_targets(self) -> Array:
        return self.at_targets[self.edges[0]]

    def scatter(self, x: Array, op: str = "add", empty: float = 0.0) -> Array:
        ufunc = {"add": np.add, "max": np.maximum, "min": np.minimum}[op]
        start = {"add": 0.0, "max": -np.inf, "min": np.inf}[op]
        result = np.full((TARGETS, *x.shape[1:]), start)
        ufunc.at(result, self.edges[0], x)
        reached = np.zeros(TARGETS, dtype=bool)
        reached[self.edges[0]] = True
        result[~reached] = empty
        return result.astype(np.float32)


Program = tuple[Callable[[Spoken], str], Callable[[Computed], Array]]

PROGRAMS: dict[str, Program] = {
    "sum": (lambda s: s.scatter(s.from_sources()), lambda c: c.scatter(c.from_sources())),
    "weighted sum": (
        lambda s: s.scatter(s.b.map("mul", s.weights, s.from_sources())),
        lambda c: c.scatter(c.weights * c.from_sources()),
    ),
    "scaled": (
        lambda s: s.scatter(s.b.map("neg", s.b.map("mul", s.from_sources(), s.weights))),
        lambda c: c.scatter(-c.weights * c.from_sources()),
    ),
    "sum of products of both ends": (
        lambda s: s.scatter(s.b.map("mul", s.from_targets(), s.from_sources())),
        lambda c: c.scatter(c.from_targets() * c.from_sources()),
    ),
    "sum of sums of both ends": (
        lambda s: s.scatter(s.b.map("add", s.from_targets(), s.from_sources())),
        lambda c: c.scatter(c.from_targets() + c.from_sources()),
    ),
    "sum of quotients of both ends": (
        lambda s: s.scatter(s.b.map("div", s.from_targets(), s.from_sources())),
        lambda c: c.scatter(c.from_targets() / c.from_sources()),
    ),
    "sum of the larger ends, shifted": (
        lambda s: s.scatter(
            s.b.map("sub", s.b.map("max", s.from_targets(), s.from_sources()), s.weights)
        ),
        lambda c: c.scatter(np.maximum(c.from_targets(), c.from_sources()) - c.weights),
    ),
    "sum of exponentials": (
        lambda s: s.scatter(s.b.map("exp", s.from_sources())),
        lambda c: c.scatter(np.exp(c.from_sources())),
    ),
    "sum of a function of a weighted message": (
        lambda s: s.scatter(s.b.map("cos", s.b.map("mul", s.weights, s.from_sources()))),
        lambda c: c.scatter(np.cos(c.weights * c.from_sources())),
    ),
    "largest": (
        lambda s: s.scatter(s.from_sources(), "max"),
        lambda c: c.scatter(c.from_sources(), "max"),
    ),
    "largest weighted": (
        lambda s: s.scatter(s.b.map("mul", s.weights, s.from_sources()), "max", 2.0),
        lambda c: c.scatter(c.weights * c.from_sources(), "max", 2.0),
    ),
    "smallest difference": (
        lambda s: s.scatter(s.b.map("sub", s.from_sources(), s.from_targets()), "min", -1.0),
        lambda c: c.scatter(c.from_sources() - c.from_targets(), "min", -1.0),
    ),
    "score of both ends": (
        lambda s: s.scatter(
            s.b.reduce("add", s.b.map("mul", s.from_targets(), s.from_sources()), (1,))
        ),
        lambda c: c.scatter((c.from_targets() * c.from_sources()).sum(1)),
    ),
    "column of a sum, as a row": (
        lambda s: s.b.permute(
            s.b.scatter(s.b.permute(s.from_sources(), (1, 0)), s.targets, 1, TARGETS, "add"),
            (1, 0),
        ),
        lambda c: c.scatter(c.from_sources()),
    ),
    "sum of what was summed": (
        lambda s: s.scatter(
            s.b.map(
                "mul",
                s.b.gather(s.scatter(s.from_sources()), s.targets, 0),
                s.b.map("sigmoid", s.from_sources()),
            )
        ),
        lambda c: c.scatter(
            c.scatter(c.from_sources())[c.edges[0]] / (1 + np.exp(-c.from_sources()))
        ),
    ),
}


def graph_of(program: Program, data: Computed) -> EinsumGraph:
    b = OpBuilder("messages")
    names = [
        b.add_value(OpValue(name, array.shape, Role.INPUT, array))
        for name, array in (("at_targets", data.at_targets), ("at_sources", data.at_sources))
    ]
    lists = [b.constant(each, "edges") for each in data.edges]
    spoken = Spoken(b, *names, *lists, b.constant(data.weights, "weights"))
    b.output("y", program[0](spoken), program[1](data))
    return lower_to_einsums(b.graph)


def data_on(pairs: list[tuple[int, int]], seed: int = 0) -> Computed:
    """Return numbers away from 0, and edges as (target, source)."""
    generator = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        numbers = generator.uniform(0.5, 2, shape) * generator.choice((-1, 1), shape)
        return numbers.astype(np.float32)

    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Computed(draw(TARGETS, WIDTH), draw(SOURCES, WIDTH), edges, draw(len(pairs), 1))


def check(graph: EinsumGraph) -> None:
    verify_einsum_graph(graph)
    (output,) = graph.outputs
    assert output.reference is not None
    computed = evaluate_outputs(graph)["y"]
    np.testing.assert_allclose(computed, output.reference, rtol=1e-4, atol=1e-4)


PAIRS = st.tuples(st.integers(0, TARGETS - 1), st.integers(0, SOURCES - 1))


@pytest.mark.parametrize("name", PROGRAMS)
@given(pairs=st.lists(PAIRS, min_size=1, max_size=12), seed=st.integers(0, 3))
def test_messages_over_any_edges_equal_numpy(
    name: str, pairs: list[tuple[int, int]], seed: int
) -> None:
    check(graph_of(PROGRAMS[name], data_on(pairs, seed)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_messages_over_no_edges_leave_what_empty_targets_get(name: str) -> None:
    check(graph_of(PROGRAMS[name], data_on([])))


DISTINCT = [(0, 1), (1, 0), (1, 2), (4, 3), (0, 3)]


@pytest.mark.parametrize("name", sorted({*PROGRAMS} - {"column of a sum, as a row"}))
def test_nothing_is_stored_where_there_is_no_edge(name: str) -> None:
    graph = graph_of(PROGRAMS[name], data_on(DISTINCT))
    assert "5 edges become the entries of a 5x4 matrix" in graph.notes[0]
    pattern = {value.name for value in graph.values.values() if value.origin == "edges"}
    for op in graph.einsums:
        sizes = {graph.index_sizes()[index] for index in op.indices}
        if {TARGETS, SOURCES} <= sizes:
            # Whatever spans targets and sources reads a matrix of edges, or what was made of one.
            reads = {access.value for access in op.operands}
            assert reads & pattern, str(op)
            pattern.add(op.output.value)


def test_weights_of_several_features_are_entries_of_a_cube() -> None:
    data = data_on(DISTINCT)
    wide = np.repeat(data.weights, WIDTH, axis=1) * np.arange(1, WIDTH + 1, dtype=np.float32)
    wider = Computed(data.at_targets, data.at_sources, data.edges, wide)
    graph = graph_of(PROGRAMS["weighted sum"], wider)
    check(graph)
    tensor = graph.values["weights"].tensor
    assert tensor is not None
    assert (tensor.shape, tensor.stored) == ((TARGETS, SOURCES, WIDTH), 5 * WIDTH)


@pytest.mark.parametrize(
    ("name", "is_merged"),
    [("weighted sum", True), ("largest", True), ("sum of exponentials", False)],
)
def test_note_tells_the_form_that_repeated_edges_took(name: str, is_merged: bool) -> None:
    graph = graph_of(PROGRAMS[name], data_on([*DISTINCT, (0, 1)]))
    word = "1 repetitions merged" if is_merged else "incidence"
    assert word in graph.notes[0]
