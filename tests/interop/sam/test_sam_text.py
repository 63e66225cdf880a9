"""SAM graphs in all their spellings, and what is wrong with broken ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import FuseflowError, InterchangeError
from fuseflow.interop.graphs.operands import BoundOperands
from fuseflow.interop.sam.dot import parse_dot
from fuseflow.interop.sam.importer import parse_sam
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.sim import simulate

B = np.array([3.0, 0, 5, 0, 0, 2], dtype=np.float32)
C = np.array([1.0, 4, 0, 0, 7, 2], dtype=np.float32)
OPERANDS = BoundOperands({"b": tensor_from_dense(B), "c": tensor_from_dense(C)})

NODES = """
6 [type=fiberlookup index=i tensor=b mode=0 format=compressed src=true root=true]
7 [type=fiberlookup index=i tensor=c mode=0 format=compressed src=true root=true]
5 [type=union index=i]
3 [type=arrayvals tensor=b]
4 [type=arrayvals tensor=c]
2 [type=add sub=1]
1 [type=fiberwrite index=i tensor=x mode=0 format=compressed sink=true]
0 [type=fiberwrite tensor=x mode=vals sink=true]
"""
EDGES = """
6 -> 5 [type=crd comment="in-b"]
6 -> 5 [type=ref comment="in-b"]
7 -> 5 [type=crd comment="in-c"]
7 -> 5 [type=ref comment="in-c"]
5 -> 1 [type=crd]
5 -> 3 [type=ref comment="out-b"]
5 -> 4 [type=ref comment="out-c"]
3 -> 2 [type=val]
4 -> 2 [type=val]
2 -> 0 [type=val]
"""
HEADER = 'comment="x=s0,b=s0,c=s0"\n'


def text_of(nodes: str = NODES, edges: str = EDGES, header: str = HEADER) -> str:
    return "digraph SAM {\n" + header + nodes + edges + "}\n"


def compute(text: str) -> np.ndarray:
    report = simulate(parse_sam(text, OPERANDS, "test"), engine="twin")
    tensor = report.outputs[0].tensor
    assert tensor is not None
    return tensor.to_dense()


@given(nodes=st.permutations(NODES.strip().splitlines()))
def test_order_of_nodes_does_not_matter(nodes: list[str]) -> None:
    np.testing.assert_array_equal(compute(text_of("\n".join(nodes) + "\n")), B - C)


@pytest.mark.parametrize(
    "text",
    [
        text_of(),
        text_of(NODES + "5 [type=union index=i]\n"),
        text_of().replace("mode=0 format", "mode=0, format").replace("]\n", "];\n"),
        "# made by hand\n" + text_of().replace("{\n", "{ // first\n /* second */ "),
        text_of().replace("index=i", 'index="row"'),
        text_of().replace("[type=union index=i]", '[comment="type=union,index=i" label="a\nb"]'),
        text_of(NODES + "9 [type=broadcast]\n", EDGES.replace(
            "5 -> 1 [type=crd]", '5 -> 9 [type=crd]\n9 -> 1 [type=crd comment=""]')),
        text_of(edges=EDGES.replace('comment="in-b"', "").replace('comment="in-c"', "")
                .replace('"out-b"', '"out-0"').replace('"out-c"', '"out-1"')),
    ],
)  # fmt: skip
def test_spellings_of_one_graph_mean_the_same(text: str) -> None:
    np.testing.assert_array_equal(compute(text), B - C)


def test_order_of_edges_is_the_order_of_operands() -> None:
    lines = EDGES.strip().splitlines()
    place = lines.index("3 -> 2 [type=val]")
    lines[place : place + 2] = reversed(lines[place : place + 2])
    np.testing.assert_array_equal(compute(text_of(edges="\n".join(lines) + "\n")), C - B)


def test_flags_of_a_chip_are_ignored_with_a_remark() -> None:
    edges = EDGES.replace("5 -> 1 [type=crd]", "5 -> 1 [type=crd special=true]")
    program = parse_sam(text_of(edges=edges), OPERANDS, "test")
    assert program.notes == ["edge 5 -> 1: special belongs to a chip, ignored"]


@pytest.mark.parametrize(
    ("change", "rule", "message"),
    [
        (("type=add sub=1", "type=vectorreducer"), "X005", 'primitive for "vectorreducer"'),
        (('5 -> 3 [type=ref comment="out-b"]\n', ""), "X006", "arrayvals b #3.*ref has no stream"),
        (('comment="out-c"', 'comment="out-d"'), "X006", 'output "out-d" is none of out-b, out-c'),
        (("7 -> 5 [type=ref", "8 -> 5 [type=ref"), "X001", "an edge names node 8"),
        (("5 -> 1 [type=crd]", "5 -> 1 [type=wire]"), "X001", 'has kind "wire"'),
        (("b=s0", "b=q0"), "X001", 'levels of kind "q"'),
        (("b=s0", "b=s1"), "X001", "in the order 1"),
        (("tensor=c mode=0", "tensor=d mode=0"), "X008", 'tensor "d" has no data'),
        (("tensor=c mode=0", "tensor=c mode=x"), "X001", 'mode "x" is no dimension'),
        (("index=i tensor=c", "index=j tensor=c"), "X007", r"index i of \(i\) meets j"),
        (("1 [type=fiberwrite index=i", "1 [type=fiberwrite index=i2"), None, ""),
        (("digraph", "graph"), "X001", 'line 1: expected "digraph"'),
        (("5 -> 1", "5 -- 1"), "X001", "expected a directed edge"),
        (("[type=union index=i]", "[type=union index=i"), "X001", "line"),
        (("5 [type=union index=i]", "5 [type=union index=i]\n5 [type=union]"), "X001", "twice"),
    ],
)
def test_broken_graph_is_refused_with_node_and_reason(
    change: tuple[str, str], rule: str | None, message: str
) -> None:
    text = text_of().replace(*change)
    assert text != text_of()
    if rule is None:
        np.testing.assert_array_equal(compute(text), B - C)
        return
    with pytest.raises(InterchangeError, match=message) as caught:
        parse_sam(text, OPERANDS, "test")
    assert caught.value.rule == rule


def test_cycle_is_refused() -> None:
    edges = EDGES.replace("3 -> 2 [type=val]", "2 -> 2 [type=val]").replace(
        "2 -> 0 [type=val]\n", "2 -> 0 [type=val]\n3 -> 0 [type=val]\n"
    )
    with pytest.raises(InterchangeError, match=r"X00[36]"):
        parse_sam(text_of(edges=edges), OPERANDS, "test")


@given(data=st.data())
def test_damaged_text_is_reported_never_a_crash(data: st.DataObject) -> None:
    text = text_of()
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(st.text(alphabet='{}[]=,;->"#x0 \n', max_size=4))
    try:
        compute(text[:start] + junk + text[start + length :])
    except FuseflowError as error:
        assert error.rule[0] in "XDS"  # noqa: PT017


def test_edge_chains_and_defaults_are_understood() -> None:
    graph = parse_dot('digraph "g" { node [color=red]; a -> b -> c [type=crd]; rank=same }')
    assert [(edge.source, edge.target) for edge in graph.edges] == [("a", "b"), ("b", "c")]
    assert graph.attributes == {"rank": "same"}
