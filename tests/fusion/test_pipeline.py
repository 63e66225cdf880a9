"""The fusion stage as a whole: equal layers are searched once, and the caller's data is kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse, plan_graph
from fuseflow.fusion.plan import group as plan_module
from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.testing import make_graph
from tests.fusion.checks import assert_computes


def stack(layers: int, seed: int = 0, odd: int | None = None) -> EinsumGraph:
    """A stack of equal layers x = softmax over rows of relu(x W); layer `odd` has a sparse W."""
    rng = np.random.default_rng(seed)
    einsums: list[str] = []
    tensors: dict[str, object] = {"x0": rng.normal(size=(4, 5))}
    for n in range(layers):
        weight = rng.normal(size=(5, 5))
        tensors[f"W{n}"] = (np.triu(weight), "dense,compressed") if n == odd else weight
        einsums += [
            f"y{n}[i,k] = add[j] mul(x{n}[i,j], W{n}[j,k])",
            f"r{n}[i,k] = relu(y{n}[i,k])",
            f"m{n}[i] = max[k] copy(r{n}[i,k])",
            f"x{n + 1}[i,k] = sub(r{n}[i,k], m{n}[i])",
        ]
    return make_graph(einsums, tensors=tensors)


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record the region of every search for an order."""
    searched: list[str] = []
    search = plan_module.search_orders

    def record(graph: object, *rest: object, **options: object) -> object:
        searched.append(graph.region.name)  # type: ignore[attr-defined]
        return search(graph, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(plan_module, "search_orders", record)
    yield searched


def renamed(kernel: DataflowGraph) -> list[tuple[object, ...]]:
    """The structure of a kernel without the names of its tensors."""
    return [(n.op, n.inputs, n.outputs) for n in kernel.nodes]


@pytest.mark.parametrize("strategy", PRESETS)
def test_equal_layers_are_searched_once(
    strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting(monkeypatch) as searched:
        fuse(stack(3), FuseOptions(strategy))
        few = len(searched)
        searched.clear()
        fuse(stack(9), FuseOptions(strategy))
    limit = few if strategy is not Strategy.FULL else 3 * few
    assert len(searched) <= limit


def test_equal_layers_get_equal_kernels() -> None:
    fused = assert_computes(stack(4), FuseOptions(Strategy.LAYER))
    first, *rest = [renamed(kernel) for kernel in fused.program.kernels[1:-1]]
    assert all(kernel == first for kernel in rest)


def test_a_layer_that_differs_is_searched_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting(monkeypatch) as searched:
        fuse(stack(5), FuseOptions())
        equal = len(searched)
        searched.clear()
        assert_computes(stack(5, odd=2), FuseOptions())
    assert len(searched) > equal


def test_compiling_changes_nothing_in_the_graph() -> None:
    graph = stack(2)
    formats = {name: value.format for name, value in graph.values.items()}
    plan_graph(graph, FuseOptions(Strategy.FULL))
    assert {name: value.format for name, value in graph.values.items()} == formats


def test_equal_inputs_give_equal_programs() -> None:
    one, two = (fuse(stack(3), FuseOptions(Strategy.FULL)) for _ in range(2))
    assert one.kernels == two.kernels
    assert one.schedule == two.schedule
