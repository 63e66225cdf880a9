"""A trace is JSON of slices that do not overlap and of counters that say what channels held."""

import io
import json
from typing import Any

import pytest

from fuseflow.sim.machine import Machine
from fuseflow.sim.occupancy import occupancy, peak_occupancy
from fuseflow.sim.result import MachineResult
from fuseflow.sim.trace import Trace
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.simulators import every_simulator

START = 5000


def run(simulator: str, seed: int = 5) -> tuple[Machine, MachineResult]:
    machine = draw_machine(seed, None)
    return machine, simulators.load(simulator)(machine, watch=True)


def trace_of(
    machine: Machine,
    result: MachineResult,
    last: int | None = None,
    limit: int = 10**6,
    *,
    first: int = 0,
) -> list[dict[str, Any]]:
    file = io.StringIO()
    trace = Trace(file, first, last, limit)
    trace.add(machine, result, START)
    trace.close()
    events: list[dict[str, Any]] = json.loads(file.getvalue())["traceEvents"]
    return events


def cycles(event: dict[str, Any], key: str = "ts") -> int:
    return round(event[key] * 1000)


@every_simulator
def test_slices_of_a_unit_follow_each_other_within_the_run(simulator: str) -> None:
    machine, result = run(simulator)
    ends: dict[int, int] = {}
    slices = [event for event in trace_of(machine, result) if event["ph"] == "X"]
    assert len({event["tid"] for event in slices}) > len(machine.units) // 2
    for event in slices:
        assert cycles(event) >= ends.get(event["tid"], START)
        ends[event["tid"]] = cycles(event) + cycles(event, "dur")
    assert START < max(ends.values()) <= START + result.elapsed + 1


@every_simulator
def test_counters_reach_the_peak_and_end_empty(simulator: str) -> None:
    machine, result = run(simulator)
    events = [event for event in trace_of(machine, result) if event["ph"] == "C"]
    for place, (channel, figures) in enumerate(zip(machine.channels, result.channels, strict=True)):
        held = [e["args"]["tokens"] for e in events if e["id"] == place]
        assert {e["name"] for e in events if e["id"] == place} == {channel.name}
        assert figures.recorded is not None
        assert figures.removals is not None
        assert max(held) == peak_occupancy(figures.recorded.stamps, figures.removals)
        assert held[-1] == 0


def test_a_window_keeps_what_lies_in_it_and_begins_with_what_is_there() -> None:
    machine, result = run("twin")
    first, last = START + result.elapsed // 3, START + result.elapsed // 2
    events = trace_of(machine, result, last, first=first)
    timed = [event for event in events if "ts" in event]
    assert timed
    assert all(first <= cycles(e) and cycles(e) + cycles(e, "dur") <= last
               for e in timed if e["ph"] == "X")  # fmt: skip
    assert all(first <= cycles(event) < last for event in timed if event["ph"] == "C")
    channel, figures = machine.channels[0], result.channels[0]
    assert figures.recorded is not None
    assert figures.removals is not None
    times, held = occupancy(figures.recorded.stamps, figures.removals)
    there = [h for t, h in zip(times, held, strict=True) if t + START <= first]
    counters = [e for e in timed if e["ph"] == "C" and e["name"] == channel.name]
    if there:
        assert (cycles(counters[0]), counters[0]["args"]["tokens"]) == (first, there[-1])


@pytest.mark.parametrize("limit", [60, 100])
def test_a_trace_says_where_it_was_cut_off(limit: int) -> None:
    machine, result = run("twin")
    events = trace_of(machine, result, limit=limit)
    notes = [event["name"] for event in events if event["ph"] == "I"]
    assert notes == [f"truncated after {limit} events"]
    named = sum(event["ph"] == "M" for event in events)
    assert len(events) <= limit + 1 + named


def test_times_are_exact() -> None:
    machine, result = run("twin")
    text = io.StringIO()
    trace = Trace(text, 0, None, 10**6)
    trace.add(machine, result, 2**50)
    trace.close()
    slices = [e for e in json.loads(text.getvalue())["traceEvents"] if e["ph"] == "X"]
    wanted = [e for e in trace_of(machine, result) if e["ph"] == "X"]
    for event, near in zip(slices, wanted, strict=True):
        assert cycles(event) - 2**50 == cycles(near) - START
