"""The specification table has a complete and consistent row for every primitive."""

from typing import get_args

import pytest

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import NodeAttrs, Op, StreamKind
from fuseflow.ir.op_specs import OP_SPECS, ports_of

EXAMPLES: dict[Op, NodeAttrs] = {
    Op.ROOT: df.RootAttrs("A"),
    Op.SCAN: df.ScanAttrs("A", 0),
    Op.FULL: df.FullAttrs(0),
    Op.LOCATE: df.LocateAttrs("A", 0, 3),
    Op.JOIN: df.JoinAttrs("left", (1, 0)),
    Op.REPEAT: df.NoAttrs(),
    Op.REPLAY: df.ReplayAttrs(2),
    Op.HOLD: df.NoAttrs(),
    Op.DROP: df.NoAttrs(),
    Op.MASK: df.MaskAttrs("le"),
    Op.VALDROP: df.ValDropAttrs(),
    Op.ARRAY: df.ArrayAttrs("A"),
    Op.ALU: df.AluAttrs("leaky_relu", (0.0,), (0.1,)),
    Op.REDUCE: df.ReduceAttrs("max", extent=3),
    Op.SPACC: df.SpaccAttrs("add", 2, (0, 4)),
    Op.FORK: df.ForkAttrs(2),
    Op.GATHER: df.GatherAttrs(2, 0),
    Op.BROADCAST: df.BroadcastAttrs(2),
    Op.CONCAT: df.ConcatAttrs("mix", 1, (0, 3)),
    Op.LEVEL_WRITE: df.LevelWriteAttrs("A", 0),
    Op.VAL_WRITE: df.ValWriteAttrs("A"),
}


def example(op: Op) -> df.Node:
    return df.Node(0, op, "n", (), (), EXAMPLES[op])


def test_every_op_has_a_row_and_every_record_an_op() -> None:
    assert set(OP_SPECS) == set(Op) == set(EXAMPLES)
    assert {spec.attrs for spec in OP_SPECS.values()} == set(get_args(NodeAttrs))


@pytest.mark.parametrize("op", list(Op))
def test_ports_have_names_kinds_and_known_twins(op: Op) -> None:
    assert isinstance(EXAMPLES[op], OP_SPECS[op].attrs)
    assert OP_SPECS[op].summary
    inputs, outputs = ports_of(example(op))
    for ports in (inputs, outputs):
        assert len({port.name for port in ports}) == len(ports)
        assert all(port.kinds for port in ports)
    assert {port.same_as for port in outputs} - {""} <= {port.name for port in inputs}
    assert not any(port.optional for port in outputs)


@pytest.mark.parametrize("op", list(Op))
def test_reference_that_leaves_a_node_is_made_there_or_copied(op: Op) -> None:
    """What a reference means can be followed only so."""
    makers = {Op.ROOT, Op.SCAN, Op.LOCATE}
    _, outputs = ports_of(example(op))
    carried = [port for port in outputs if StreamKind.REF in port.kinds]
    assert op in makers or all(port.same_as for port in carried)


def test_ports_follow_the_attributes() -> None:
    def names(op: Op, attrs: NodeAttrs) -> tuple[str, str]:
        sides = ports_of(df.Node(0, op, "n", (), (), attrs))
        return tuple(" ".join(port.name for port in side) for side in sides)  # type: ignore[return-value]

    assert names(Op.JOIN, df.JoinAttrs("union", (2, 0, 1))) == (
        "crd0 pay0_0 pay0_1 crd1 crd2 pay2_0", "crd pay0_0 pay0_1 pay2_0",
    )  # fmt: skip
    assert names(Op.SPACC, df.SpaccAttrs("add", 2, (0, 0))) == (
        "crd2 crd1 crd0 val shape", "crd1 crd0 val",
    )  # fmt: skip
    assert names(Op.ALU, df.AluAttrs("mul", (0.0, 0.0))) == ("a b", "val")
    assert names(Op.FORK, df.ForkAttrs(2)) == ("in", "out0 out1 sel")
    assert names(Op.GATHER, df.GatherAttrs(2, 1)) == ("in0 in1 sel", "out")
    assert names(Op.CONCAT, df.ConcatAttrs("pad", 0, (0, 3))) == (
        "crd0 pay0 crd1 pay1", "crd pay0 pay1",
    )  # fmt: skip


def test_signal_of_a_replay_is_shallower_by_the_depth_of_its_elements() -> None:
    inputs, outputs = ports_of(df.Node(0, Op.REPLAY, "n", (), (), df.ReplayAttrs(3)))
    assert [port.level for port in (*inputs, *outputs)] == [0, -2, 1]
