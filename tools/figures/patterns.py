# SPDX-License-Identifier: MIT
"""The adjacency patterns of figure 15: uniform, power-law and block-diagonal, of exact sparsity.

Not symmetric, self-loops allowed; every row has an entry. Integer draws, so that a pattern depends
on nothing but its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from fuseflow.models.draws import CounterStream
from fuseflow.models.graphs import GraphData, graph_from_pairs
from fuseflow.models.power_law import NodeSampler, fill

__all__ = ["PATTERNS", "entries_of", "make_pattern"]

Integers = npt.NDArray[np.int64]

_EXPONENT = 0.5


def entries_of(nodes: int, percent: int) -> int:
    """Return how many of n x n cells are stored where `percent` of them are empty."""
    return nodes * nodes * (100 - percent) // 100


def make_pattern(name: str, nodes: int, percent: int, seed: int) -> GraphData:
    """Draw a pattern of `PATTERNS` in which `percent` of all cells are empty.

    Raises:
        ValueError: if that leaves less than one entry per row, or more than the cells that the
            pattern has.
    """
    entries = entries_of(nodes, percent)
    keys = PATTERNS[name](nodes, percent, seed)
    if not nodes <= entries <= len(keys):
        raise ValueError(f"{name}: {entries} entries do not fit {nodes} rows")
    first = keys[np.unique(keys // nodes, return_index=True)[1]]
    chosen = np.concatenate((first, keys[~np.isin(keys, first)]))[:entries]
    return graph_from_pairs(name, nodes, chosen // nodes, chosen % nodes)


def _uniform(nodes: int, percent: int, seed: int) -> Integers:
    """Return all cells in random order."""
    del percent
    return CounterStream(seed, "figure 15/uniform").order(nodes * nodes)


def _power_law(nodes: int, percent: int, seed: int) -> Integers:
    """Return cells in the order in which they are drawn, with a weight per row and per column."""
    rows = NodeSampler(nodes, seed, _EXPONENT, "figure 15/rows", "figure 15/starts")
    columns = NodeSampler(nodes, seed, _EXPONENT, "figure 15/columns", "figure 15/ends")
    entries = entries_of(nodes, percent)

    def draw(missing: int) -> Integers:
        return rows.draw(missing + 64) * nodes + columns.draw(missing + 64)

    keys = fill(np.empty(0, dtype=np.int64), entries, draw)
    if keys is None:
        raise ValueError(f"no {entries} cells could be drawn")
    others = np.setdiff1d(np.arange(nodes, dtype=np.int64), keys // nodes)
    return np.concatenate((others * nodes + columns.draw(len(others)), keys))


def _block_diagonal(nodes: int, percent: int, seed: int) -> Integers:
    """Return the cells of equal blocks on the diagonal in random order."""
    blocks = 100 // (100 - percent)
    block = np.arange(nodes, dtype=np.int64) * blocks // nodes
    cells = np.flatnonzero(block[:, None] == block)
    return cells[CounterStream(seed, "figure 15/blocks").order(len(cells))]


# Each returns cells as row * n + column, of which a pattern takes the first.
PATTERNS: Mapping[str, Callable[[int, int, int], Integers]] = {
    "uniform": _uniform,
    "power-law": _power_law,
    "block-diagonal": _block_diagonal,
}
