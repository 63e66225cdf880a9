"""Tokens that do not fit end a run with the unit, the ports and the tokens; never silently."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import GraphError
from fuseflow.sim import faults
from fuseflow.sim import params as pm
from fuseflow.sim.machine import ChannelKind, Cost, Machine, UnitKind
from fuseflow.sim.tokens import parse_token
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.cases_values import CASES
from tests.sim.golden import MachineBuilder
from tests.sim.harness import machine_of
from tests.sim.simulators import every_simulator

SPACC = pm.SpaccParams("add", 0.0, 1, (0,))
UNION = pm.JoinParams((False, True, True, True), (0, 0))
ALU = pm.AluParams("add", (0.0, 0.0), (), 1)
SUM = pm.ReduceParams("add", 0.0, 0.0)

MISALIGNED: list[tuple[UnitKind, pm.UnitParams | None, int, list[str]]] = [
    (UnitKind.JOIN, UNION, 1, ["1 S0 D", "1 S1 D"]),
    (UnitKind.JOIN, UNION, 1, ["S0 1 S1 D", "S1 D"]),
    (UnitKind.JOIN, UNION, 1, ["S1e1 D", "S1 D"]),
    (UnitKind.REPEAT, pm.RepeatParams(), 1, ["1 S0 D", "1 S0 1 S1 D"]),
    (UnitKind.REPEAT, pm.RepeatParams(), 1, ["1 2 S0 D", "1 S1 D"]),
    (UnitKind.REPEAT, pm.RepeatParams(), 1, ["S0 D", "S1 D"]),
    (UnitKind.REPLAY, pm.ReplayParams(1), 1, ["1 S1 D", "1 S0 1 S1 D"]),
    (UnitKind.REPLAY, pm.ReplayParams(1), 1, ["1 S0 2 S1 D", "1 S1 D"]),
    (UnitKind.REPLAY, pm.ReplayParams(1), 1, ["S1e1 D", "S1 D"]),
    (UnitKind.HOLD, None, 2, ["1 S0 D", "1 S0 1 S1 D"]),
    (UnitKind.HOLD, None, 2, ["1 2 S0 D", "1 S1 D"]),
    (UnitKind.DROP, None, 2, ["1 S0 D", "1 S0 1 S1 D"]),
    (UnitKind.DROP, None, 2, ["1 2 S0 D", "1 S1 D"]),
    (UnitKind.DROP, None, 2, ["S0 D", "S1 D"]),
    (UnitKind.MASK, pm.MaskParams("lt"), 1, ["1 S0 D", "1 S0 1 S1 D"]),
    (UnitKind.LOCATE, pm.LocateParams(9), 2, ["1 S0 1 S1 D", "1 S0 D"]),
    (UnitKind.VALDROP, pm.ValDropParams(), 2, ["1 2 S0 D", "1 S0 D"]),
    (UnitKind.ALU, ALU, 1, ["1 S0 D", "1 S1 D"]),
    (UnitKind.REDUCE, SUM, 1, ["1 S0 2 S1 D", "0 S0 D"]),
    (UnitKind.SPACC, SPACC, 2, ["1 S0 D", "1 S0 1 S1 D", "1 S0 1 S1 D"]),
    (UnitKind.SPACC, SPACC, 2, ["1 2 S0 D", "1 S1 D", "1 S1 D"]),
    (UnitKind.SPACC, SPACC, 2, ["1 S0 D", "1 S1 D", "1 2 S1 D"]),
    (UnitKind.SPACC, SPACC, 2, ["S0 D", "S1 D", "S1 D"]),
    (UnitKind.GATHER, pm.GatherParams(2, 0), 1, ["1 S0 D", "1 S1 D"]),
    (UnitKind.GATHER, pm.GatherParams(1, 0), 1, ["7 S0 D", "1 S0 D"]),
    (UnitKind.GATHER, pm.GatherParams(2, 1), 1, ["1 S1 D", "1 S2 D"]),
    (UnitKind.CONCAT, pm.ConcatParams("mix", 0, (0, 0)), 1, ["1 S0 D", "1 S1 D"]),
    (UnitKind.CONCAT, pm.ConcatParams("mix", 1, (0, 0)), 1, ["1 S1 D", "1 S2 D"]),
]

NUMBERS = {(UnitKind.ALU, 0), (UnitKind.ALU, 1), (UnitKind.REDUCE, 0), (UnitKind.VALDROP, 1)}


def unit_between(
    kind: UnitKind, params: pm.UnitParams | None, outputs: int, streams: list[str]
) -> Machine:
    """A unit that reads these tokens; all its outputs are void."""
    builder = MachineBuilder()
    inputs = []
    for port, text in enumerate(streams):
        is_number = (kind, port) in NUMBERS
        is_number = is_number or (kind is UnitKind.SPACC and port == len(streams) - 1)
        channel = ChannelKind.VAL if is_number else ChannelKind.CRD
        inputs.append(builder.channel(f"in {port}", channel))
        tokens = [parse_token(word, number=is_number) for word in text.split()]
        builder.source(inputs[-1], tokens, range(1, len(tokens) + 1))
    builder.unit(kind, "unit", inputs, (-1,) * outputs, params, Cost())
    return builder.build()


@every_simulator
@pytest.mark.parametrize(("kind", "params", "outputs", "streams"), MISALIGNED)
def test_streams_that_do_not_fit_each_other_are_refused(
    kind: UnitKind,
    params: pm.UnitParams | None,
    outputs: int,
    streams: list[str],
    simulator: str,
) -> None:
    run = simulators.load(simulator)
    with pytest.raises(GraphError) as caught:
        run(unit_between(kind, params, outputs, streams))
    assert caught.value.rule == faults.MISALIGNED
    assert caught.value.findings[0].where.node == "unit"


@every_simulator
@pytest.mark.parametrize(
    ("kind", "params", "streams", "rule"),
    [
        (UnitKind.SCAN, pm.ScanParams("dense", 3, 2), ["2 S0 D"], faults.OUT_OF_RANGE),
        (UnitKind.LOCATE, pm.LocateParams(3), ["3 S0 D"], faults.OUT_OF_RANGE),
        (
            UnitKind.ARRAY,
            pm.ArrayParams(np.zeros(2, np.float32), 2),
            ["2 S0 D"],
            faults.OUT_OF_RANGE,
        ),
        (UnitKind.ARRAY, pm.ArrayParams(None, 2), ["-1 S0 D"], faults.OUT_OF_RANGE),
        (
            UnitKind.REDUCE,
            pm.ReduceParams("add", 0.0, 0.0, extent=1),
            ["1 2 S0 D"],
            faults.OVERFULL,
        ),
        (UnitKind.JOIN, UNION, ["2 1 S0 D", "S0 D"], faults.SCRAMBLED),
        (UnitKind.JOIN, UNION, ["1 1 S0 D", "S0 D"], faults.SCRAMBLED),
    ],
)
def test_values_out_of_bounds_are_refused(
    kind: UnitKind, params: pm.UnitParams, streams: list[str], rule: str, simulator: str
) -> None:
    run = simulators.load(simulator)
    with pytest.raises(GraphError) as caught:
        run(unit_between(kind, params, 2, streams))
    assert caught.value.rule == rule


@every_simulator
@pytest.mark.parametrize(
    ("full", "streams", "beyond"),
    [
        ((3,), ["1 S0 D", "0 2 7 S1 D", "1 1 1 S1 D"], "7 is outside 0..2"),
        ((3,), ["1 2 S0 D", "4 5 S0 3 S1 D", "1 1 S0 1 S1 D"], "3 is outside 0..2"),
        ((3,), ["1 2 S0 D", "2 3 S0 9 S1 D", "1 1 S0 1 S1 D"], "3 is outside 0..2"),
        ((3,), ["1 2 S0 D", "7 8 S0 5 S1 D", "1 1 S0 1 S1 D"], "5 is outside 0..2"),
        ((3,), ["1 S0 D", "5000000 S1 D", "1 S1 D"], "5000000 is outside 0..2"),
        ((2, 3), ["1 S0 D", "1 S1 D", "4 5 S2 D", "1 1 S2 D"], "4 is outside 0..2"),
        ((2, 3), ["1 S0 D", "1 2 S1 D", "4 S0 0 S2 D", "1 S0 1 S2 D"], "2 is outside 0..1"),
    ],
)
def test_keys_beyond_a_full_level_are_refused(
    full: tuple[int, ...], streams: list[str], beyond: str, simulator: str
) -> None:
    params = pm.SpaccParams("add", 0.0, len(full), full)
    run = simulators.load(simulator)
    machine = unit_between(UnitKind.SPACC, params, len(full) + 1, streams)
    with pytest.raises(GraphError, match=f'node "unit": coordinate {beyond}') as caught:
        run(machine)
    assert caught.value.rule == faults.OUT_OF_RANGE


def test_a_misaligned_pair_is_reported_with_ports_and_tokens() -> None:
    machine = unit_between(UnitKind.ALU, ALU, 1, ["1 S0 D", "1 2 S0 D"])
    with pytest.raises(GraphError, match=r'node "unit": .*a\[1\] = S0, b\[1\] = 2'):
        simulators.load("twin")(machine)


def test_a_malformed_stream_is_reported_with_its_name() -> None:
    builder = MachineBuilder()
    channel = builder.channel("edge", ChannelKind.CRD, depth=2)
    tokens = [parse_token(word, number=False) for word in ("1", "S0", "D")]
    builder.source(channel, tokens, range(1, 4))
    builder.sink(channel)
    with pytest.raises(GraphError, match='"edge" of depth 2 cannot have token 2 = D') as caught:
        simulators.load("twin")(builder.build())
    assert caught.value.rule == faults.MALFORMED


@pytest.mark.parametrize("name", CASES)
@given(rng=st.integers(0, 2**32).map(Random))
def test_foreign_input_is_refused_or_fits_but_never_hangs(name: str, rng: Random) -> None:
    """One input of a case is exchanged for that of another case of the same kind."""
    one, other = CASES[name](rng), CASES[name](rng)
    ports = [
        port
        for port, (mine, theirs) in enumerate(zip(one.inputs, other.inputs, strict=False))
        if (mine.depth, mine.kind) == (theirs.depth, theirs.kind)
        and (mine.nested is None) == (theirs.nested is None)
    ]
    if not ports:
        return
    inputs, port = list(one.inputs), rng.choice(ports)
    inputs[port] = other.inputs[port]
    machine, _ = machine_of(replace(one, inputs=inputs), None, rng)
    try:
        complete = run_twin(machine).complete
    except GraphError as error:
        complete = error.rule.startswith("S0")
    assert complete
