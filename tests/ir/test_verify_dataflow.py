"""Every rule of dataflow programs, each broken in one place of a legal program."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import GraphError
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.testing import KernelBuilder, make_stream, make_tensor
from fuseflow.ir.verify_dataflow import RULES, verify_kernel, verify_program
from fuseflow.ir.verify_tensor import TENSOR_RULES
from tests.ir.programs import B, change_node, change_stream, find_node, product_program

Build = Callable[[], DataflowProgram]


def node(name: str, /, **changes: object) -> Build:
    return lambda: change_node(product_program(), name, **changes)


def stream(name: str, /, **changes: object) -> Build:
    return lambda: change_stream(product_program(), name, 0, **changes)


def tensor(name: str, /, **changes: object) -> Build:
    def build() -> DataflowProgram:
        program = product_program()
        for field, content in changes.items():
            setattr(program.tensors[name], field, content)
        return program

    return build


def repeated(part: str) -> Build:
    def build() -> DataflowProgram:
        program = product_program()
        getattr(program, part).append(getattr(program, part)[0])
        return program

    return build


def misfiled_stream() -> DataflowProgram:
    program = product_program()
    program.kernels[0].streams[99] = make_stream(98, "ref")
    return program


def misfiled_tensor() -> DataflowProgram:
    program = product_program()
    program.tensors["C"] = program.tensors["A"]
    return program


def read_twice() -> DataflowProgram:
    program = product_program()
    return change_node(program, "write Z.j", inputs=find_node(program, "write Z.i").inputs)


def cyclic() -> DataflowProgram:
    """Two nodes that copy each other, with a third behind them."""
    program = product_program()
    graph = program.kernels[0]
    for sid in (90, 91, 92):
        graph.streams[sid] = make_stream(sid, "val")
    twice, once = df.BroadcastAttrs(2), df.BroadcastAttrs(1)
    graph.nodes += [
        df.Node(90, Op.BROADCAST, "ping", (91,), (90, 92), twice),
        df.Node(91, Op.BROADCAST, "pong", (90,), (91,), once),
        df.Node(92, Op.BROADCAST, "behind", (92,), (None,), once),
    ]
    return program


def level_not_written() -> DataflowProgram:
    program = product_program()
    writer = find_node(program, "write Z.j")
    program.kernels[0].nodes.remove(writer)
    program.kernels[0].streams.pop(writer.inputs[0] or 0)
    return change_node(program, "add Z", outputs=(None, find_node(program, "add Z").outputs[1]))


def rows_of_another_loop() -> DataflowProgram:
    """Write the row coordinates from a loop that is not the one of the values."""
    program = product_program()
    graph = program.kernels[0]
    unused = find_node(program, "write Z.i").inputs[0]
    copies = find_node(program, "broadcast2").outputs
    graph.streams.pop(unused or 0)
    graph.streams |= {90: make_stream(90, "ref"), 91: make_stream(91, "crd i:8")}
    graph.nodes += [
        df.Node(90, Op.ROOT, "another root", (), (90,), df.RootAttrs()),
        df.Node(91, Op.FULL, "another loop", (90,), (91,), df.FullAttrs(3)),
    ]
    change_node(program, "write Z.i", inputs=(91,))
    remaining = tuple(None if sid == unused else sid for sid in copies)
    return change_node(program, "broadcast2", outputs=remaining)


def written_twice() -> DataflowProgram:
    program = product_program()
    program.kernels.append(replace(product_program().kernels[0], name="k1"))
    return program


def unwritten_output() -> DataflowProgram:
    program = product_program()
    program.tensors["W"] = Value("W", (), Role.INTERMEDIATE, format=parse_format(""))
    program.outputs.append(Output("W", "W", (), ()))
    return program


STORED = make_tensor((np.zeros((3, 2)), "dense,compressed"))

BROKEN: list[tuple[str, str, Build]] = [
    ("D001", "several kernels", repeated("kernels")),
    ("D001", "several outputs", repeated("outputs")),
    ("D001", "several nodes have the id 3", node("full i", id=3)),
    ("D001", "filed under 99", misfiled_stream),
    ("D001", "filed under 'C'", misfiled_tensor),
    ("D002", "connected but not declared", node("mul", outputs=(77,))),
    ("D002", "has 2 consumers; fix: add a broadcast", read_twice),
    ("D002", "has 0 consumers", read_twice),
    ("D002", "has 0 producers", node("mul", outputs=(None,))),
    ("D003", "1 inputs, expected 2 (val, ref)", node("write Z", inputs=(None,))),
    ("D003", "0 outputs, expected 1 (val)", node("mul", outputs=())),
    ("D003", "input 0 (crd) is not connected", node("write Z.i", inputs=(None,))),
    ("D004", "of kind ref, expected val", stream("values A", kind=df.StreamKind.REF)),
    ("D004", "of kind crd, expected val", stream("repeat j", kind=df.StreamKind.CRD)),
    ("D005", "of depth 1, expected 2", stream("scan A.k", indices=("i",), domains=(1,))),
    ("D005", "9 deep, and 8 is the limit",
     stream("full i", indices=tuple("abcdefghi"), domains=())),
    ("D005", "coordinates at depth 0", stream("full i", indices=(), domains=())),
    ("D006", "over (i,m), expected (i,k)", stream("values A", indices=("i", "m"))),
    ("D006", "in index 'i' twice", stream("scan A.k", indices=("i", "i"))),
    ("D007", "domain 9 at index k, expected 2", stream("values A", domains=(1, 9))),
    ("D007", "1 domains for 2 indices", stream("values A", domains=(1,))),
    ("D008", "nodes feed each other: ping, pong", cyclic),
    ("D009", "has NoAttrs, expected ScanAttrs", node("scan A.k", attrs=df.NoAttrs())),
    ("D009", "unknown function 'mull'", node("mul", attrs__fn="mull")),
    ("D010", "unknown tensor 'C'", node("scan A.k", attrs__tensor="C")),
    ("D010", "no level 2", node("scan A.k", attrs__level=2)),
    ("D010", "no level 2", node("write Z.j", attrs__level=2)),
    ("D010", "no format of 2 levels", tensor("Z", format=None)),
    ("D010", "is dense, expected compressed", node("locate A.i", attrs__search=True)),
    ("D010", "is compressed, expected dense", node("locate B.k", attrs__level=1)),
    ("D011", 'after levels 0 of "A" enters level 1 of "B"', node("scan A.k", attrs__tensor="B")),
    ("D012", "level 0 times 2, not 1", node("locate A.i", attrs__stride=2)),
    ("D013", "0 nodes write level 1", level_not_written),
    ("D013", "values at depth 2 of a tensor of 1 levels", level_not_written),
    ("D013", "2 nodes write level 0", node("write Z.j", attrs__level=0)),
    ("D013", "level 0 is written from stream", node("write Z.j", attrs__level=0)),
    ("D013", "0 nodes write values", node("write Z.j", attrs__tensor="A")),
    ("D013", "has domain 8 at index i, expected 1", rows_of_another_loop),
    ("D013", 'which kernel "k0" has written', written_twice),
    ("D014", 'reads "A", which has no data', tensor("A", tensor=None)),
    ("D014", 'writes "Z", which has data', tensor("Z", tensor=STORED)),
    ("D015", 'fill 1.0, but "A" has fill 0.0', node("values A", attrs__fill=1.0)),
    ("D015", 'fill 1.0, but "Z" has fill 0.0', node("write Z", attrs__fill=1.0)),
    ("D016", "capacity 0", stream("mul", capacity=0)),
    ("D017", 'no kernel writes "W"', unwritten_output),
    ("E014", "negative", tensor("Z", shape=(-1, 2))),
    ("E015", "the value (4, 2)", tensor("B", tensor=make_tensor((B.T, "dense,compressed")))),
    ("E018", "unknown value", lambda: replace(
        product_program(), outputs=[Output("y", "y", (), ())])),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words", "build"), BROKEN)
def test_broken_rule_is_reported_with_its_id(rule: str, words: str, build: Build) -> None:
    with pytest.raises(GraphError) as caught:
        verify_program(build())
    messages = [str(finding) for finding in caught.value.findings if finding.rule == rule]
    assert any(words in message for message in messages), caught.value.findings


def test_every_rule_has_a_program_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BROKEN} >= set(RULES) - set(TENSOR_RULES)


def test_legal_program_passes() -> None:
    verify_program(product_program())


def test_program_of_a_foreign_tool_without_domains_passes() -> None:
    program = product_program()
    streams = program.kernels[0].streams
    for sid, old in streams.items():
        streams[sid] = replace(old, domains=())
    verify_program(program)


def test_finding_names_kernel_node_and_stream() -> None:
    with pytest.raises(GraphError) as caught:
        verify_program(change_stream(product_program(), "values A", 0, kind=df.StreamKind.REF))
    first, second = map(str, caught.value.findings)
    place = 'graph "k0": node'
    assert first == f'D004: {place} "values A": output 0 is stream 11 of kind ref, expected val'
    assert second == f'D004: {place} "repeat j": output 0 is stream 18 of kind val, expected ref'


def test_node_without_a_name_is_named_by_its_id() -> None:
    number = find_node(product_program(), "mul").id
    program = change_node(product_program(), "mul", name="", attrs__fn="mull")
    with pytest.raises(GraphError, match=rf'^D009: graph "k0": node "#{number}": unknown function'):
        verify_program(program)


def test_intermediate_written_by_an_earlier_kernel_may_be_read_by_a_later_one() -> None:
    program = product_program()
    program.kernels.append(_column_sums())
    program.tensors["y"] = Value("y", (3,), Role.INTERMEDIATE, format=parse_format("dense"))
    program.outputs.append(Output("y", "y", (0,), (3,)))
    verify_program(program)
    program.kernels.reverse()
    with pytest.raises(GraphError) as caught:
        verify_program(program)
    assert {finding.rule for finding in caught.value.findings} == {"D014"}


def test_one_kernel_can_be_verified_by_itself() -> None:
    program = product_program()
    verify_kernel(program.kernels[0], program.tensors)
    change_node(program, "mul", attrs__fn="mull")
    with pytest.raises(GraphError, match="D009"):
        verify_kernel(program.kernels[0], program.tensors)


def test_values_written_at_located_positions_need_no_level_writers() -> None:
    program = DataflowProgram("scatter")
    program.tensors["x"] = Value("x", (4,), Role.INTERMEDIATE, format=parse_format("dense"))
    source = make_tensor(([1.0, 0.0, 2.0, 0.0], "compressed"))
    program.tensors["s"] = Value("s", (4,), Role.INPUT, format=source.format, tensor=source)
    k = KernelBuilder("k")
    (root,) = k.add(Op.ROOT, df.RootAttrs("s"), outputs=["ref"])
    crd, ref = k.add(Op.SCAN, df.ScanAttrs("s", 0), [root], ["crd i:1", "ref i:1"])
    (val,) = k.add(Op.ARRAY, df.ArrayAttrs("s"), [ref], ["val i:1"])
    _, at = k.add(Op.LOCATE, df.LocateAttrs("x", 0, 4), [crd, None], ["", "ref i:1"])
    k.add(Op.VAL_WRITE, df.ValWriteAttrs("x"), [val, at])
    program.kernels.append(k.graph)
    verify_program(program)


@given(st.data())
def test_damaged_program_is_reported_and_never_crashes_the_verifier(data: st.DataObject) -> None:
    program = product_program()
    graph = program.kernels[0]
    ids = st.none() | st.integers(0, len(graph.streams) + 2)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(graph.nodes) - 1))
        old = graph.nodes[number]
        ends = {
            side: tuple(data.draw(ids) if data.draw(st.booleans()) else sid for sid in sids)
            for side, sids in (("inputs", old.inputs), ("outputs", old.outputs))
        }
        op = data.draw(st.sampled_from([old.op, *Op]))
        graph.nodes[number] = replace(old, op=op, **ends)
    for sid in data.draw(st.lists(st.sampled_from(sorted(graph.streams)), max_size=2)):
        nest = data.draw(
            st.sampled_from(["ref", "crd", "val i", "ref i k", "crd i k j", "val j i"])
        )
        graph.streams[sid] = make_stream(sid, nest)
    with contextlib.suppress(GraphError):
        verify_program(program)


def _column_sums() -> df.DataflowGraph:
    """Return y(i) = sum over j of Z(i,j)."""
    k = KernelBuilder("k1")
    (root,) = k.add(Op.ROOT, df.RootAttrs("Z"), outputs=["ref"])
    rows, ref = k.add(Op.SCAN, df.ScanAttrs("Z", 0), [root], ["crd i:1", "ref i:1"])
    _, leaf = k.add(Op.SCAN, df.ScanAttrs("Z", 1), [ref], ["", "ref i:1 j:2"])
    (val,) = k.add(Op.ARRAY, df.ArrayAttrs("Z"), [leaf], ["val i:1 j:2"])
    (sums,) = k.add(Op.REDUCE, df.ReduceAttrs("add"), [val, None], ["val i:1"])
    k.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("y", 0), [rows])
    k.add(Op.VAL_WRITE, df.ValWriteAttrs("y"), [sums, None])
    return k.graph
