"""Every primitive equals its list function, whatever the capacities, stamps and schedule."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.sim.machine import Machine, UnitKind
from fuseflow.sim.nested import decode
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.cases_values import CASES
from tests.sim.harness import machine_of, tokens_of
from tests.sim.simulators import every_simulator

CAPACITIES = (None, 2, 8)
rngs = st.integers(0, 2**32).map(Random)
every_primitive = pytest.mark.parametrize("name", CASES)


def assert_same(got: object, expected: object) -> None:
    """Equal lists; numbers are equal, and NaN is NaN."""
    if isinstance(expected, list):
        assert isinstance(got, list)
        assert len(got) == len(expected)
        for mine, wanted in zip(got, expected, strict=True):
            assert_same(mine, wanted)
    elif isinstance(expected, np.floating):
        np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


@every_simulator
@every_primitive
@given(rng=rngs)
def test_primitive_equals_its_list_function(name: str, simulator: str, rng: Random) -> None:
    run = simulators.load(simulator)
    case = CASES[name](rng)
    for capacity in CAPACITIES:
        machine, outputs = machine_of(case, capacity, rng)
        result = run(machine, record=True)
        assert result.complete
        for channel, expected in zip(outputs, case.outputs, strict=True):
            if expected:
                got = decode(tokens_of(result, channel).tokens(), expected.depth)
                assert_same(got, expected.nested)
        for field, wanted in (case.written or {}).items():
            unit = next(
                r for u, r in zip(machine.units, result.units, strict=True) if u.name == "unit"
            )
            stored = unit.values if field == "values" else getattr(unit.level, field)
            assert stored.tolist() == wanted


@every_simulator
@every_primitive
@given(rng=rngs)
def test_work_and_waiting_make_up_the_clock(name: str, simulator: str, rng: Random) -> None:
    run = simulators.load(simulator)
    machine, _ = machine_of(CASES[name](rng), rng.choice(CAPACITIES), rng)
    result = run(machine)
    assert all(0 <= unit.busy <= unit.clock for unit in result.units)
    assert result.elapsed == max(unit.clock for unit in result.units)


@every_primitive
@given(rng=rngs)
def test_the_order_of_units_decides_nothing(name: str, rng: Random) -> None:
    machine, _ = machine_of(CASES[name](rng), rng.choice(CAPACITIES), rng)
    units = list(machine.units)
    rng.shuffle(units)
    shuffled = Machine(machine.name, tuple(units), machine.channels)
    one, other = run_twin(machine, record=True), run_twin(shuffled, record=True)
    for channel in range(len(machine.channels)):
        mine, theirs = tokens_of(one, channel), tokens_of(other, channel)
        assert mine.text() == theirs.text()
        assert mine.stamps.tolist() == theirs.stamps.tolist()
    clocks = {u.name: r.clock for u, r in zip(machine.units, one.units, strict=True)}
    assert clocks == {u.name: r.clock for u, r in zip(units, other.units, strict=True)}


@given(rng=rngs)
def test_more_room_never_makes_a_unit_slower(rng: Random) -> None:
    case = CASES[rng.choice(sorted(CASES))](rng)
    seed = rng.random()
    elapsed = []
    for capacity in (1, 2, 8, None):
        machine, _ = machine_of(case, capacity, Random(seed))
        elapsed.append(run_twin(machine).elapsed)
    assert elapsed == sorted(elapsed, reverse=True)


def test_every_kind_of_unit_has_a_case() -> None:
    covered = {CASES[name](Random(0)).kind for name in CASES}
    assert set(UnitKind) - covered == {UnitKind.SOURCE, UnitKind.SINK}
