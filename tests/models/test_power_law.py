"""Random graphs have exactly the asked counts and are the same everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import UsageError
from fuseflow.models.power_law import power_law_graph


@given(nodes=st.integers(2, 60), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_counts_are_exact_and_no_node_is_isolated(nodes: int, share: float, seed: int) -> None:
    most = max(nodes * (nodes - 1) // 2, 2 * (nodes - 1)) // 2
    edges = nodes - 1 + round(share * (most - nodes + 1))
    graph = power_law_graph(nodes, 2 * edges, seed)
    assert (graph.nodes, graph.entries, graph.repeats) == (nodes, 2 * edges, 0)
    assert (graph.self_loops, graph.empty_rows, graph.is_symmetric) == (0, 0, True)


def test_pattern_of_a_seed_never_changes() -> None:
    digests = [
        power_law_graph(2708, 10_556, 1).digest(),
        power_law_graph(374, 2040, 1, two_hops=36_560).digest(),
    ]
    assert digests == [
        "b8003f0a2687b754fc1a561aa31ef1a26e3f5d21fe7604cc622847615d611a4a",
        "5af8f5405c05886cdce57e647d8a5919359f2a5bf166e62a4169cadffb53c450",
    ]


def test_seeds_give_different_graphs() -> None:
    assert power_law_graph(50, 200, 0).digest() != power_law_graph(50, 200, 1).digest()


@pytest.mark.parametrize(
    ("nodes", "entries", "two_hops"),
    [(2708, 10_556, 115_158), (374, 2040, 36_560), (2214, 13_216, 273_578)],
)
def test_tuned_graph_meets_its_target(nodes: int, entries: int, two_hops: int) -> None:
    graph = power_law_graph(nodes, entries, 1, two_hops=two_hops)
    assert graph.entries == entries
    assert graph.two_hops == pytest.approx(two_hops, rel=0.01)


def test_degrees_spread_like_a_power_law() -> None:
    graph = power_law_graph(2000, 12_000, 0)
    # Independent uniform ends would hardly give a node more than four times the mean degree.
    assert graph.degrees.max() > 12 * graph.degrees.mean()


@pytest.mark.parametrize("entries", [9, 11, 46, 8])
def test_impossible_number_of_edges_is_refused(entries: int) -> None:
    with pytest.raises(UsageError, match=r"edges=.* even number from 10 to 45"):
        power_law_graph(10, entries, 0)


def test_too_few_edges_to_cover_all_nodes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"edges=300 is out of reach.*600 edges"):
        power_law_graph(300, 300, 0)


@pytest.mark.parametrize("two_hops", [100, 10_000_000])
def test_target_out_of_reach_is_refused(two_hops: int) -> None:
    with pytest.raises(UsageError, match=r"two_hops=.* out of reach"):
        power_law_graph(100, 600, 0, two_hops=two_hops)
