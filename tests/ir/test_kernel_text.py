"""Einsum graphs are read from text, and printed as text that is read back."""

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Output, Role
from fuseflow.ir.kernel_text import DataSource, format_kernel, parse_kernel
from fuseflow.ir.testing import make_graph

TEXT = """# a layer
kernel layer
input A[4,4] dense,compressed random=7 density=0.2  # neighbours
parameter W.1[4,3] from=w.npy

constant m[4,3] compressed,compressed pattern
input x:0/out-1[3] fill=-inf
H[i,j] = A[i,k] * W.1[k,j]   # a product
Z[i,j] = masked(m[i,j], H[i,j], -inf) ; composite=softmax_1 name=scores
q[j] = relu(x:0/out-1[j])
output Z
output flat = Z permutation=1,0 shape=12
"""


def test_declarations_and_statements_are_read() -> None:
    text = parse_kernel(TEXT)
    graph = text.graph
    assert graph.name == "layer"
    assert {name: value.shape for name, value in graph.values.items()} == {
        "A": (4, 4), "W.1": (4, 3), "m": (4, 3), "x:0/out-1": (3,), "H": (4, 3), "Z": (4, 3),
        "q": (3,),
    }  # fmt: skip
    assert [value.role for value in graph.values.values()][:3] == [
        Role.INPUT, Role.PARAMETER, Role.CONSTANT,
    ]  # fmt: skip
    assert str(graph.values["A"].format) == "dense,compressed"
    assert graph.values["x:0/out-1"].fill == -np.inf
    assert text.sources == {"A": DataSource("", 7, 0.2), "W.1": DataSource("w.npy")}
    assert text.patterns == {"m"}
    assert [str(op) for op in graph.einsums] == [
        "H[i,j] = add[k] mul(A[i,k], W.1[k,j])",
        "Z[i,j] = masked(m[i,j], H[i,j], -inf)",
        "q[j] = relu(x:0/out-1[j])",
    ]
    assert (graph.einsums[1].name, graph.einsums[1].composite) == ("scores", "softmax_1")
    assert graph.outputs == [
        Output("Z", "Z", (0, 1), (4, 3)),
        Output("flat", "Z", (1, 0), (12,)),
    ]


def test_last_value_is_the_output_if_none_is_named() -> None:
    graph = parse_kernel("input a[2]\nb[i] = 2 * a[i]\nc[i] = b[i] + 1").graph
    assert [output.name for output in graph.outputs] == ["c"]


def test_printed_text_is_read_back() -> None:
    once = format_kernel(parse_kernel(TEXT).graph)
    assert format_kernel(parse_kernel(once).graph) == once


def test_graph_with_data_is_printed_without_it() -> None:
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        {
            "A": (np.eye(3), "dense,compressed@1,0"),
            "B": (np.eye(3), "compressed,compressed pattern"),
        },
    )
    assert format_kernel(graph) == (
        "kernel test\n"
        "input A[3,3] dense,compressed@1,0  # density 0.3333\n"
        "input B[3,3] compressed,compressed pattern  # density 0.3333\n"
        "T[i,j] = add[k] mul(A[i,k], B[k,j])\n"
        "Z[i,j] = relu(T[i,j])\n"
        "output Z\n"
    )


@pytest.mark.parametrize(
    ("line", "rule", "message"),
    [
        ("input B(3)", "E101", "as a declaration"),
        ("input B[3] dense,dense", "E101", "2 levels for 1 dimensions"),
        ("input B[3] sparse", "E101", "as a format"),
        ("input B[3] dense zeros", "E101", "as a word of a declaration"),
        ("input B[3] fill=none", "E101", "as a number"),
        ("input A[2]", "E102", "twice"),
        ("A[i] = A[i] + 1", "E102", "twice"),
        ("b[i] = C[i]", "E102", '"C" is not declared'),
        ("b[i] = A[i,j]", "E102", "has 2 indices, not 1"),
        ("b[i,j] = A[i] + 1", "E102", "no operand of b[i,j] has index j"),
        ("output q", "E102", '"q" is not computed'),
        ("b[i] = A[i] +", "E101", "found the end"),
    ],
)
def test_wrong_line_is_refused_with_its_number(line: str, rule: str, message: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse_kernel(f"input A[2]\n\n{line}\n")
    assert caught.value.rule == rule
    assert "line 3" in str(caught.value)
    assert message in str(caught.value)
