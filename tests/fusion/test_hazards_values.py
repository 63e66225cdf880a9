# SPDX-License-Identifier: MIT
"""Hazards of meaning: what absent entries, fills, masks and odd numbers stand for.

Each test is the smallest program that a plausible compiler gets wrong, run fused and unfused under
every legal loop order.
"""

from __future__ import annotations

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.analysis.support import compute_fills
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.tensor import tensor_from_coordinates
from fuseflow.ir.testing import TensorSpec, make_graph
from fuseflow.sim import simulate
from tests.fusion.checks import assert_computes, assert_denotes
from tests.fusion.examples import softmax
from tests.fusion.interpreter import run_program

INF, NAN = np.inf, np.nan
VECTORS = ("dense", "compressed")
MATRICES = tuple(
    f"{outer},{inner}{modes}" for outer in VECTORS for inner in VECTORS for modes in ("", "@1,0")
)
ROWS = tuple(text for text in MATRICES if not text.endswith("@1,0"))


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h01_bias_on_absent_rows(fmt: str) -> None:
    graph = make_graph(
        ["Y[i,j] = add(T[i,j], b[j])", "Z[i,j] = relu(Y[i,j])"],
        {"T": ([[1, 2], [0, 0]], fmt), "b": [3, -1]},
    )
    fused, _ = assert_denotes(graph, Z=[[4, 1], [3, 0]])
    assert fused.run


@pytest.mark.parametrize("values", ROWS)
def test_hazard_h02_join_over_softmax(values: str) -> None:
    graph = make_graph(
        ["X[i,j] = masked(M[i,j], S[i,j], -inf)", *softmax("X"),
         "O[i,e] = add[j] mul(P[i,j], V[j,e])"],
        {"S": [[0, 0]], "M": ([[1, 1]], "compressed,compressed pattern"),
         "V": ([[4], [0]], values)},
    )  # fmt: skip
    fused, _ = assert_denotes(graph, O=[[2]])
    assert fused.run


@pytest.mark.parametrize("a", VECTORS)
@pytest.mark.parametrize("b", VECTORS)
def test_hazard_h03_missing_in_product_and_quotient(a: str, b: str) -> None:
    graph = make_graph(
        ["M[i] = mul(x[i], y[i])", "D[i] = div(x[i], y[i])"],
        {"x": ([6, 0, 0], a), "y": ([0, 2, 0], b)},
        outputs=["M", "D"],
    )
    fused, _ = assert_denotes(graph, M=[0, 0, 0], D=[INF, 0, NAN])
    assert fused.run


@pytest.mark.parametrize("a", VECTORS)
@pytest.mark.parametrize("b", VECTORS)
def test_hazard_h04_difference_needs_union(a: str, b: str) -> None:
    graph = make_graph(
        ["D[i] = sub(a[i], b[i])", "M[i] = max(a[i], b[i])"],
        {"a": ([5, 0], a), "b": ([0, 3], b)},
        outputs=["D", "M"],
    )
    fused, _ = assert_denotes(graph, D=[5, -3], M=[5, 3])
    assert fused.run


@pytest.mark.parametrize("fmt", VECTORS)
def test_hazard_h06_function_of_absent_is_not_zero(fmt: str) -> None:
    graph = make_graph(
        ["E[i] = exp(x[i])", "y[] = add[i] copy(E[i])"],
        {"x": ([1, 0], fmt)},
        outputs=["E", "y"],
    )
    fused, _ = assert_denotes(graph, E=[np.e, 1], y=np.e + 1)
    assert fused.run
    assert compute_fills(graph).value["E"] == 1.0


@pytest.mark.parametrize("fmt", ROWS)
@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ("X[i,j] = mul(M[i,j], S[i,j])", [[0.880797, 0.119203]]),
        ("X[i,j] = masked(M[i,j], S[i,j], -inf)", [[1, 0]]),
    ],
)
def test_hazard_h07_mask_times_scores_is_no_mask(
    fmt: str, scores: str, expected: list[list[float]]
) -> None:
    graph = make_graph([scores, *softmax("X")], {"S": [[2, 3]], "M": ([[1, 0]], fmt)})
    fused, _ = assert_denotes(graph, P=expected)
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h08_maximum_starts_from_minus_infinity(fmt: str) -> None:
    graph = make_graph(
        ["m[i] = max[j] copy(A[i,j])", "n[] = max[i,j] copy(A[i,j])"],
        {"A": ([[-5, -2], [-4, -1]], fmt)},
        outputs=["m", "n"],
    )
    fused, _ = assert_denotes(graph, m=[-2, -1], n=-1)
    assert fused.run


@pytest.mark.parametrize("fmt", [*ROWS[:-1], "compressed,compressed pattern"])
def test_hazard_h09_stored_zero_is_present(fmt: str) -> None:
    graph = make_graph(
        ["X[i,j] = masked(M[i,j], S[i,j], -inf)", *softmax("X")],
        {"S": [[7, 0], [7, 7]], "M": ([[0, 1], [1, 1]], fmt)},
    )
    fused, _ = assert_denotes(graph, P=[[0, 1], [0.5, 0.5]])
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h09_empty_intersections_keep_streams_aligned(fmt: str) -> None:
    graph = make_graph(
        ["T[i,j] = mul(A[i,j], B[i,j])", "y[i] = add[j] copy(T[i,j])", "z[i] = add(y[i], c[i])"],
        {"A": ([[5, 0], [1, 2], [0, 0]], fmt), "B": ([[0, 3], [4, 0], [1, 1]], fmt),
         "c": ([0, 0, 7], "compressed")},
    )  # fmt: skip
    fused, _ = assert_denotes(graph, z=[0, 4, 7])
    assert fused.run


@pytest.mark.parametrize("fmt", VECTORS)
def test_hazard_h17_order_of_additions_is_only_rounding(fmt: str) -> None:
    graph = make_graph(["y[] = add[i] copy(x[i])"], {"x": ([1e8, 1, -1e8], fmt)})
    first, second = (run_program(fuse(graph))["y"] for _ in range(2))
    assert first in (0, 1)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("fmt", VECTORS)
def test_hazard_h18_mean_and_variance_count_absent_entries(fmt: str) -> None:
    graph = make_graph(
        ["s[] = add[i] copy(x[i])", "m[] = div_scalar(s[], 3)", "d[i] = sub(x[i], m[])",
         "q[i] = square(d[i])", "t[] = add[i] copy(q[i])", "v[] = div_scalar(t[], 3)"],
        {"x": ([3, 0, 0], fmt)},
        outputs=["m", "v"],
    )  # fmt: skip
    assert_denotes(graph, m=1, v=2)


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h19_undefined_and_negative_zero_survive(fmt: str) -> None:
    graph = make_graph(
        ["R[i,j] = relu(X[i,j])", "m[i] = max[j] copy(X[i,j])"],
        {"X": ([[NAN, 1], [2, 1]], fmt)},
        outputs=["R", "m"],
    )
    fused, _ = assert_denotes(graph, R=[[NAN, 1], [2, 1]], m=[NAN, 2])
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h21_zero_times_infinity(fmt: str) -> None:
    graph = make_graph(
        ["y[i] = add[j] mul(A[i,j], x[j])"], {"A": ([[0, 0], [1, 0]], fmt), "x": [INF, 1]}
    )
    fused, _ = assert_denotes(graph, y=[NAN, INF])
    assert fused.run


@pytest.mark.parametrize("fmt", VECTORS)
def test_hazard_h28_scalar_operand_is_read(fmt: str) -> None:
    graph = make_graph(["y[i] = div(x[i], s[])"], {"x": ([4, 0, 8], fmt), "s": 8})
    fused, _ = assert_denotes(graph, y=[0.5, 0, 1])
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h30_sums_over_nothing(fmt: str) -> None:
    graph = make_graph(
        ["y[i] = add[j] copy(A[i,j])", "z[j] = add[i] copy(A[i,j])"],
        {"A": (np.zeros((2, 0)), fmt)},
        outputs=["y", "z"],
    )
    fused, _ = assert_denotes(graph, y=[0, 0], z=np.zeros(0))
    assert fused.run


@pytest.mark.parametrize("fn", sorted(SCALAR_FUNCTIONS))
@pytest.mark.parametrize("fmt", VECTORS)
def test_hazard_h30_every_function_works_on_one_element(fn: str, fmt: str) -> None:
    assert_every_function(fn, {"x": ([0.5], fmt), "y": ([0.0], fmt)})


@pytest.mark.parametrize("fn", sorted(SCALAR_FUNCTIONS))
def test_hazard_h38_every_function_is_lowered_with_its_data(fn: str) -> None:
    assert_every_function(
        fn, {"x": ([0.5, 0, 2, 0], "compressed"), "y": ([0, 0.25, 4, 0], "compressed")}
    )


def assert_every_function(fn: str, tensors: dict[str, TensorSpec]) -> None:
    row = SCALAR_FUNCTIONS[fn]
    operands = ["x[i]", "y[i]"][: row.arity]
    arguments = ", ".join([*operands, *("0.5" for _ in row.parameters)])
    used = {name: tensors[name] for name in "xy"[: row.arity]}
    fused, _ = assert_denotes(make_graph([f"z[i] = {fn}({arguments})"], used))
    assert fused.run


@pytest.mark.parametrize("reduction", sorted(REDUCTIONS))
@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h30_reductions_over_one_element(reduction: str, fmt: str) -> None:
    graph = make_graph(
        [f"y[i] = {reduction}[j] copy(A[i,j])", f"z[] = {reduction}[i] copy(y[i])"],
        {"A": ([[3]], fmt)},
    )
    fused, _ = assert_denotes(graph, z=3)
    assert fused.run


@pytest.mark.parametrize("fmt", MATRICES)
def test_hazard_h31_fill_takes_part_in_reductions(fmt: str) -> None:
    graph = make_graph(
        ["G[i,j] = sigmoid(Z[i,j])", "y[i] = add[j] copy(G[i,j])", "m[i] = max[k] copy(X[i,k])"],
        {"Z": (np.zeros((2, 4)), fmt), "X": ([[-3, 0, -1], [-2, -1, -2]], fmt)},
        outputs=["y", "m"],
    )
    assert_denotes(graph, y=[2, 2], m=[0, -1])


@pytest.mark.parametrize("modes", ["", "@1,0"])
@pytest.mark.parametrize("reduction", sorted(REDUCTIONS))
def test_hazard_h31_every_reduction_counts_absent_entries(reduction: str, modes: str) -> None:
    dense = [[2, 0.5, 0.5], [0.5, 0.5, 0.5], [3, -1, 4]]
    graph = make_graph(
        [f"y[i] = {reduction}[j] copy(A[i,j])", f"z[j] = {reduction}[i] copy(A[i,j])"],
        {"A": (dense, f"compressed,compressed{modes} fill=0.5")},
        outputs=["y", "z"],
    )
    fused, _ = assert_denotes(graph)
    assert fused.run


@pytest.mark.parametrize("strategy", PRESETS)
def test_hazard_h32_mask_does_not_reach_unmasked_uses(strategy: Strategy) -> None:
    graph = make_graph(
        ["S[i,j] = add[d] mul(Q[i,d], K[j,d])", "X[i,j] = masked(M[i,j], S[i,j], -inf)",
         "m[i] = max[j] copy(X[i,j])", "t[i] = add[j] copy(S[i,j])"],
        {"Q": [[1]], "K": [[1], [2]], "M": ([[1, 0]], "compressed,compressed pattern")},
        outputs=["m", "t"],
    )  # fmt: skip
    assert_computes(graph, FuseOptions(strategy=strategy))
    fused, _ = assert_denotes(graph, m=[1], t=[3])
    assert fused.run


@pytest.mark.parametrize("fmt", ["compressed,compressed", "compressed,compressed@1,0"])
def test_hazard_h35_entries_are_sorted_and_stored_fills_kept(fmt: str) -> None:
    entries = np.array([[2, 0], [0, 1], [2, 2], [0, 0]])
    values = np.array([5, 0, 7, 1], dtype=np.float32)
    tensor = tensor_from_coordinates((3, 3), entries, values, parse_format(fmt))
    graph = make_graph(["Y[i,j] = copy(A[i,j])", "Z[i,j] = exp(Y[i,j])"], {"A": tensor})
    fused, _ = assert_denotes(graph, Z=np.exp([[1, 0, 0], [0, 0, 0], [5, 0, 7]]))
    assert fused.run
    program = fuse(graph, FuseOptions(Strategy.FULL))
    assert simulate(program).outputs[0].tensor.stored == len(values)
