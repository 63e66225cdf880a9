# SPDX-License-Identifier: MIT
"""The nodes that worked examples are lowered to, reviewed once, and what they count.

After an intended change, `python -m tests.fusion.test_goldens` writes the listings anew; read the
difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from fuseflow.fusion.analysis.support import compute_fills
from fuseflow.fusion.regions import make_region
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import Dense, evaluate_outputs
from fuseflow.ir.testing import sparse_array
from fuseflow.models.graph_file import read_graph_file
from fuseflow.models.graphs import karate_club
from fuseflow.sim import simulate
from tests.fusion.checks import assert_simulates, lower_region, one_kernel_program, stored_values
from tests.fusion.examples import (
    CSC,
    CSR,
    SPARSE,
    attention,
    gcn,
    gcn_layer,
    lower,
    product_chain,
)
from tests.fusion.listing import list_nodes

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Example:
    """A graph and the order under which its nodes are listed."""

    build: Callable[[], EinsumGraph]
    order: tuple[str, ...]


EXAMPLES: Mapping[str, Example] = {
    "product_chain": Example(product_chain, ("i", "k", "j", "l")),
    "gcn_layer_a_xw": Example(lambda: gcn_layer("A(XW)"), ("i", "l", "m", "j")),
    "gcn_layer_ax_w": Example(lambda: gcn_layer("(AX)W"), ("i", "l", "m", "j")),
    "gcn_layer_empty_rows": Example(lambda: gcn_layer("A(XW)", SPARSE), ("i", "l", "m", "j")),
    "attention_mask_outside": Example(attention, ("i", "j", "d", "e")),
    "attention_mask_inside": Example(attention, ("i", "d", "j", "e")),
    "attention_sparse_values": Example(lambda: attention(SPARSE), ("i", "j", "d", "e")),
    "gcn_row_wise": Example(lambda: gcn("(AX)W"), ("i", "l", "p", "m", "c", "j")),
    "gcn_by_hidden_row": Example(
        lambda: gcn("(AX)W", (CSR, CSC)), ("l", "p", "m", "c", "j", "i")
    ),
    "gcn_by_column": Example(lambda: gcn("A(XW)", (CSC, CSC)), ("p", "m", "c", "l", "j", "i")),
}  # fmt: skip


def listing(name: str) -> str:
    """The listing of an example, under a heading that says what it computes."""
    example = EXAMPLES[name]
    graph = example.build()
    tensors = [f"{v.name}: {v.format}" for v in graph.values.values() if v.tensor is not None]
    heading = [*map(str, graph.einsums), *tensors, f"order {' -> '.join(example.order)}"]
    nodes = list_nodes(lower(graph, *example.order))
    return "".join(f"# {line}\n" for line in heading) + nodes


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_lowered_to_these_nodes(name: str) -> None:
    assert listing(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_computes_its_references(name: str) -> None:
    graph = EXAMPLES[name].build()
    assert_simulates(program(graph, EXAMPLES[name].order))


def test_there_is_one_listing_per_example() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == sorted(EXAMPLES)


def program(graph: EinsumGraph, order: Sequence[str]) -> DataflowProgram:
    """The graph as one kernel under an order."""
    region = make_region(graph, graph.einsums, graph.name)
    kernel, written = lower_region(region, stored_values(graph), compute_fills(graph), order)
    values = stored_values(graph) | written
    return one_kernel_program(kernel, values, evaluate_outputs(graph))


def products(graph: EinsumGraph, order: Sequence[str]) -> dict[str, int]:
    """Simulate the graph under an order, check it, and count the products of each contraction."""
    report = simulate(program(graph, order), check=True)
    assert report.check.passed, report.check.failures
    (kernel,) = report.kernels
    return {
        node.sources[0]: node.flops
        for node in kernel.nodes
        if node.op == Op.ALU and "mul" in node.name
    }


@pytest.mark.parametrize("density", [0.1, 0.3])
def test_mask_outside_makes_attention_a_sampled_product(density: float) -> None:
    keep = (np.random.default_rng(0).random((12, 12)) < density) | np.eye(12, dtype=bool)
    graph, depth = attention(mask=keep, depth=5), 5
    assert products(graph, ("i", "j", "d", "e"))["S0"] == np.count_nonzero(keep) * depth
    assert products(graph, ("i", "d", "j", "e"))["S0"] == 12 * 12 * depth


WAYS = {
    "row-wise": ("(AX)W", (CSR, CSR), ("i", "l", "p", "m", "c", "j")),
    "by hidden row": ("(AX)W", (CSR, CSC), ("l", "p", "m", "c", "j", "i")),
    "by column": ("A(XW)", (CSC, CSC), ("p", "m", "c", "l", "j", "i")),
}
"""Two layers of a graph network: association, formats of A in both layers, loop order."""


def expected_products(
    way: str, adjacency: Dense, features: Dense, hidden: int, classes: int
) -> list[int]:
    """Count the products of the four contractions from the patterns of A and X."""
    a = scipy.sparse.csr_array(adjacency != 0).astype(np.int64)
    x = scipy.sparse.csr_array(features != 0).astype(np.int64)
    gathered, lengths = a @ x.sum(axis=1), np.diff((a @ x).indptr)
    if way == "row-wise":  # the first layer is computed once per neighbour
        first = [int((a @ gathered).sum()), int((a @ lengths).sum()) * hidden]
        return [*first, a.nnz * hidden * classes, a.nnz * classes]
    ends = [len(adjacency) * hidden * classes, a.nnz * classes]
    if way == "by hidden row":
        return [int(gathered.sum()), int(lengths.sum()) * hidden, *ends]
    return [x.nnz * hidden, a.nnz * hidden, *ends]


@pytest.mark.parametrize("way", WAYS)
def test_products_of_two_layers_follow_from_the_order(way: str) -> None:
    first, formats, order = WAYS[way]
    adjacency = karate_club().dense()
    features = sparse_array(np.random.default_rng(0), (34, 16), 0.5)
    graph = gcn(first, formats, adjacency=adjacency, features=features, hidden=8, classes=4)
    expected = expected_products(way, adjacency, features, hidden=8, classes=4)
    assert list(products(graph, order).values()) == expected


@pytest.mark.parametrize(
    ("way", "total"),
    [("row-wise", 21_680_152), ("by hidden row", 2_965_833), ("by column", 1_333_540)],
)
def test_products_of_two_layers_on_cora(way: str, total: int, shared: Path) -> None:
    first, formats, order = WAYS[way]
    cora = read_graph_file(shared / "data" / "cora.npz")
    assert cora.features is not None
    adjacency = cora.dense()
    graph = gcn(first, formats, adjacency=adjacency, features=cora.features, hidden=16, classes=7)
    counts = list(products(graph, order).values())
    assert counts == expected_products(way, adjacency, cora.features, hidden=16, classes=7)
    assert sum(counts) == total


if __name__ == "__main__":
    for each in EXAMPLES:
        (FOLDER / f"{each}.txt").write_text(listing(each), encoding="utf-8")
