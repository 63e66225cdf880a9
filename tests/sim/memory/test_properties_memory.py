"""Memory delays tokens and changes nothing else; addresses, bounds and figures hold."""

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.ir.hardware import Hbm2Config, MemoryConfig
from fuseflow.sim.memory import Dram, Request, allocate
from fuseflow.sim.twin import run_twin
from tests.sim import kernels
from tests.sim.engine.machines import draw_machine
from tests.sim.memory.placing import MEMORIES, with_memory

SEEDS = range(300, 312)


@pytest.mark.parametrize("name", MEMORIES)
def test_memory_changes_stamps_but_no_token(name: str) -> None:
    slower = 0
    for seed in SEEDS:
        machine = draw_machine(seed, None)
        ideal = run_twin(machine, record=True)
        timed = run_twin(with_memory(machine, MEMORIES[name]), record=True)
        assert timed.complete
        assert timed.elapsed >= ideal.elapsed
        slower += timed.elapsed > ideal.elapsed
        for left, right in zip(timed.channels, ideal.channels, strict=True):
            assert left.recorded is not None
            assert right.recorded is not None
            assert left.recorded.text() == right.recorded.text()
    assert slower > len(SEEDS) // 2


@pytest.mark.parametrize("name", MEMORIES)
def test_every_cycle_of_a_unit_is_work_or_one_kind_of_wait(name: str) -> None:
    for seed in SEEDS:
        machine = with_memory(draw_machine(seed, 4), MEMORIES[name])
        result = run_twin(machine)
        for unit, figures in zip(machine.units, result.units, strict=True):
            if unit.kind.name == "SOURCE":
                continue
            waits = figures.waited_for_input + figures.waited_for_room + figures.waited_for_memory
            assert figures.clock == figures.busy + waits, unit.name


def stream_cycles(addresses: list[int], config: Hbm2Config) -> int:
    memory = Dram(config)
    for number, address in enumerate(addresses):
        memory.submit(Request(0, 0, number, address))
    while memory.serve():
        pass
    return memory.figures.last_response


def test_a_stream_of_lines_comes_near_the_peak_and_random_lines_do_not() -> None:
    config = Hbm2Config()
    lines = range(4096)
    streamed = stream_cycles([64 * line for line in lines], config)
    rng = np.random.default_rng(7)
    scattered = [64 * int(line) for line in rng.integers(0, 1 << 22, 4096)]
    assert 64 * 4096 / streamed > 240
    assert 64 * 4096 / stream_cycles(scattered, config) < 64 * 4096 / streamed
    in_order = stream_cycles(scattered, replace(config, policy="fcfs"))
    assert in_order > stream_cycles(scattered, config)


def test_arrays_are_aligned_and_do_not_overlap() -> None:
    values = [
        kernels.operand("B", np.eye(9, dtype=np.float32), "compressed,compressed"),
        kernels.operand("c", np.ones(9, np.float32), "dense"),
        kernels.result("x", (9,), "compressed"),
    ]
    placed = allocate({value.name: value for value in values}, MemoryConfig())
    order = list(placed.bases.values())
    assert order == sorted(set(order))
    assert all(base % 1024 == 0 for base in order)
    assert placed.values("c") - placed.values("B") >= 4 * 9
    assert {base % (1 << 30) for (name, *_), base in placed.bases.items() if name == "x"} == {0}
    assert len(placed.level("B", 0)) == 2
    assert placed.level("c", 0) == ()
