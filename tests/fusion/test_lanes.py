# SPDX-License-Identifier: MIT
"""Any index dealt to any number of lanes, nested or not, leaves the result as it was."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.lanes import parallelize
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.testing import TensorSpec, make_graph, sparse_array
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.sim import simulate
from tests.fusion.interpreter import run_program
from tests.strategies import einsum_graphs

MATMUL = ["T[i,j] = add[k] mul(A[i,k], B[k,j])"]
CHAIN = [*MATMUL, "U[i,j] = add(T[i,j], c[j])", "Z[i,l] = add[j] mul(U[i,j], D[j,l])"]
SOFTMAX = [
    "M[i,j] = masked(P[i,j], A[i,j], -inf)",
    "m[i] = max[j] copy(M[i,j])",
    "S[i,j] = safe_sub(M[i,j], m[i])",
    "E[i,j] = exp(S[i,j])",
    "s[i] = add[j] copy(E[i,j])",
    "Z[i,j] = safe_div(E[i,j], s[i])",
]


def small_graph(einsums: list[str]) -> EinsumGraph:
    rng = np.random.default_rng(3)
    mask = rng.random((5, 6)) < 0.6
    mask[:, 0] = True
    tensors: dict[str, TensorSpec] = {
        "A": (sparse_array(rng, (5, 6), 0.5), "dense,compressed"),
        "B": (sparse_array(rng, (6, 7), 0.4), "compressed,compressed"),
        "c": sparse_array(rng, (7,), 1.0),
        "D": (sparse_array(rng, (7, 3), 0.7), "dense,compressed"),
        "P": (mask.astype(np.float32), "compressed,compressed pattern"),
    }
    used = {name: spec for name, spec in tensors.items() if any(f"{name}[" in e for e in einsums)}
    return make_graph(einsums, used, references=True)


def in_lanes(program: DataflowProgram, lanes: dict[str, int]) -> DataflowProgram:
    kernels = program.kernels
    for index, factor in lanes.items():
        kernels = [parallelize(kernel, index, factor) for kernel in kernels]
    dealt = replace(program, kernels=kernels)
    verify_program(dealt)
    return dealt


@pytest.mark.parametrize("factor", [2, 3, 4, 7])
@pytest.mark.parametrize("index", ["i", "j", "k", "l"])
@pytest.mark.parametrize("einsums", [MATMUL, CHAIN, SOFTMAX], ids=["matmul", "chain", "softmax"])
def test_lanes_of_any_index_give_the_same_result(
    einsums: list[str], index: str, factor: int
) -> None:
    graph = small_graph(einsums)
    program = in_lanes(fuse(graph, FuseOptions(Strategy.FULL)), {index: factor})
    report = simulate(program, engine="twin", check=True)
    assert report.check.passed, report.check.failures


def test_nested_lanes_multiply() -> None:
    program = in_lanes(fuse(small_graph(MATMUL), FuseOptions(Strategy.FULL)), {"i": 2, "k": 3})
    (kernel,) = program.kernels
    products = [n for n in kernel.nodes if n.op is Op.ALU]
    assert len(products) == 6
    assert simulate(program, engine="twin", check=True).check.passed


def test_lanes_of_the_outermost_index_divide_the_time() -> None:
    rng = np.random.default_rng(5)
    tensors = {"A": sparse_array(rng, (16, 16), 1.0), "B": sparse_array(rng, (16, 16), 1.0)}
    program = fuse(make_graph(MATMUL, tensors, references=True))
    whole = simulate(program, engine="twin").totals.cycles
    dealt = simulate(in_lanes(program, {"i": 4}), engine="twin").totals.cycles
    assert dealt < whole / 3


def test_one_lane_and_unknown_indices_change_nothing() -> None:
    (kernel,) = fuse(small_graph(MATMUL)).kernels
    assert parallelize(kernel, "i", 1) is kernel
    assert parallelize(kernel, "nowhere", 4) is kernel


def test_less_than_one_lane_is_refused() -> None:
    (kernel,) = fuse(small_graph(MATMUL)).kernels
    with pytest.raises(ValueError, match="0 lanes"):
        parallelize(kernel, "i", 0)


@settings(max_examples=250)
@given(einsum_graphs(), st.data())
def test_random_graphs_in_random_lanes(graph: EinsumGraph, data: st.DataObject) -> None:
    recompute = data.draw(st.sampled_from([None, math.inf]))
    program = fuse(graph, FuseOptions(data.draw(st.sampled_from(PRESETS)), recompute=recompute))
    expected = run_program(program)
    indices = sorted({v for kernel in program.kernels for v in kernel.order})
    if not indices:
        return
    pairs = st.dictionaries(st.sampled_from(indices), st.sampled_from([2, 3, 4]), max_size=2)
    actual = run_program(in_lanes(program, data.draw(pairs)))
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)
