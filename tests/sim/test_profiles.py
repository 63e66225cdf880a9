"""Profiles and overrides give each unit the cost that they state."""

import pytest

from fuseflow.errors import UsageError
from fuseflow.ir.dataflow import (
    AluAttrs,
    ArrayAttrs,
    ForkAttrs,
    GatherAttrs,
    NoAttrs,
    Node,
    NodeAttrs,
    Op,
    ReduceAttrs,
    SpaccAttrs,
    ValWriteAttrs,
)
from fuseflow.ir.hardware import HardwareConfig, NodeCost, TimingConfig
from fuseflow.sim.machine import Cost
from fuseflow.sim.profiles import PROFILES, check_hardware, cost_of, signal_cost

COMAL, NATIVE = PROFILES["comal"], PROFILES["native"]
ADD = AluAttrs("add", (0.0, 0.0))
SPACC = SpaccAttrs("add", 1, (0,))


def node(op: Op, attrs: NodeAttrs | None = None, inputs: int = 0) -> Node:
    return Node(1, op, "n", (None,) * inputs, (), attrs or NoAttrs())


@pytest.mark.parametrize(
    ("made", "comal", "native"),
    [
        (node(Op.ALU, ADD), Cost(), Cost()),
        (node(Op.SPACC, SPACC), Cost(), Cost(flush_ii=1)),
        (node(Op.DROP), Cost(), Cost(inner=1)),
        (node(Op.FORK, ForkAttrs(3)), Cost(done=1), Cost()),
        (node(Op.VAL_WRITE, ValWriteAttrs("X")), Cost(done=1), Cost()),
        (node(Op.GATHER, GatherAttrs(4, 0), 5), Cost(done=3), Cost(done=1)),
        (node(Op.GATHER, GatherAttrs(1, 0), 2), Cost(), Cost()),
    ],
)
def test_a_profile_charges_its_table(made: Node, comal: Cost, native: Cost) -> None:
    assert cost_of(made, COMAL, (), ()) == comal
    assert cost_of(made, NATIVE, (), ()) == native


@pytest.mark.parametrize(
    ("made", "comal", "native"),
    [
        (node(Op.ARRAY, ArrayAttrs("A")), Cost(latency=64), Cost(latency=64)),
        (node(Op.ALU, ADD), Cost(latency=64), Cost(latency=64, ii=4)),
        (node(Op.ALU, AluAttrs("relu", (0.0,))), Cost(latency=8), Cost(latency=8, ii=4)),
        (node(Op.REDUCE, ReduceAttrs("add")), Cost(latency=64), Cost(latency=64, ii=4)),
        (node(Op.SPACC, SPACC), Cost(), Cost(ii=4, flush_ii=1)),
        (node(Op.REPEAT), Cost(), Cost()),
    ],
)
def test_a_tile_costs_by_its_size(made: Node, comal: Cost, native: Cost) -> None:
    assert cost_of(made, COMAL, (), (8, 8)) == comal
    assert cost_of(made, NATIVE, (), (8, 8)) == native


def test_only_native_limits_what_a_channel_carries() -> None:
    assert [COMAL.interval(tile) for tile in ((), (8, 8))] == [0, 0]
    assert [NATIVE.interval(tile) for tile in ((), (2, 2), (8, 8), (5, 5))] == [1, 1, 4, 2]


def test_an_override_of_a_function_wins_over_that_of_its_kind() -> None:
    costs = (NodeCost("alu", fn="add", latency=3), NodeCost("alu", ii=2, latency=9))
    assert cost_of(node(Op.ALU, ADD), COMAL, costs, ()) == Cost(ii=2, latency=3)
    assert cost_of(node(Op.ALU, AluAttrs("exp", (0.0,))), COMAL, costs, ()) == Cost(2, 9)
    assert cost_of(node(Op.REDUCE, ReduceAttrs("add")), COMAL, costs, ()) == Cost()


def test_the_hidden_signal_generator_has_a_cost_of_its_own() -> None:
    assert signal_cost((NodeCost("repsig", ii=3), NodeCost("repeat", ii=2))) == Cost(ii=3)


@pytest.mark.parametrize(
    ("timing", "rule"),
    [
        (TimingConfig(profile="fast"), "U301"),
        (TimingConfig(costs=(NodeCost("scam"),)), "U304"),
        (TimingConfig(costs=(NodeCost("alu", fn="ad"),)), "U305"),
        (TimingConfig(costs=(NodeCost("scan", fn="add"),)), "U305"),
        (TimingConfig(costs=(NodeCost("scan", latency=2),)), "U306"),
        (TimingConfig(costs=(NodeCost("alu", ii=-1),)), "U307"),
        (TimingConfig(capacity=0), "U307"),
    ],
)
def test_a_cost_that_means_nothing_is_refused(timing: TimingConfig, rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_hardware(HardwareConfig(timing))
    assert caught.value.rule.startswith(rule)
    assert caught.value.exit_code == 2


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match='did you mean "scan"'):
        check_hardware(HardwareConfig(TimingConfig(costs=(NodeCost("scam"),))))
