# SPDX-License-Identifier: MIT
"""Graphs for graph networks: the pattern of an adjacency matrix with optional node features.

Row i lists the nodes that node i sums over. Edges carry no weights. Files are read by
`graph_file`, random graphs are drawn by `power_law`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fuseflow.models.case import require_dense_size

__all__ = ["GraphData", "graph_from_pairs", "karate_club"]

_KARATE_CLASSES = 4  # as graph-learning packages label the club


@dataclass(frozen=True, slots=True, eq=False)
class GraphData:
    """A directed pattern in CSR form, rows sorted and free of repeats.

    `indptr` i64[n + 1], `indices` i64[a]; `features` f32[n, F] or None; `classes` is how many
    labels the data set has, if it has labels; `repeats` is how many entries were merged.
    """

    name: str
    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32] | None = None
    classes: int | None = None
    repeats: int = 0

    @property
    def nodes(self) -> int:
        """How many nodes there are (n)."""
        return len(self.indptr) - 1

    @property
    def entries(self) -> int:
        """How many entries are stored (a): an undirected edge counts twice."""
        return len(self.indices)

    @property
    def degrees(self) -> npt.NDArray[np.int64]:
        """How many entries each row has, i64[n]."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The row of each entry, i64[a]."""
        return np.repeat(np.arange(self.nodes, dtype=np.int64), self.degrees)

    @property
    def two_hops(self) -> int:
        """How many paths of two edges there are (R): the row lengths of all entries' columns."""
        return int(self.degrees[self.indices].sum())

    @property
    def self_loops(self) -> int:
        """How many entries lie on the diagonal."""
        return int(np.count_nonzero(self.rows == self.indices))

    @property
    def empty_rows(self) -> int:
        """How many nodes sum over nothing."""
        return int(np.count_nonzero(self.degrees == 0))

    @property
    def is_symmetric(self) -> bool:
        """True if every edge is stored in both directions."""
        forward = self.rows * self.nodes + self.indices
        return bool(np.array_equal(forward, np.sort(self.indices * self.nodes + self.rows)))

    def dense(self) -> npt.NDArray[np.float32]:
        """Return the adjacency matrix f32[n, n] of zeros and ones.

        Raises UsageError if it would not fit in memory sensibly.
        """
        require_dense_size(f'the adjacency matrix of graph "{self.name}"', self.nodes, self.nodes)
        matrix = np.zeros((self.nodes, self.nodes), dtype=np.float32)
        matrix[self.rows, self.indices] = 1.0
        return matrix

    def digest(self) -> str:
        """Return the SHA-256 of the pattern, which is the same on every machine."""
        pattern = np.concatenate((self.indptr, self.indices)).astype("<i8")
        return hashlib.sha256(pattern.tobytes()).hexdigest()

    def summary(self) -> str:
        """Describe the pattern in one line.

        For example: ``karate: n 34, a 156, R 1212, max degree 17, symmetric, 0 self-loops, 0 empty
        rows``.
        """
        parts = [
            f"n {self.nodes}",
            f"a {self.entries}",
            f"R {self.two_hops}",
            f"max degree {self.degrees.max(initial=0)}",
            "symmetric" if self.is_symmetric else "not symmetric",
            f"{self.self_loops} self-loops",
            f"{self.empty_rows} empty rows",
        ]
        if self.repeats:
            parts.append(f"{self.repeats} repeats merged")
        return f"{self.name}: {', '.join(parts)}"


def graph_from_pairs(
    name: str,
    nodes: int,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    features: npt.NDArray[np.float32] | None = None,
    classes: int | None = None,
) -> GraphData:
    """Build a graph from one (row, column) pair per entry, in any order, with or without repeats.

    Coordinates must lie in 0 .. `nodes` - 1.
    """
    keys = np.unique(rows * nodes + columns)
    degrees = np.bincount(keys // nodes, minlength=nodes)
    return GraphData(
        name=name,
        indptr=np.concatenate(([0], np.cumsum(degrees))).astype(np.int64),
        indices=keys % nodes,
        features=features,
        classes=classes,
        repeats=len(rows) - len(keys),
    )


def karate_club() -> GraphData:
    """Return Zachary's karate club: 34 members, 78 friendships, one feature per member.

    The strengths of the friendships are ignored.
    """
    import networkx as nx

    edges = np.array(sorted(nx.karate_club_graph().edges()), dtype=np.int64)
    members = int(edges.max()) + 1
    return graph_from_pairs(
        "karate",
        members,
        np.concatenate((edges[:, 0], edges[:, 1])),
        np.concatenate((edges[:, 1], edges[:, 0])),
        features=np.eye(members, dtype=np.float32),
        classes=_KARATE_CLASSES,
    )
