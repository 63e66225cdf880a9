"""Index tuples and domains of what an op reads together, and of what comes out."""

import pytest

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import NodeAttrs, Op
from fuseflow.ir.testing import KernelBuilder, make_stream
from fuseflow.ir.verify_nodes import check_attributes, check_ports, wire_node
from fuseflow.ir.verify_streams import check_nests

JOIN = df.JoinAttrs("union", (1, 0))
SPACC = df.SpaccAttrs("add", 2, (0, 0))
MIX = df.ConcatAttrs("mix", 1, (0, 3))
PAD = df.ConcatAttrs("pad", 0, (0, 3))
LOCATE = df.LocateAttrs("A", 1, 4)
MUL = df.AluAttrs("mul", (0.0, 0.0))


def rules(op: Op, attrs: NodeAttrs, inputs: list[str], outputs: list[str]) -> list[str]:
    """Return the rules that a node between these streams breaks; "" is unconnected."""
    kernel = KernelBuilder()
    graph = kernel.graph
    ends: list[int | None] = []
    for text in inputs:
        sid = len(graph.streams) + 1
        ends.append(sid if text else None)
        graph.streams[sid] = make_stream(sid, text or "ref")
    kernel.add(op, attrs, ends, outputs)
    (node,) = graph.nodes
    assert not [*check_attributes(graph, node), *check_ports(graph, node)], "wrong test"
    return [finding.rule for finding in check_nests(wire_node(graph, node))]


LEGAL: list[tuple[Op, NodeAttrs, list[str], list[str]]] = [
    (Op.ROOT, df.RootAttrs(), [], ["ref"]),
    (Op.SCAN, df.ScanAttrs("A", 0), ["ref i:1"], ["crd i:1 k:2", "ref i:1 k:2"]),
    (Op.SCAN, df.ScanAttrs("A", 0), ["ref i"], ["crd i k", "ref i k"]),
    (Op.FULL, df.FullAttrs(3), ["crd i:1"], ["crd i:1 k:2"]),
    (Op.LOCATE, LOCATE, ["crd i:1 k:2", "ref i:1"], ["", "ref i:1 k:2"]),
    (Op.JOIN, JOIN, ["crd i:1 k:2", "ref i:1 k:2", "crd i:1 k:3"], ["crd i:1 k:4", "ref i:1 k:4"]),
    (Op.REPEAT, df.NoAttrs(), ["val i:1", "crd i:1 k:2"], ["val i:1 k:2"]),
    (Op.REPEAT, df.NoAttrs(), ["val i:1", "crd i k"], ["val i:1 k:2"]),
    (Op.REPLAY, df.ReplayAttrs(2), ["val i:1 s:5 t:6", "crd i:1 k:2"], ["val i:1 k:2 s:5 t:6"]),
    (Op.HOLD, df.NoAttrs(), ["crd i:1", "crd i:1 k:2"], ["crd i:1 k:2", "crd i:1 k:2"]),
    (Op.DROP, df.NoAttrs(), ["crd h:1 i:1", "crd h:1 i:1 k:2"], ["crd h:1 i:8", "crd h:1 i:8 k:9"]),
    (Op.MASK, df.MaskAttrs("le"), ["crd i:1", "crd i:1 k:2", "ref i:1 k:2"],
     ["crd i:1 k:3", "ref i:1 k:3"]),
    (Op.VALDROP, df.ValDropAttrs(), ["crd i:1 k:2", "val i:1 k:2"], ["crd i:1 k:3", "val i:1 k:3"]),
    (Op.ARRAY, df.ArrayAttrs("A"), ["ref i:1"], ["val i:1"]),
    (Op.ALU, MUL, ["val i:1", "val i"], ["val i:1"]),
    (Op.REDUCE, df.ReduceAttrs("add"), ["val i:1 k:2", "crd i:1"], ["val i:1"]),
    (Op.SPACC, SPACC, ["crd i:1 r:2", "crd i:1 r:2 a:3", "crd i:1 r:2 a:3 b:4",
                       "val i:1 r:2 a:3 b:4", "crd i:1"],
     ["crd i:1 a:7", "crd i:1 a:7 b:8", "val i:1 a:7 b:8"]),
    (Op.FORK, df.ForkAttrs(2), ["ref i:1 k:2"], ["ref i:1 k:3", "ref i:1 k:4", "crd i:1 k:2"]),
    (Op.GATHER, df.GatherAttrs(2, 1), ["val i:1 k:3 j:5", "val i:1 k:4 j:6", ""],
     ["val i:1 k:2 j:7"]),
    (Op.BROADCAST, df.BroadcastAttrs(2), ["val i:1"], ["val i:1", "val i:1"]),
    (Op.CONCAT, MIX, ["crd i:1 a:2 k:4", "crd i:1 b:3 k:5"], ["crd i:1 c:6 k:7"]),
    (Op.CONCAT, PAD, ["crd i:1 a:2", "ref i:1 a:2", "crd i:1 b:3", "ref i:1 b:3"],
     ["crd i:1 c:6", "ref i:1 c:6", "ref i:1 c:6"]),
    (Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 0), ["crd i:1"], []),
    (Op.VAL_WRITE, df.ValWriteAttrs("Z"), ["val i:1", "ref i:1"], []),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attrs", "inputs", "outputs"), LEGAL)
def test_legal_nests_pass(op: Op, attrs: NodeAttrs, inputs: list[str], outputs: list[str]) -> None:
    assert rules(op, attrs, inputs, outputs) == []


def test_every_op_has_a_legal_nest() -> None:
    assert {op for op, *_ in LEGAL} == set(Op)


ILLEGAL: list[tuple[str, Op, NodeAttrs, list[str], list[str]]] = [
    ("D006", Op.SCAN, df.ScanAttrs("A", 0), ["ref i"], ["crd h k", ""]),
    ("D006", Op.SCAN, df.ScanAttrs("A", 0), ["ref i"], ["crd i k", "ref i j"]),
    ("D007", Op.SCAN, df.ScanAttrs("A", 0), ["ref i:1"], ["crd i:1 k:2", "ref i:1 k:3"]),
    ("D007", Op.FULL, df.FullAttrs(3), ["crd i:1"], ["crd i:2 k:2"]),
    ("D006", Op.LOCATE, LOCATE, ["crd i k", "ref h"], ["", "ref i k"]),
    ("D007", Op.LOCATE, LOCATE, ["crd i:1 k:2", "ref i:1"], ["", "ref i:1 k:3"]),
    ("D006", Op.JOIN, JOIN, ["crd i k", "ref i k", "crd i j"], ["crd i k", "ref i k"]),
    ("D007", Op.JOIN, JOIN, ["crd i:1 k:2", "ref i:1 k:9", "crd i:1 k:3"], ["crd i:1 k:4", ""]),
    ("D007", Op.JOIN, JOIN, ["crd i:1 k:2", "ref i:1 k:2", "crd i:9 k:3"], ["crd i:1 k:4", ""]),
    ("D007", Op.JOIN, JOIN, ["crd i:1 k:2", "ref i:1 k:2", "crd i:1 k:3"],
     ["crd i:1 k:4", "ref i:1 k:5"]),
    ("D006", Op.REPEAT, df.NoAttrs(), ["val i", "crd h k"], ["val i k"]),
    ("D007", Op.REPEAT, df.NoAttrs(), ["val i:1", "crd i:2 k:2"], ["val i:1 k:2"]),
    ("D006", Op.REPLAY, df.ReplayAttrs(2), ["val i s t", "crd i k"], ["val i s t k"]),
    ("D006", Op.REPLAY, df.ReplayAttrs(2), ["val h s t", "crd i k"], ["val i k s t"]),
    ("D006", Op.HOLD, df.NoAttrs(), ["crd i", "crd h k"], ["crd h k", ""]),
    ("D007", Op.DROP, df.NoAttrs(), ["crd i:1", "crd i:1 k:2"], ["crd i:8", "crd i:7 k:9"]),
    ("D007", Op.MASK, df.MaskAttrs("le"), ["crd i:1", "crd i:1 k:2", "ref i:1 k:3"],
     ["crd i:1 k:3", ""]),
    ("D007", Op.VALDROP, df.ValDropAttrs(), ["crd i:1 k:2", "val i:1 k:2"],
     ["crd i:1 k:3", "val i:1 k:4"]),
    ("D007", Op.ARRAY, df.ArrayAttrs("A"), ["ref i:1"], ["val i:2"]),
    ("D006", Op.ALU, MUL, ["val i j", "val j i"], ["val i j"]),
    ("D007", Op.ALU, MUL, ["val i:1 j:2", "val i:1 j:3"], ["val i:1 j:2"]),
    ("D006", Op.REDUCE, df.ReduceAttrs("add"), ["val i k", ""], ["val k"]),
    ("D006", Op.SPACC, SPACC, ["crd r", "crd r b", "crd r a b", "val r a b", ""],
     ["", "", "val a b"]),
    ("D006", Op.SPACC, SPACC, ["crd r", "crd r a", "crd r a b", "val r a b", ""],
     ["", "", "val b a"]),
    ("D006", Op.SPACC, SPACC, ["crd i r", "crd i r a", "crd i r a b", "val i r a b", ""],
     ["", "", "val r a b"]),
    ("D007", Op.SPACC, SPACC, ["crd r:1", "crd r:1 a:2", "crd r:1 a:2 b:3", "val r:1 a:2 b:4", ""],
     ["", "", "val a b"]),
    ("D007", Op.SPACC, SPACC, ["crd r:1", "crd r:1 a:2", "crd r:1 a:2 b:3", "val r:1 a:2 b:3", ""],
     ["crd a:7", "crd a:7 b:8", "val a:7 b:9"]),
    ("D007", Op.FORK, df.ForkAttrs(2), ["ref i:1 k:2"], ["ref i:5 k:3", "", ""]),
    ("D006", Op.GATHER, df.GatherAttrs(2, 1), ["val i k j", "val i k h", ""], ["val i k j"]),
    ("D007", Op.GATHER, df.GatherAttrs(2, 0), ["val i:1 k:3", "val i:2 k:4", ""], ["val i:1 k:5"]),
    ("D007", Op.BROADCAST, df.BroadcastAttrs(2), ["val i:1"], ["val i:1", "val i:2"]),
    ("D006", Op.CONCAT, MIX, ["crd i a k", "crd h b k"], ["crd i c k"]),
    ("D006", Op.CONCAT, MIX, ["crd i a k", "crd i b k"], ["crd i c j"]),
    ("D006", Op.CONCAT, PAD, ["crd a", "ref a", "crd b", "ref a"], ["crd c", "", ""]),
    ("D006", Op.CONCAT, PAD, ["crd a", "ref a", "crd b", "ref b"], ["crd c", "ref d", ""]),
    ("D006", Op.VAL_WRITE, df.ValWriteAttrs("Z"), ["val i", "ref k"], []),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "op", "attrs", "inputs", "outputs"), ILLEGAL)
def test_disagreement_is_reported_once(
    rule: str, op: Op, attrs: NodeAttrs, inputs: list[str], outputs: list[str]
) -> None:
    assert rules(op, attrs, inputs, outputs) == [rule]
