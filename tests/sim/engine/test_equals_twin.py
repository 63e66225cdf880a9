"""The engine is the twin: every token, stamp, clock and figure of random machines."""

from dataclasses import fields, replace

import numpy as np
import pytest

from fuseflow.sim.machine import Machine, UnitKind
from fuseflow.sim.result import MachineResult, UnitResult
from fuseflow.sim.tokens import TokenStream
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tools.bench_machines import dense_product, elementwise, sparse_product, spmm

CAPACITIES = (None, 64, 8, 2, 1)
BATCH = 25


def assert_equal_streams(mine: TokenStream, wanted: TokenStream, name: str) -> None:
    assert mine.text() == wanted.text(), name
    np.testing.assert_array_equal(mine.data, wanted.data, name)
    np.testing.assert_array_equal(mine.stamps, wanted.stamps, name)


def assert_equal_units(mine: UnitResult, wanted: UnitResult, name: str) -> None:
    for field in fields(UnitResult):
        if field.name not in ("level", "values"):
            assert getattr(mine, field.name) == getattr(wanted, field.name), (name, field.name)
    assert (mine.level is None) == (wanted.level is None), name
    assert (mine.values is None) == (wanted.values is None), name
    if mine.level and wanted.level:
        np.testing.assert_array_equal(mine.level.segments, wanted.level.segments, name)
        np.testing.assert_array_equal(mine.level.coordinates, wanted.level.coordinates, name)
    if mine.values is not None and wanted.values is not None:
        np.testing.assert_array_equal(mine.values, wanted.values, name)


def assert_equal_results(machine: Machine, mine: MachineResult, wanted: MachineResult) -> None:
    assert mine.complete == wanted.complete
    assert mine.elapsed == wanted.elapsed
    assert mine.deadlock == wanted.deadlock
    for channel, a, b in zip(machine.channels, mine.channels, wanted.channels, strict=True):
        if a.recorded and b.recorded:
            assert_equal_streams(a.recorded, b.recorded, channel.name)
        left, right = ((c.values, c.missing, c.stops, c.marked) for c in (a, b))
        assert left == right, channel.name
    for unit, left, right in zip(machine.units, mine.units, wanted.units, strict=True):
        assert_equal_units(left, right, unit.name)


def assert_runs_as_in_the_twin(machine: Machine) -> None:
    wanted = run_twin(machine, record=True)
    assert_equal_results(machine, simulators.load("engine")(machine, record=True), wanted)


def with_arrays(machine: Machine, **cost: int) -> Machine:
    """Return the machine with other costs of its arrays."""
    units = tuple(
        replace(unit, cost=replace(unit.cost, **cost)) if unit.kind is UnitKind.ARRAY else unit
        for unit in machine.units
    )
    return replace(machine, units=units)


@pytest.mark.parametrize("capacity", CAPACITIES, ids=str)
@pytest.mark.parametrize("batch", range(5))
def test_random_machines_run_as_in_the_twin(batch: int, capacity: int | None) -> None:
    run = simulators.load("engine")
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        machine = draw_machine(seed, capacity)
        wanted = run_twin(machine, record=True)
        assert_equal_results(machine, run(machine, record=True), wanted)


@pytest.mark.parametrize("capacity", [None, 8], ids=str)
def test_random_machines_with_long_lists_run_as_in_the_twin(capacity: int | None) -> None:
    run = simulators.load("engine")
    for seed in range(20):
        machine = draw_machine(seed, capacity, scale=5)
        wanted = run_twin(machine, record=True)
        assert_equal_results(machine, run(machine, record=True), wanted)


@pytest.mark.parametrize("latency", [1, 7], ids=lambda cycles: f"latency {cycles}")
@pytest.mark.parametrize(
    "machine",
    [
        elementwise(300, 40, 1, union=True),
        elementwise(300, 40, 3, union=True),
        elementwise(300, 40, 3, union=False),
        sparse_product(60, 3, 2),
        spmm(200, 30, 3, 2),
        spmm(30, 30, 10, 3),
        spmm(100, 30, 7, 3),  # bundles of as many lists, values and tokens as there may be
        spmm(12, 30, 100, 3),
        elementwise(60, 60, 10, union=True),
        sparse_product(40, 9, 10),
        dense_product(12, 9, 5),
    ],
    ids=lambda machine: machine.name,
)
def test_many_short_lists_run_as_in_the_twin(machine: Machine, latency: int) -> None:
    """With a latency of arrays, their values and stops no longer keep in step."""
    assert_runs_as_in_the_twin(with_arrays(machine, latency=latency))


def test_late_operands_of_many_bundles_run_as_in_the_twin() -> None:
    """Elements that come when their list has begun move its times to a block of their own.

    The payload then lies in the block before, which must not be used again until it is read.
    """
    assert_runs_as_in_the_twin(with_arrays(sparse_product(40, 9, 10), ii=14))


@pytest.mark.slow
@pytest.mark.parametrize("capacity", CAPACITIES, ids=str)
@pytest.mark.parametrize("scale", [1, 4])
def test_many_random_machines_run_as_in_the_twin(scale: int, capacity: int | None) -> None:
    run = simulators.load("engine")
    for seed in range(10_000, 10_000 + 600 // scale**2):
        machine = draw_machine(seed, capacity, scale=scale)
        wanted = run_twin(machine, record=True)
        assert_equal_results(machine, run(machine, record=True), wanted)
