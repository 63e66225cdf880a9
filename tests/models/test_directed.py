"""Directed graphs have exactly the asked counts and are the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from fuseflow.errors import UsageError
from fuseflow.models.directed import directed_graph


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_exact_and_no_row_is_empty(seed: int) -> None:
    graph = directed_graph(40, 200, seed)
    assert (graph.nodes, graph.entries, graph.repeats) == (40, 200, 0)
    assert (graph.self_loops, graph.empty_rows) == (0, 0)
    assert not graph.is_symmetric


def test_a_tuned_graph_meets_its_target_with_one_ranking() -> None:
    graph = directed_graph(360, 2644, 1, two_hops=79_000)
    assert graph.two_hops == pytest.approx(79_000, rel=0.01)
    cited = np.bincount(graph.indices, minlength=360)
    assert np.corrcoef(cited, graph.degrees)[0, 1] > 0.7
    free = directed_graph(360, 2644, 1)
    assert abs(np.corrcoef(np.bincount(free.indices, minlength=360), free.degrees)[0, 1]) < 0.3


def test_the_pattern_of_a_seed_never_changes() -> None:
    digest = directed_graph(1438, 10_578, 1).digest()
    assert digest == "60bbcf5d485177ae60c47fd98c9d427fcef3f74ad91fdb24d212094bced92313"


@pytest.mark.parametrize(("nodes", "entries"), [(1, 1), (10, 9), (10, 46)])
def test_counts_that_contradict_each_other_are_refused(nodes: int, entries: int) -> None:
    with pytest.raises(UsageError, match="edges"):
        directed_graph(nodes, entries, 0)


def test_a_target_out_of_reach_is_refused() -> None:
    with pytest.raises(UsageError, match="two_hops"):
        directed_graph(20, 100, 0, two_hops=10)
