"""Peaks, waits and list lengths of a watched run, against their definitions."""

import numpy as np
import pytest

from fuseflow.sim.occupancy import longest_list, occupancy, peak_occupancy
from fuseflow.sim.tokens import CTL_STOP, DONE, MISSING, Stop, TokenStream
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_equals_twin import assert_equal_results
from tests.sim.memory.placing import MEMORIES, with_memory
from tests.sim.simulators import every_simulator


def test_a_token_is_there_from_its_stamp_to_its_removal() -> None:
    stamps, removals = np.array([1, 2, 9]), np.array([5, 5, 9])
    cycles, held = occupancy(stamps, removals)
    assert cycles.tolist() == [1, 2, 6, 9, 10]
    assert held.tolist() == [1, 2, 0, 1, 0]
    assert peak_occupancy(stamps, removals) == 2
    assert peak_occupancy(np.array([], np.int64), np.array([], np.int64)) == 0


def test_the_longest_list_counts_missing_elements() -> None:
    tokens = [1, 2, Stop(0), 3, MISSING, 4, Stop(1), Stop(2, 2), DONE]
    assert longest_list(TokenStream.of(tokens, range(len(tokens)), number=False)) == 3


@every_simulator
@pytest.mark.parametrize("capacity", [None, 3])
def test_watched_figures_fit_each_other(capacity: int | None, simulator: str) -> None:
    run = simulators.load(simulator)
    results = [run(draw_machine(seed, capacity), watch=True) for seed in range(40, 48)]
    finished = [result for result in results if result.complete]
    assert len(finished) > 3
    for result in finished:
        for channel in result.channels:
            assert channel.recorded is not None
            assert channel.removals is not None
            assert (channel.removals >= channel.recorded.stamps).all()
            peak = peak_occupancy(channel.recorded.stamps, channel.removals)
            assert 0 < peak <= (capacity or len(channel.recorded))
        for figures in result.units:
            assert figures.waited_by_input is not None
            assert sum(figures.waited_by_input) == figures.waited_for_input


@pytest.mark.parametrize("capacity", [None, 3])
@pytest.mark.parametrize("memory", [None, "hbm2, tight"])
def test_watching_changes_nothing_and_both_simulators_see_the_same(
    memory: str | None, capacity: int | None
) -> None:
    run = simulators.load("engine")
    for seed in range(60, 72):
        machine = draw_machine(seed, capacity)
        machine = with_memory(machine, MEMORIES[memory]) if memory else machine
        watched, wanted = run(machine, watch=True), run_twin(machine, watch=True)
        assert_equal_results(machine, watched, wanted)
        for mine, theirs in zip(watched.channels, wanted.channels, strict=True):
            np.testing.assert_array_equal(mine.removals, theirs.removals)
        assert run(machine).elapsed == watched.elapsed


@every_simulator
def test_marked_stops_are_those_of_empty_lists_above_the_innermost(simulator: str) -> None:
    run = simulators.load(simulator)
    marked = 0
    for seed in range(60, 72):
        for channel in run(draw_machine(seed, None), record=True).channels:
            assert channel.recorded is not None
            ctl = channel.recorded.ctl
            assert channel.marked == np.count_nonzero((ctl >= CTL_STOP) & (ctl & 0x38 != 0))
            marked += channel.marked
    assert marked > 0
