"""A deadlock says which channels held how much, and how much room would have been enough."""

from dataclasses import replace

import pytest

from fuseflow.ir.hardware import HardwareConfig, TimingConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.sim import Watch, simulate
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator
from tests.sim.test_depths import softmax_of


def stuck(simulator: str, capacity: int, **options: bool) -> SimulationReport:
    simulators.load(simulator)
    graph, values = softmax_of(9)
    program = kernels.program(values, [graph], "Y")
    # Profile native has no hidden channels, so that every capacity can be stated.
    hardware = HardwareConfig(TimingConfig("native", capacity=capacity))
    return simulate(program, hardware, engine=simulator, watch=Watch(**options))


@every_simulator
def test_the_wait_cycle_has_full_and_empty_channels(simulator: str) -> None:
    deadlock = stuck(simulator, 4, advise=False).deadlock
    assert deadlock is not None
    assert len(deadlock.channels) == len(deadlock.blocked)
    held = {state.occupied for state in deadlock.channels}
    assert held == {0, 4}
    assert all(state.capacity == 4 for state in deadlock.channels)
    assert deadlock.sufficient == ()


@every_simulator
def test_the_capacities_found_are_enough_and_the_least(simulator: str) -> None:
    deadlock = stuck(simulator, 4).deadlock
    assert deadlock is not None
    assert deadlock.sufficient
    graph, values = softmax_of(9)
    found = {s.stream: s.capacity for s in deadlock.sufficient if s.stream is not None}
    for short in (None, *found):
        streams = {
            sid: replace(s, capacity=found[sid] - (sid == short)) if sid in found else s
            for sid, s in graph.streams.items()
        }
        tried = replace(graph, streams=streams)
        hardware = HardwareConfig(TimingConfig("native", capacity=4))
        program = kernels.program(values, [tried], "Y")
        ran = simulate(program, hardware, engine=simulator, watch=Watch(advise=False))
        assert ran.complete == (short is None)


def test_both_simulators_give_the_same_advice() -> None:
    simulators.load("engine")
    assert stuck("twin", 3).deadlock == stuck("engine", 3).deadlock


@pytest.mark.parametrize("capacity", [1, 2, 4])
def test_what_was_enough_does_not_depend_on_how_short_it_was(capacity: int) -> None:
    deadlock = stuck("twin", capacity).deadlock
    assert deadlock is not None
    assert max(s.capacity for s in deadlock.sufficient) <= 12
