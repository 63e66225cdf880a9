"""Accumulators in float64: sums that float32 loses, the same in both simulators."""

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.errors import UsageError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.testing import make_graph
from fuseflow.sim import params as pm
from fuseflow.sim import simulate
from fuseflow.sim.machine import Machine
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_limits import assert_as_in_twin, tiled

WIDE = HardwareConfig(accumulate="f64")


def widened(machine: Machine) -> Machine:
    """The machine with wide accumulators."""
    units = tuple(
        replace(unit, params=replace(unit.params, wide=True))
        if isinstance(unit.params, pm.ReduceParams | pm.SpaccParams)
        else unit
        for unit in machine.units
    )
    return Machine(machine.name, units, machine.channels)


@pytest.mark.parametrize("capacity", [None, 4], ids=str)
def test_wide_accumulators_are_those_of_the_twin(capacity: int | None) -> None:
    changed = 0
    for seed in range(40):
        machine = draw_machine(seed, capacity)
        wide = widened(machine)
        changed += wide.units != machine.units
        assert_as_in_twin(wide)
    assert changed > 10


@pytest.mark.parametrize("capacity", [None, 8], ids=str)
def test_wide_tiles_are_those_of_the_twin(capacity: int | None) -> None:
    assert_as_in_twin(widened(tiled(capacity)))


def drifting(order: str) -> DataflowProgram:
    """Rows that start with 1 and go on with numbers too small to be added to it in float32."""
    rows = np.full((3, 2000), 2.0**-25)
    rows[:, 0] = 1
    graph = make_graph(
        ["Z[i,j] = add[k] mul(A[i,k], B[k,j])"],
        tensors={"A": rows, "B": np.ones((2000, 2))},
        references=True,
    )
    exact = rows.astype(np.float64) @ np.ones((2000, 2))
    graph.outputs = [replace(out, reference=exact.astype(np.float32)) for out in graph.outputs]
    return fuse(graph, FuseOptions(Strategy.UNFUSED, order=tuple(order)))


@pytest.mark.parametrize("engine", ["engine", "twin"])
@pytest.mark.parametrize(("order", "unit"), [("ijk", Op.REDUCE), ("ikj", Op.SPACC)])
def test_what_float32_loses_is_kept_in_float64(order: str, unit: Op, engine: str) -> None:
    program = drifting(order)
    assert unit in {node.op for node in program.kernels[0].nodes}
    lossy = simulate(program, engine=engine, check=True, rtol=1e-6, atol=1e-6)
    exact = simulate(program, WIDE, engine=engine, check=True, rtol=0, atol=0)
    assert not lossy.check.passed
    assert lossy.check.max_rel_error > 5e-5
    assert exact.check.passed
    assert exact.check.max_abs_error == 0
    assert exact.totals == lossy.totals, "precision costs no time here"
    assert (lossy.hardware.accumulate, exact.hardware.accumulate) == ("f32", "f64")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="U315 unknown-precision"):
        simulate(drifting("ijk"), HardwareConfig(accumulate="f16"))
