"""Under every memory model the engine is the twin: tokens, stamps, clocks, figures."""

import pytest

from fuseflow.sim.machine import Machine
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_equals_twin import assert_equal_results
from tests.sim.memory.placing import MEMORIES, with_memory
from tools.bench_machines import dense_product, elementwise, sparse_product, spmm

CAPACITIES = (None, 64, 3, 1)
SEEDS = range(500, 515)


@pytest.mark.parametrize("capacity", CAPACITIES, ids=str)
@pytest.mark.parametrize("name", MEMORIES)
def test_random_machines_wait_for_memory_as_in_the_twin(name: str, capacity: int | None) -> None:
    run = simulators.load("engine")
    for seed in SEEDS:
        machine = with_memory(draw_machine(seed, capacity), MEMORIES[name])
        wanted = run_twin(machine, record=True)
        got = run(machine, record=True)
        assert_equal_results(machine, got, wanted)
        assert got.memory == wanted.memory


@pytest.mark.parametrize("name", ["comal-hbm", "comal-hbm, start-up once", "hbm2", "hbm2, tight"])
@pytest.mark.parametrize(
    "machine",
    [
        elementwise(60, 40, 3, union=True),
        sparse_product(30, 9, 10),
        spmm(40, 30, 3, 2),
        spmm(20, 30, 4, 40),
        dense_product(6, 9, 5),
        dense_product(3, 70, 4),
    ],
    ids=lambda machine: machine.name,
)
def test_products_wait_for_memory_as_in_the_twin(machine: Machine, name: str) -> None:
    """Lists of one to many lines and vectors, which become bundles and runs."""
    machine = with_memory(machine, MEMORIES[name])
    wanted = run_twin(machine, record=True)
    got = simulators.load("engine")(machine, record=True)
    assert_equal_results(machine, got, wanted)
    assert got.memory == wanted.memory
