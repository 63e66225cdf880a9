"""Attributes, ports and depths of single nodes."""

from collections.abc import Iterable

import pytest

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import NodeAttrs, Op
from fuseflow.ir.testing import KernelBuilder, make_stream
from fuseflow.ir.verify_nodes import check_attributes, check_ports
from tests.ir.test_op_specs import EXAMPLES

BAD: list[tuple[Op, NodeAttrs, str]] = [
    (Op.SCAN, df.ScanAttrs("A", -1), "level -1, expected at least 0"),
    (Op.FULL, df.FullAttrs(-1), "size -1"),
    (Op.LOCATE, df.LocateAttrs("A", 0, 3, stride=-1), "stride -1"),
    (Op.LOCATE, df.LocateAttrs("A", 0, 3, parent_stride=-3), "parent_stride -3"),
    (Op.JOIN, df.JoinAttrs("union", (1,)), "joins 1 inputs"),
    (Op.JOIN, df.JoinAttrs("union", (1, -1)), "payload counts"),
    (Op.JOIN, df.JoinAttrs("both", (0, 0)), "keep 'both', expected"),
    (Op.JOIN, df.JoinAttrs("011", (0, 0)), "4 characters"),
    (Op.JOIN, df.JoinAttrs("1000", (0, 0)), "keeps coordinates that no input has"),
    (Op.REPLAY, df.ReplayAttrs(0), "depth 0"),
    (Op.MASK, df.MaskAttrs("<"), "keep '<', expected one of lt"),
    (Op.ALU, df.AluAttrs("convolve", (0.0,)), "unknown function"),
    (Op.ALU, df.AluAttrs("mul", (0.0,)), "1 fills, mul has 2 operands"),
    (Op.ALU, df.AluAttrs("leaky_relu", (0.0,)), "0 parameters, leaky_relu takes slope"),
    (Op.REDUCE, df.ReduceAttrs("median"), "unknown reduction"),
    (Op.REDUCE, df.ReduceAttrs("add", extent=-1), "extent -1"),
    (Op.SPACC, df.SpaccAttrs("add", 0, ()), "order 0"),
    (Op.SPACC, df.SpaccAttrs("add", 2, (0,)), "full (0,), expected one extent"),
    (Op.SPACC, df.SpaccAttrs("add", 1, (-1,)), "full (-1,)"),
    (Op.FORK, df.ForkAttrs(0), "lanes 0"),
    (Op.GATHER, df.GatherAttrs(0, 0), "lanes 0"),
    (Op.GATHER, df.GatherAttrs(2, -1), "depth -1"),
    (Op.BROADCAST, df.BroadcastAttrs(0), "copies 0"),
    (Op.CONCAT, df.ConcatAttrs("zip", 0, (0,)), "mode 'zip'"),
    (Op.CONCAT, df.ConcatAttrs("mix", 0, ()), "offsets ()"),
    (Op.CONCAT, df.ConcatAttrs("mix", 0, (-1,)), "offsets (-1,)"),
    (Op.CONCAT, df.ConcatAttrs("pad", 1, (0,)), "depth 1 does not fit mode pad"),
    (Op.LEVEL_WRITE, df.LevelWriteAttrs("A", -1), "level -1"),
    (Op.REPEAT, df.ReplayAttrs(1), "has ReplayAttrs, expected NoAttrs"),
]


def messages(op: Op, attrs: NodeAttrs) -> list[str]:
    node = df.Node(0, op, "n", (), (), attrs)
    return [finding.message for finding in check_attributes(df.DataflowGraph("k"), node)]


@pytest.mark.parametrize("op", list(Op))
def test_good_attributes_pass(op: Op) -> None:
    assert not messages(op, EXAMPLES[op])


@pytest.mark.parametrize(("op", "attrs", "words"), BAD)
def test_bad_attribute_is_named_with_its_value(op: Op, attrs: NodeAttrs, words: str) -> None:
    (message,) = messages(op, attrs)
    assert words in message


def port_findings(
    op: Op, attrs: NodeAttrs, inputs: Iterable[str], outputs: Iterable[str]
) -> list[str]:
    """Check a node between streams of the given texts; "" is an unconnected input."""
    kernel = KernelBuilder()
    graph = kernel.graph
    ends: list[int | None] = []
    for text in inputs:
        sid = len(graph.streams) + 1
        ends.append(sid if text else None)
        graph.streams[sid] = make_stream(sid, text or "ref")
    kernel.add(op, attrs, ends, list(outputs), name="n")
    return [f"{f.rule} {f.message}" for f in check_ports(graph, graph.nodes[0])]


@pytest.mark.parametrize(
    ("op", "inputs", "outputs"),
    [
        (Op.ROOT, [], ["ref"]),
        (Op.FULL, ["val i"], ["crd i j"]),
        (Op.LOCATE, ["crd i", ""], ["crd i", "ref i"]),
        (Op.LOCATE, ["crd i j", "ref i"], ["", "ref i j"]),
        (Op.JOIN, ["crd i", "val i", "crd i"], ["crd i", "val i"]),
        (Op.REPEAT, ["val", "crd i"], ["val i"]),
        (Op.REPLAY, ["ref i s t", "crd i v"], ["ref i v s t"]),
        (Op.MASK, ["crd i", "crd i j", ""], ["crd i j", ""]),
        (Op.ALU, ["val"], ["val"]),
        (Op.REDUCE, ["val i j", "crd i"], ["val i"]),
        (Op.SPACC, ["crd r", "crd r a", "crd r a b", "val r a b", ""],
         ["crd a", "crd a b", "val a b"]),
        (Op.FORK, ["ref i"], ["ref i", "ref i", "crd i"]),
        (Op.GATHER, ["val i", "val i", ""], ["val i"]),
        (Op.CONCAT, ["crd i", "crd j"], ["crd v"]),
        (Op.VAL_WRITE, ["val", ""], []),
    ],
)  # fmt: skip
def test_ports_of_the_specified_kinds_and_depths_pass(
    op: Op, inputs: list[str], outputs: list[str]
) -> None:
    assert not port_findings(op, EXAMPLES[op], inputs, outputs)


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "finding"),
    [
        (Op.ROOT, [], ["ref i"], "D005 output 0 is stream 1 of depth 1, expected 0"),
        (Op.SCAN, ["crd i"], ["crd i j", ""], "D004 input 0 is stream 1 of kind crd, expected ref"),
        (Op.FULL, [""], ["crd i"], "D003 input 0 (in) is not connected"),
        (Op.FULL, [], ["crd i"], "D003 0 inputs, expected 1 (in)"),
        (Op.JOIN, ["crd i", "crd i", "crd i"], ["crd i", "ref i"],
         "D004 input 1 is stream 2 of kind crd, expected ref or val"),
        (Op.JOIN, ["crd i", "val i", "crd i"], ["crd i", "ref i"],
         "D004 output 1 is stream 5 of kind ref, expected val"),
        (Op.REPEAT, ["val i", "crd i"], ["val i"],
         "D005 input 1 is stream 2 of depth 1, expected 2"),
        (Op.REPLAY, ["ref s t", "crd i v"], ["ref i s t"],
         "D005 input 1 is stream 2 of depth 2, expected 1"),
        (Op.SPACC, ["crd r", "crd r a", "crd r a", "val r a b", ""], ["", "", "val a b"],
         "D005 input 2 is stream 3 of depth 2, expected 3"),
        (Op.VAL_WRITE, ["val i"], [], "D003 1 inputs, expected 2 (val, ref)"),
        (Op.LEVEL_WRITE, ["crd i"], ["crd i"], "D003 1 outputs, expected 0 (none)"),
    ],
)  # fmt: skip
def test_wrong_port_is_named(op: Op, inputs: list[str], outputs: list[str], finding: str) -> None:
    assert finding in port_findings(op, EXAMPLES[op], inputs, outputs)
