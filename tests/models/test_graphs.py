"""Graphs count themselves correctly."""

import networkx as nx
import numpy as np
import pytest

from fuseflow.errors import UsageError
from fuseflow.models.graphs import graph_from_pairs, karate_club


def test_karate_club_has_its_known_counts() -> None:
    graph = karate_club()
    assert (graph.nodes, graph.entries, graph.two_hops, graph.classes) == (34, 156, 1212, 4)
    assert (graph.degrees.max(), graph.self_loops, graph.empty_rows) == (17, 0, 0)
    assert graph.is_symmetric
    assert np.array_equal(graph.features, np.eye(34))


def test_karate_club_ignores_edge_weights() -> None:
    pattern = nx.to_numpy_array(nx.karate_club_graph(), weight=None)
    assert np.array_equal(karate_club().dense(), pattern)


def test_pairs_are_sorted_and_repeats_merged_and_counted() -> None:
    rows, columns = np.array([2, 0, 2, 0, 2]), np.array([1, 2, 1, 0, 0])
    graph = graph_from_pairs("small", 4, rows, columns)
    assert graph.indptr.tolist() == [0, 2, 2, 4, 4]
    assert graph.indices.tolist() == [0, 2, 0, 1]
    assert graph.dense().tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert (graph.repeats, graph.self_loops, graph.empty_rows) == (1, 1, 2)
    assert not graph.is_symmetric


def test_summary_states_every_count() -> None:
    graph = graph_from_pairs("small", 3, np.array([0, 0, 1]), np.array([0, 0, 2]))
    assert graph.summary() == (
        "small: n 3, a 2, R 1, max degree 1, not symmetric, 1 self-loops, 1 empty rows, "
        "1 repeats merged"
    )


def test_two_hops_follows_the_direction_of_edges() -> None:
    # 0 -> 1 -> {2, 3}: the only entry whose column has a row is (0, 1).
    graph = graph_from_pairs("path", 4, np.array([0, 1, 1]), np.array([1, 2, 3]))
    assert graph.two_hops == 2


def test_digest_depends_on_the_pattern_only() -> None:
    rows, columns = np.array([0, 1]), np.array([1, 0])
    graph = graph_from_pairs("a", 2, rows, columns)
    assert graph.digest() == graph_from_pairs("b", 2, columns, rows).digest()
    assert graph.digest() != graph_from_pairs("a", 3, rows, columns).digest()


def test_too_large_an_adjacency_is_refused_before_it_is_allocated() -> None:
    graph = graph_from_pairs("huge", 200_000, np.array([0]), np.array([1]))
    with pytest.raises(UsageError, match="U105") as caught:
        graph.dense()
    assert "149.0 GiB" in str(caught.value)
