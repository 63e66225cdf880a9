"""Graphs that the strategies draw are legal, and varied enough to be worth testing with."""

from collections import Counter

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import evaluate, evaluate_outputs
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.strategies import GraphShape, einsum_graphs, tensors

EVERYTHING = GraphShape(max_ops=6, extents=(0, 1, 2, 3), nonfinite=True)


@given(einsum_graphs())
def test_graphs_are_legal_and_finite_with_their_references(graph: EinsumGraph) -> None:
    verify_einsum_graph(graph)
    assert graph.outputs
    for output in graph.outputs:
        assert output.reference is not None
        assert np.isfinite(output.reference).all()
        np.testing.assert_array_equal(evaluate_outputs(graph)[output.name], output.reference)


@given(einsum_graphs(EVERYTHING))
def test_graphs_with_empty_extents_and_infinities_are_legal(graph: EinsumGraph) -> None:
    verify_einsum_graph(graph)
    evaluate(graph)


@given(einsum_graphs())
def test_results_hang_on_rounding_by_little(graph: EinsumGraph) -> None:
    exact, rounded = evaluate(graph, np.float64), evaluate(graph, np.float32)
    for name, dense in exact.items():
        np.testing.assert_allclose(rounded[name], dense, rtol=1e-4, atol=1e-4)


def test_graphs_cover_functions_reductions_formats_and_sharing() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(einsum_graphs(EVERYTHING))
    def collect(graph: EinsumGraph) -> None:
        seen.update({op.fn for op in graph.einsums})
        seen.update({f"reduce {op.reduce}" for op in graph.einsums})
        seen.update(f"read {len(users)}" for users in graph.consumers().values())
        for value in graph.values.values():
            if value.tensor is not None:
                seen.update(f"level {level.format}" for level in value.tensor.levels)
                seen[f"pattern {value.tensor.values is None}"] += 1
                seen[f"natural {value.tensor.mode_order == tuple(range(len(value.shape)))}"] += 1
                seen[f"fill {value.fill}"] += 1
                seen[f"stored {value.tensor.stored == 0}"] += 1
        seen[f"outputs {min(len(graph.outputs), 2)}"] += 1

    collect()
    expected = {"mul", "add", "sub", "div", "max", "min", "masked", "safe_sub", "safe_div", "exp",
                "relu", "sigmoid", "log", "sqrt", "rsqrt", "reduce None", "reduce add",
                "reduce max", "reduce min", "reduce mul", "read 2", "outputs 1", "outputs 2",
                "pattern True", "natural False", "fill 0.5", "stored True",
                "level dense", "level compressed"}  # fmt: skip
    assert expected <= {name for name, count in seen.items() if count >= 3}, seen


@given(st.data(), st.lists(st.integers(0, 4), max_size=3))
def test_tensors_denote_multiples_of_an_eighth(data: st.DataObject, shape: list[int]) -> None:
    dense = data.draw(tensors(tuple(shape))).to_dense()
    assert dense.shape == tuple(shape)
    np.testing.assert_array_equal(dense * 8, np.round(dense * 8))
