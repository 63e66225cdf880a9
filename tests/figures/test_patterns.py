"""The patterns of figure 15 are as sparse as they say, and the same everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tools.figures.patterns import PATTERNS, entries_of, make_pattern

PERCENTS = (50, 60, 70, 80, 90, 95)
DIGESTS = {
    "uniform": "13e12cc2f0b6f38b48937149e0eb58215235f8eb565b9cebbd1e8439240e1cd5",
    "power-law": "45d010a1ff70f9b09de7e4fc206f7cd6d97ae33db3bdc063f2a99e56c7e67ab0",
    "block-diagonal": "466a682dbe97334b829dd606ff4884e5bb9a6745a8c3bf2307b176da3cdf880b",
}


@pytest.mark.parametrize("name", PATTERNS)
def test_sparsity_is_exact_and_no_row_is_empty(name: str) -> None:
    for percent in PERCENTS:
        graph = make_pattern(name, 128, percent, 1)
        assert (graph.nodes, graph.entries) == (128, entries_of(128, percent))
        assert (graph.empty_rows, graph.repeats) == (0, 0)


def test_blocks_hold_everything() -> None:
    graph = make_pattern("block-diagonal", 100, 80, 1)
    assert np.array_equal(graph.rows // 20, graph.indices // 20)


def test_a_power_law_is_less_even_than_uniform() -> None:
    spread = {name: make_pattern(name, 128, 90, 1).degrees.std() for name in PATTERNS}
    assert spread["power-law"] > 2 * spread["uniform"]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_pattern_of_a_seed_never_changes(name: str) -> None:
    digests = "".join(make_pattern(name, 128, percent, 1).digest() for percent in PERCENTS)
    assert hashlib.sha256(digests.encode()).hexdigest() == DIGESTS[name]


def test_too_few_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 10 rows"):
        make_pattern("uniform", 10, 95, 1)
