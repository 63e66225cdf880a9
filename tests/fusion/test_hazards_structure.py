# SPDX-License-Identifier: MIT
"""Hazards of structure: nesting, alignment, storage order, sharing, and the size of a region.

Each test is the smallest program that a plausible compiler gets wrong, run fused and unfused under
every legal loop order.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fuseflow.errors import ModelError, ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.analysis.views import build_views
from fuseflow.fusion.regions import make_region
from fuseflow.ir.dataflow import AluAttrs, DataflowGraph, Node, Op, SpaccAttrs
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from fuseflow.sim import simulate
from tests.fusion.checks import (
    assert_computes,
    assert_denotes,
    assert_every_order,
    assert_simulates,
    stored_values,
)
from tests.fusion.examples import lower

LEVELS = ("dense", "compressed")
MATRICES = tuple(
    f"{outer},{inner}{modes}" for outer in LEVELS for inner in LEVELS for modes in ("", "@1,0")
)


def nodes(kernel: DataflowGraph, op: Op) -> list[Node]:
    return [node for node in kernel.nodes if node.op is op]


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h05_operands_are_aligned_by_their_loops(fmt: str) -> None:
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = add(T[i,j], b[j])"],
        {"A": ([[1]], "dense,compressed"), "B": ([[1, 2]], fmt), "b": [10, 20]},
    )
    fused, _ = assert_denotes(graph, Z=[[11, 22]])
    assert fused.run


def test_hazard_h05_result_of_an_accumulator_is_not_repeated() -> None:
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = add(T[i,j], b[j])"],
        {"A": ([[1]], "dense,compressed"), "B": ([[1, 2]], "dense,compressed"), "b": [10, 20]},
    )
    kernel = lower(graph, "i", "k", "j")
    (adder,) = (n for n in nodes(kernel, Op.ALU) if n.sources == ("Z",))
    operands = [kernel.streams[sid] for sid in adder.inputs if sid is not None]
    assert [stream.indices for stream in operands] == [("i", "j")] * 2
    assert operands[0].domains == operands[1].domains


@pytest.mark.parametrize("inner", ["add", "max"])
@pytest.mark.parametrize("modes", ["0,1,2", "0,2,1", "2,1,0"])
def test_hazard_h10_empty_and_nested_empty_lists_differ(inner: str, modes: str) -> None:
    dense = np.zeros((3, 2, 2))
    dense[1, 0, 1] = 5
    graph = make_graph(
        [f"T[i,j] = {inner}[k] copy(A[i,j,k])", "Y[i] = add[j] copy(T[i,j])"],
        {"A": (dense, f"dense,compressed,compressed@{modes}")},
        outputs=["T", "Y"],
    )
    assert_denotes(graph, Y=[0, 5, 0])


@pytest.mark.parametrize("levels", [f"{a},{b}" for a in LEVELS for b in LEVELS])
@pytest.mark.parametrize("entries", [[], [(0, 0)], [(2, 1)], [(0, 1), (2, 0)]])
def test_hazard_h10_lists_may_be_empty_at_every_level(
    levels: str, entries: list[tuple[int, int]]
) -> None:
    dense = np.zeros((3, 2))
    for place in entries:
        dense[place] = 3
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[k,i], B[k,j])", "E[i,j] = exp(T[i,j])",
         "y[j] = add[i] copy(E[i,j])"],
        {"A": (dense, levels), "B": (dense, levels)},
        outputs=["T", "y"],
    )  # fmt: skip
    fused, _ = assert_denotes(graph)
    assert fused.run


@pytest.mark.parametrize("fmt", ["dense,dense", "dense,dense@1,0"])
def test_hazard_h11_reference_below_the_first_level_adds_its_parent(fmt: str) -> None:
    graph = make_graph(
        ["y[i] = add[j] mul(M[i,j], X[i,j])"],
        {"M": ([[0, 0, 0], [0, 0, 1]], "compressed,compressed pattern"),
         "X": ([[1, 2, 3], [4, 5, 6]], fmt)},
    )  # fmt: skip
    fused, _ = assert_denotes(graph, y=[0, 6])
    assert fused.run


def test_hazard_h11_dense_levels_are_entered_in_any_order() -> None:
    dense = np.arange(24).reshape(2, 3, 4)
    graph = make_graph(["Y[k,i,j] = copy(X[i,j,k])"], {"X": dense})
    fused, _ = assert_denotes(graph, Y=dense.transpose(2, 0, 1))
    assert fused.run == 6


@pytest.mark.parametrize("fmt", LEVELS)
def test_hazard_h12_joined_and_unjoined_uses_of_one_value(fmt: str) -> None:
    graph = make_graph(
        ["p[i] = mul(x[i], m[i])", "y[i] = add(x[i], p[i])"],
        {"x": ([1, 2], fmt), "m": ([1, 0], "compressed")},
    )
    fused, _ = assert_denotes(graph, y=[2, 2])
    assert fused.run


@pytest.mark.parametrize("modes", ["", "@1,0"])
def test_hazard_h12_equal_uses_share_one_scan(modes: str) -> None:
    tensors = {"A": ([[1, 2], [0, 3]], f"compressed,compressed{modes}")}
    square = make_graph(["Y[i,j] = mul(A[i,j], A[i,j])"], tensors)
    product = make_graph(["Y[i,j] = add[k] mul(A[i,k], A[k,j])"], tensors)
    assert_denotes(square, Y=[[1, 4], [0, 9]])
    assert_denotes(product, Y=[[1, 8], [0, 9]])
    kernel = lower(square, *(("i", "j") if not modes else ("j", "i")))
    assert len(nodes(kernel, Op.SCAN)) == 2
    assert not nodes(kernel, Op.JOIN)
    views = build_views(make_region(product, product.einsums, "k"), stored_values(product))
    assert [str(leaf) for leaf in views.leaves] == ["A(i,k)", "A(k,j)"]


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h13_stored_order_is_respected(fmt: str) -> None:
    graph = make_graph(
        ["y[i] = add[j] mul(A[i,j], x[j])"], {"A": ([[0, 1], [0, 0]], fmt), "x": [0, 1]}
    )
    fused, _ = assert_denotes(graph, y=[1, 0])
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h16_result_records_the_order_of_its_levels(fmt: str) -> None:
    graph = make_graph(
        ["Z[i,j] = copy(A[i,j])"], {"A": ([[0, 5, 0], [0, 0, 0]], fmt)}, references=True
    )
    fused, _ = assert_denotes(graph, Z=[[0, 5, 0], [0, 0, 0]])
    assert fused.run
    written = fuse(graph, FuseOptions(order=("j", "i"))).tensors["Z"].format
    assert written is not None
    assert written.mode_order == (1, 0)


def test_hazard_h20_second_result_of_a_maximum_is_refused_where_it_is_used() -> None:
    torch = pytest.importorskip("torch")
    from fuseflow.frontend.torch.module import import_torch

    class Maximum(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, with_places: bool) -> None:
            super().__init__()
            self.with_places = with_places

        def forward(self, x):  # type: ignore[no-untyped-def]
            values, places = x.max(dim=1)
            return values + places if self.with_places else values

    x = torch.tensor([[1.0, 5.0], [7.0, 2.0]])
    assert_denotes(import_torch(Maximum(False), (x,)))
    with pytest.raises(ModelError, match=r"getitem_1.*result 1 of its operand"):
        import_torch(Maximum(True), (x,))


def two_layers(rng: np.random.Generator) -> EinsumGraph:
    """Two graph convolutions without weights on a graph of mean degree 4."""
    adjacency = (rng.random((24, 24)) < 4 / 24).astype(np.float32)
    return make_graph(
        ["T[i,f] = add[k] mul(A[i,k], X[k,f])", "H[i,f] = relu(T[i,f])",
         "Z[l,f] = add[i] mul(B[l,i], H[i,f])"],
        {"A": (adjacency, "dense,compressed"), "B": (adjacency, "dense,compressed"),
         "X": sparse_array(rng, (24, 5), 1.0)},
    )  # fmt: skip


def test_hazard_h22_recomputation_has_a_price_and_a_budget() -> None:
    graph = two_layers(np.random.default_rng(0))
    assert assert_every_order(graph, tokens=False).run
    row_wise = ("l", "i", "k", "f")
    nested = assert_computes(graph, FuseOptions(Strategy.FULL, order=row_wise, recompute=1e9))
    factor = np.count_nonzero(graph.values["B"].tensor.to_dense()) / 24
    assert len(nested.plans) == 1
    assert nested.plans[0].expected.recompute["H"] == pytest.approx(factor, rel=0.05)
    frugal = assert_computes(graph, FuseOptions(Strategy.FULL, order=row_wise, recompute=1.0))
    assert all(f <= 1.02 for plan in frugal.plans for f in plan.expected.recompute.values())
    assert any("computed" in note and "times over" in note for note in frugal.program.notes)


def test_hazard_h23_shared_values_are_bound_once() -> None:
    doublings = [f"x{n + 1}[i] = add(x{n}[i], x{n}[i])" for n in range(20)]
    graph = make_graph(doublings, {"x0": ([1, 0, 3], "compressed")})
    views = build_views(make_region(graph, graph.einsums, "k"), stored_values(graph))
    assert len(views.ops) + len(views.leaves) == 21
    fused, _ = assert_denotes(graph, x20=[2**20, 0, 3 * 2**20])
    assert fused.run == 1


@pytest.mark.parametrize("dimension", [0, 1])
def test_hazard_h24_every_result_of_a_region_is_computed_from_one_product(dimension: int) -> None:
    mask = "compressed,compressed pattern" if dimension else "dense,compressed pattern"
    graph = make_graph(
        ["S[i,j] = add[d] mul(Q[i,d], K[j,d])", "X[i,j] = masked(M[i,j], S[i,j], -inf)",
         "m[i] = max[j] copy(X[i,j])", "t[i] = add[j] copy(X[i,j])", "u[i] = add[j] copy(S[i,j])"],
        {"Q": [[1]], "K": [[1], [2]], "M": ([[1, 0]], mask)},
        outputs=["m", "u", "t"],
    )  # fmt: skip
    fused, _ = assert_denotes(graph, m=[1], u=[3], t=[-np.inf])
    assert fused.run
    products = [n for n in nodes(lower(graph, "i", "j", "d"), Op.ALU) if n.sources == ("S",)]
    assert len(products) == 1


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h25_all_reduced_indices_are_summed(fmt: str) -> None:
    graph = make_graph(["y[] = add[k,l] copy(A[k,l])"], {"A": ([[1, 2], [3, 4]], fmt)})
    fused, _ = assert_denotes(graph, y=10)
    assert fused.run


def test_hazard_h25_reduced_indices_may_lie_anywhere() -> None:
    rng = np.random.default_rng(1)
    graph = make_graph(
        ["Y[i,j] = add[k,l] mul(A[i,k,l], B[l,k,j])"],
        {"A": (sparse_array(rng, (2, 3, 3), 0.4), "dense,dense,compressed"),
         "B": (sparse_array(rng, (3, 3, 2)))},
    )  # fmt: skip
    fused, _ = assert_denotes(graph)
    assert fused.run == 24 / 6 * 2


def test_hazard_h26_sharing_does_not_depend_on_kept_dimensions() -> None:
    torch = pytest.importorskip("torch")
    from fuseflow.frontend.torch.module import import_torch

    class Kept(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x):  # type: ignore[no-untyped-def]
            e = x.exp()
            return e / e.sum(-1, keepdim=True)

    class Dropped(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x):  # type: ignore[no-untyped-def]
            e = x.exp()
            return e / e.sum(-1)[:, None]

    x = torch.tensor([[1.0, 0.5, 0.0], [2.0, 0.0, 0.0]])
    graphs = [import_torch(module(), (x,)) for module in (Kept, Dropped)]
    kernels = []
    for graph in graphs:
        (plan,) = assert_computes(graph, FuseOptions(Strategy.FULL)).plans
        kernels.append(plan.kernel)
        exponentials = [
            n for n in nodes(plan.kernel, Op.ALU)
            if isinstance(n.attrs, AluAttrs) and n.attrs.fn == "exp"
        ]  # fmt: skip
        assert len(exponentials) == 1
    assert [n.op for n in kernels[0].nodes] == [n.op for n in kernels[1].nodes]


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h27_maximum_over_an_outer_index(fmt: str) -> None:
    graph = make_graph(["m[i] = max[j] copy(A[i,j])"], {"A": ([[1, 5], [7, 2]], fmt)})
    fused, _ = assert_denotes(graph, m=[5, 7])
    assert fused.run


def test_hazard_h27_column_order_accumulates() -> None:
    graph = make_graph(["m[i] = max[j] copy(A[i,j])"], {"A": [[1, 5], [7, 2]]})
    (accumulator,) = nodes(lower(graph, "j", "i"), Op.SPACC)
    assert isinstance(accumulator.attrs, SpaccAttrs)
    assert accumulator.attrs.op == "max"


@pytest.mark.parametrize("levels", ["compressed,compressed", "dense,compressed"])
@pytest.mark.parametrize("present", [[], [0], [1], [0, 1]])
def test_hazard_h29_accumulator_without_entries(levels: str, present: list[int]) -> None:
    weights = np.zeros((3, 2))
    weights[1, present] = 2
    weights[2, 0] = 1
    cube = np.arange(12).reshape(2, 2, 3)
    graph = make_graph(
        ["Z[i,k,l] = add[r] mul(A[i,r], B[r,k,l])", "Y[i,l] = max[k] copy(Z[i,k,l])"],
        {"A": (weights, levels), "B": (cube, "dense,compressed,compressed")},
        outputs=["Z", "Y"],
    )
    fused, _ = assert_denotes(graph)
    assert fused.run


COMPILE = """
import hashlib, io
import numpy as np
from fuseflow.errors import ModelError, ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from fuseflow.wire import Artifact, write_artifact
rng = np.random.default_rng(0)
graph = make_graph(
    ["S[i,j] = add[d] mul(Q[i,d], K[j,d])", "X[i,j] = masked(M[i,j], S[i,j], -inf)",
     "m[i] = max[j] copy(X[i,j])", "l[i,j] = safe_sub(X[i,j], m[i])", "e[i,j] = exp(l[i,j])",
     "s[i] = add[j] copy(e[i,j])", "P[i,j] = safe_div(e[i,j], s[i])",
     "O[i,c] = add[j] mul(P[i,j], V[j,c])"],
    {"Q": sparse_array(rng, (5, 3)), "K": sparse_array(rng, (6, 3)),
     "V": (sparse_array(rng, (6, 2)), "compressed,compressed"),
     "M": (rng.random((5, 6)) < 0.5, "compressed,compressed pattern")})
for strategy in Strategy:
    program = fuse(graph, FuseOptions(strategy))
    target = io.BytesIO()
    write_artifact(Artifact(program), target)
    print(hashlib.sha256(target.getvalue()).hexdigest())
"""


def test_hazard_h36_same_input_gives_the_same_bytes() -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", COMPILE],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert len(outputs[0].split()) == len(Strategy)
    assert outputs[0] == outputs[1]


def test_hazard_h37_thirty_indices_in_one_region() -> None:
    rng = np.random.default_rng(3)
    texts, tensors = [], {"T0": (sparse_array(rng, (2, 3)), "dense,compressed")}
    for n in range(1, 29):
        tensors[f"W{n}"] = (sparse_array(rng, (3, 3), 0.5), "dense,compressed")
        texts.append(f"T{n}[i,x{n}] = add[x{n - 1}] mul(T{n - 1}[i,x{n - 1}], W{n}[x{n - 1},x{n}])")
    graph = make_graph(texts, tensors)
    fused = assert_computes(graph, FuseOptions(Strategy.FULL))
    assert max(len(plan.plan.graph.classes) for plan in fused.plans) == 30


def test_hazard_h37_accumulators_of_order_three() -> None:
    cube = sparse_array(np.random.default_rng(4), (2, 3, 2, 2), 0.3)
    graph = make_graph(
        ["Z[i,j,k] = add[r] mul(B[r,i,j,k], w[r])"],
        {"B": (cube, "compressed,compressed,compressed,compressed"), "w": [1, 2]},
    )
    fused, _ = assert_denotes(graph)
    assert fused.run == 1
    (accumulator,) = nodes(lower(graph, "r", "i", "j", "k"), Op.SPACC)
    assert isinstance(accumulator.attrs, SpaccAttrs)
    assert accumulator.attrs.order == 3


def nested_products(layers: int) -> tuple[EinsumGraph, tuple[str, ...]]:
    """A chain of products, and the order that computes each one anew for the next."""
    rng = np.random.default_rng(5)
    tensors: dict[str, TensorSpec] = {"h0": sparse_array(rng, (4, 2), 1.0)}
    texts = []
    for n in range(layers):
        tensors[f"A{n}"] = (np.eye(4) + np.eye(4, k=1), "dense,compressed")
        texts.append(f"h{n + 1}[i{n + 1},f] = add[i{n}] mul(A{n}[i{n + 1},i{n}], h{n}[i{n},f])")
    order = (*(f"i{n}" for n in range(layers, -1, -1)), "f")
    return make_graph(texts, tensors, references=True), order


@pytest.mark.parametrize(("layers", "kernels"), [(6, 1), (7, 2), (12, 2)])
def test_hazard_h37_nests_end_where_streams_get_too_deep(layers: int, kernels: int) -> None:
    graph, order = nested_products(layers)
    fused = assert_computes(graph, FuseOptions(Strategy.FULL, order=order, recompute=1e9))
    assert len(fused.plans) == kernels
    assert_simulates(fused.program, "engine")


def test_hazard_h37_more_dimensions_than_streams_nest_is_a_named_limit() -> None:
    indices = ",".join(f"i{n}" for n in range(9))
    graph = make_graph([f"y[{indices}] = exp(x[{indices}])"], {"x": np.ones((1,) * 9)})
    with pytest.raises(ScheduleError, match=r"P001.*9 nested loops.*at most 8 deep"):
        fuse(graph)


@pytest.mark.parametrize("order", ["i -> k -> j", "k -> i -> j"])
def test_hazard_h35_stored_zeros_are_visited_under_every_order(order: str) -> None:
    """What an operand stores is what it says to compute on; a copy in another order has it all."""
    array = np.array([[1, 0, 2], [0, 0, 3]], np.float32)
    stored = np.array([[True, True, True], [False, False, True]])
    fmt = parse_format("dense,compressed")
    work = []
    for kept in (stored, array != 0):
        tensors: dict[str, TensorSpec] = {
            "A": tensor_from_dense(array, fmt, stored=kept),
            "B": np.ones((3, 5)),
        }
        graph = make_graph(["C[i,j] = add[k] mul(A[i,k], B[k,j])"], tensors, references=True)
        schedule = parse_schedule(f"fuse g = C {{ order only {order}; }};")
        fused = assert_computes(graph, FuseOptions(schedule=schedule))
        assert bool(fused.plans[0].copies) == order.startswith("k")
        work.append(simulate(fused.program).totals.flops)
    assert work[0] - work[1] == 2 * 5, "a product and an addition for every column"
