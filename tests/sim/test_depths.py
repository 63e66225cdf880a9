"""Capacities from the lengths of lists: enough where paths meet, and no more than a margin else."""

from collections.abc import Callable

import numpy as np
import pytest

from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig, TimingConfig
from fuseflow.sim import simulate
from fuseflow.sim.depths import MARGIN, channel_depths
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator

AUTO = HardwareConfig(TimingConfig(auto_capacity=True))


def sparse(rows: int, columns: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((rows, columns)) < 0.3) * rng.random((rows, columns)).astype(np.float32)


def softmax_of(longest: int) -> tuple[DataflowGraph, list[Value]]:
    """A softmax of rows of 1, 2, .. `longest` entries."""
    array = np.tril(np.ones((longest, longest), np.float32))
    values = [
        kernels.operand("A", array, "compressed,compressed"),
        kernels.result("Y", array.shape, "compressed,compressed"),
    ]
    return kernels.row_softmax().graph, values


def by_name(graph: DataflowGraph, values: list[Value]) -> dict[str, int]:
    """The capacities of a kernel by the names of the nodes at both ends."""
    depths = channel_depths(graph, {value.name: value for value in values})
    producers, consumers = graph.producers(), graph.consumers()
    return {f"{producers[s].name} {consumers[s].name} {s}": d for s, d in depths.items()}


def test_only_streams_that_wait_for_a_whole_row_hold_one() -> None:
    graph, values = softmax_of(40)
    depths = channel_depths(graph, {value.name: value for value in values})
    row = 40 + 1
    rows, elements = zip(*(divmod(depth - MARGIN, row) for depth in depths.values()), strict=True)
    assert {0, 2} <= set(rows)
    assert max(elements) <= 1  # a stream of one element per row is late by elements
    assert max(depths.values()) <= MARGIN + 6 * row
    producers, consumers = graph.producers(), graph.consumers()
    held = {
        (str(producers[s].op), str(consumers[s].op)) for s, d in depths.items() if d > MARGIN + 1
    }
    assert held == {("broadcast", "alu"), ("broadcast", "repeat")}


@every_simulator
@pytest.mark.parametrize("longest", [1, 30, 60])
def test_rows_of_any_length_run_with_automatic_capacities(longest: int, simulator: str) -> None:
    simulators.load(simulator)
    graph, values = softmax_of(longest)
    report = simulate(kernels.program(values, [graph], "Y"), AUTO, engine=simulator)
    assert report.complete
    capacities = {stream.capacity for kernel in report.kernels for stream in kernel.streams}
    assert None not in capacities


@pytest.mark.parametrize("make", [kernels.spmv, kernels.spmspm], ids=lambda make: make.__name__)
def test_products_need_a_row_where_they_filter_and_little_else(
    make: Callable[[], kernels.Kernel],
) -> None:
    values = [
        kernels.operand("B", sparse(60, 50), "compressed,compressed"),
        kernels.operand("C", sparse(50, 40, 4), "compressed,compressed"),
        kernels.operand("c", np.ones(50, np.float32), "dense"),
        kernels.result("x", (60,), "compressed"),
        kernels.result("X", (60, 40), "compressed,compressed"),
    ]
    program = kernels.program(values, [make().graph], "x" if make is kernels.spmv else "X")
    report = simulate(program, AUTO, engine="twin")
    assert report.complete
    free = simulate(program, engine="twin")
    assert report.totals.tokens == free.totals.tokens


def test_a_stated_capacity_wins_over_an_automatic_one() -> None:
    graph, values = softmax_of(40)
    sid = next(iter(graph.streams))
    stream = graph.streams[sid]
    graph.streams[sid] = type(stream)(
        stream.id, stream.kind, stream.indices, stream.domains, stream.name, 3
    )
    report = simulate(kernels.program(values, [graph], "Y"), AUTO, engine="twin")
    (found,) = (s for s in report.kernels[0].streams if s.id == sid)
    assert found.capacity == 3
