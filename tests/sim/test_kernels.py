"""Whole kernels equal a dense computation for any formats, empty rows, capacities and profiles."""

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.hardware import HardwareConfig, TimingConfig
from fuseflow.sim import simulate
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator

FORMATS = [f"{a},{b}" for a in ("dense", "compressed") for b in ("dense", "compressed")]
rngs = st.integers(0, 2**32).map(Random)


def matrix(rng: Random, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Small integers; some rows and columns are empty."""
    values = np.array([rng.choice([0, 0, 1, -2, 3]) for _ in range(rows * columns)], np.float32)
    array = values.reshape(rows, columns)
    array[[i for i in range(rows) if rng.random() < 0.3]] = 0
    array[:, [j for j in range(columns) if rng.random() < 0.3]] = 0
    return array


def product_of_matrices(rng: Random) -> DataflowProgram:
    m, k, n = (rng.randint(1, 4) for _ in range(3))
    b, c = matrix(rng, m, k), matrix(rng, k, n)
    values = [
        kernels.operand("B", b, rng.choice(FORMATS)),
        kernels.operand("C", c, rng.choice(FORMATS)),
        kernels.result("X", (m, n), "compressed,compressed"),
    ]
    return kernels.program(values, [kernels.spmspm().graph], "X", b @ c)


def product_with_vector(rng: Random) -> DataflowProgram:
    m, k = rng.randint(1, 4), rng.randint(1, 4)
    b, c = matrix(rng, m, k), matrix(rng, k, 1)[:, 0]
    values = [
        kernels.operand("B", b, rng.choice(FORMATS)),
        kernels.operand("c", c, rng.choice(["dense", "compressed"])),
        kernels.result("x", (m,), "compressed"),
    ]
    return kernels.program(values, [kernels.spmv().graph], "x", b @ c)


@every_simulator
@pytest.mark.parametrize("make", [product_of_matrices, product_with_vector])
@given(rng=rngs)
def test_a_product_equals_the_dense_one(make: object, simulator: str, rng: Random) -> None:
    simulators.load(simulator)
    assert callable(make)
    program = make(rng)
    hardware = HardwareConfig(
        TimingConfig(rng.choice(["comal", "native"]), rng.choice([None, 64, 8]))
    )
    report = simulate(program, hardware, engine=simulator, check=True, rtol=0, atol=0)
    assert report.check.passed, (report.deadlock, report.check.failures)


@given(rng=rngs)
def test_both_simulators_report_the_same_on_every_machine(rng: Random) -> None:
    simulators.load("engine")
    program = rng.choice([product_of_matrices, product_with_vector])(rng)
    hardware = HardwareConfig(
        TimingConfig(rng.choice(["comal", "native"]), rng.choice([None, 1, 2, 3, 64]))
    )
    one, other = (simulate(program, hardware, engine=name) for name in ("twin", "engine"))
    assert one.complete == other.complete
    if one.complete:
        assert one.kernels == other.kernels
    else:
        assert one.deadlock == other.deadlock


@given(rng=rngs)
def test_more_room_never_makes_a_kernel_slower(rng: Random) -> None:
    program = product_of_matrices(rng)
    cycles = [
        simulate(program, HardwareConfig(TimingConfig(capacity=c)), engine="twin").totals.cycles
        for c in (8, 10, None)
    ]
    assert cycles == sorted(cycles, reverse=True)
