"""Under every memory model the engine is the twin: tokens, stamps, clocks, figures."""

import pytest

from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_equals_twin import assert_equal_results
from tests.sim.memory.placing import MEMORIES, with_memory

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
