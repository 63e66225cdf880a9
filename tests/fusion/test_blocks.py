# SPDX-License-Identifier: MIT
"""Blocked graphs compute what their graphs of numbers compute, ragged edges and masks included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.errors import ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.blocks import block_graph
from fuseflow.ir.dataflow import AluAttrs, DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from fuseflow.sim import simulate
from tests.strategies import GraphShape, einsum_graphs

MATMUL = ["T[i,j] = add[k] mul(A[i,k], B[k,j])"]
ATTENTION = [
    "Q[i,j] = add[d] mul(X[i,d], Y[j,d])",
    "S[i,j] = masked(M[i,j], Q[i,j], -inf)",
    "m[i] = max[j] copy(S[i,j])",
    "D[i,j] = safe_sub(S[i,j], m[i])",
    "E[i,j] = exp(D[i,j])",
    "s[i] = add[j] copy(E[i,j])",
    "P[i,j] = safe_div(E[i,j], s[i])",
    "O[i,e] = add[j] mul(P[i,j], V[j,e])",
]


def check(graph: EinsumGraph, tiles: dict[str, int], strategy: Strategy) -> DataflowProgram:
    program = fuse(block_graph(graph, tiles), FuseOptions(strategy))
    report = simulate(program, engine="twin", check=True)
    assert report.check.passed, report.check.failures
    return program


def matmul_graph(rows: int, inner: int, columns: int, fmt: str) -> EinsumGraph:
    rng = np.random.default_rng(rows * 100 + inner * 10 + columns)
    tensors: dict[str, TensorSpec] = {
        "A": (sparse_array(rng, (rows, inner), 0.3), fmt),
        "B": (sparse_array(rng, (inner, columns), 0.4), fmt),
    }
    return make_graph(MATMUL, tensors, references=True)


@pytest.mark.parametrize("fmt", ["dense,dense", "dense,compressed", "compressed,compressed"])
@pytest.mark.parametrize("tiles", [{"i": 2}, {"k": 2}, {"i": 4, "k": 2, "j": 3}, {"j": 8}])
def test_products_of_tiles_are_products_of_matrices(fmt: str, tiles: dict[str, int]) -> None:
    check(matmul_graph(5, 6, 7, fmt), tiles, Strategy.UNFUSED)


def test_a_blocked_product_is_one_tile_operation_per_pair_of_tiles() -> None:
    program = check(matmul_graph(8, 8, 8, "dense,dense"), dict.fromkeys("ijk", 4), Strategy.FULL)
    (alu,) = [n.attrs for n in program.kernels[0].nodes if isinstance(n.attrs, AluAttrs)]
    assert alu.tile_op is not None
    assert alu.tile_op.fold == "add"
    flops = simulate(program, engine="twin").totals.flops
    assert flops >= 2 * 8**3


def attention_graph(rows: int, mask: np.ndarray) -> EinsumGraph:
    rng = np.random.default_rng(1)
    tensors: dict[str, TensorSpec] = {
        "X": sparse_array(rng, (rows, 4), 1.0),
        "Y": sparse_array(rng, (rows, 4), 1.0),
        "V": sparse_array(rng, (rows, 3), 1.0),
        "M": (mask.astype(np.float32), "compressed,compressed pattern"),
    }
    return make_graph(ATTENTION, tensors, references=True)


@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("tiles", [{"i": 2, "j": 2}, {"i": 4, "j": 4, "d": 4}, {"j": 3}])
@pytest.mark.parametrize("rows", [8, 7])
def test_attention_with_blocks_is_masked_exactly(
    rows: int, tiles: dict[str, int], strategy: Strategy
) -> None:
    blocks = np.kron(np.eye(4) + np.eye(4, k=-1), np.ones((2, 2)))[:rows, :rows] > 0
    finer = blocks & (np.arange(rows)[:, None] >= np.arange(rows)[None, :])
    for mask in (blocks, finer):
        check(attention_graph(rows, mask), tiles, strategy)


def test_a_block_mask_keeps_no_values() -> None:
    mask = np.kron(np.eye(4), np.ones((2, 2))) > 0
    blocked = block_graph(attention_graph(8, mask), {"i": 2, "j": 2})
    tensor = blocked.values["M"].tensor
    assert tensor is not None
    assert tensor.values is None
    assert tensor.stored == 4


def test_ragged_tiles_do_not_take_part_in_reductions() -> None:
    values = np.arange(1, 6, dtype=np.float32)
    graph = make_graph(
        ["E[j] = exp(x[j])", "s[] = add[j] copy(E[j])"], {"x": values}, references=True
    )
    check(graph, {"j": 4}, Strategy.FULL)
    assert evaluate_outputs(graph)["s"] == pytest.approx(233.204, abs=1e-3)
    largest = make_graph(
        ["m[] = max[j] copy(x[j])"], {"x": np.float32([-3, -2, -1])}, references=True
    )
    check(largest, {"j": 4}, Strategy.FULL)


def test_one_index_of_a_connected_dimension_blocks_them_all() -> None:
    blocked = block_graph(matmul_graph(5, 6, 7, "dense,dense"), {"k": 4})
    assert [blocked.values[name].tile for name in "ABT"] == [(1, 4), (4, 1), ()]


def test_conflicting_and_unknown_blocks_are_refused() -> None:
    rng = np.random.default_rng(2)
    square = make_graph(["T[i,j] = add(A[i,j], A[j,i])"], {"A": sparse_array(rng, (4, 4), 1.0)})
    with pytest.raises(ScheduleError, match="P021"):
        block_graph(square, {"i": 2, "j": 4})
    with pytest.raises(ScheduleError, match="P020"):
        block_graph(square, {"z": 2})
    with pytest.raises(ScheduleError, match="P020"):
        block_graph(square, {"i": 0})


def test_blocks_of_one_change_nothing() -> None:
    graph = matmul_graph(5, 6, 7, "dense,dense")
    assert block_graph(graph, {"i": 1}) is graph


@settings(max_examples=150)
@given(einsum_graphs(GraphShape(extents=(1, 2, 3, 5))), st.data())
def test_random_graphs_in_random_blocks(graph: EinsumGraph, data: st.DataObject) -> None:
    sizes = graph.index_sizes()
    names = sorted(sizes)
    if not names:
        return
    index = data.draw(st.sampled_from(names))
    tiles = {index: data.draw(st.sampled_from([2, 3, 4]))}
    program = fuse(block_graph(graph, tiles), FuseOptions(data.draw(st.sampled_from(PRESETS))))
    report = simulate(program, engine="twin", check=True, rtol=1e-3)
    assert report.check.passed, report.check.failures
