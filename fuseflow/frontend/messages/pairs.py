# SPDX-License-Identifier: MIT
"""The edges of a region as the entries of a matrix: row = target, column = source.

Decides whether that is possible. It is not where two lists name the sources, or the targets, and
where an edge occurs twice and what is computed of the two cannot be added up beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.ops import GatherAttrs, MapAttrs, ScatterAttrs, TensorOp
from fuseflow.frontend.messages.regions import Region, Surroundings

__all__ = ["Pairs", "pair_up"]

LINEAR = ("mul", "mul_scalar", "div_scalar", "neg")
"""Functions of a value per edge whose sum over equal edges is that of the summed edge weights."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """E edges: `targets` and `sources` i64[E], of a matrix of `rows` x `columns`.

    `label` is what the user calls the list of edges. `by_target` has the gathers that read their
    operand at the target of each edge; all others read it at the source.
    """

    targets: Indices
    sources: Indices
    rows: int
    columns: int
    label: str
    by_target: frozenset[str]

    @property
    def repeats(self) -> int:
        """How many edges are repetitions of others."""
        return len(self.targets) - len(np.unique(self.keys))

    @property
    def keys(self) -> Indices:
        """Return a number per edge, equal for equal edges."""
        return self.targets * self.columns + self.sources

    @property
    def has_empty_rows(self) -> bool:
        """True if some node is the target of no edge."""
        return len(np.unique(self.targets)) < self.rows

    @property
    def identity(self) -> bytes:
        """Return what two equal lists of edges have in common."""
        shape = np.array((self.rows, self.columns), dtype=np.int64)
        return shape.tobytes() + self.targets.tobytes() + self.sources.tobytes()

    def place(self, weights: npt.NDArray[Any]) -> tuple[Indices, npt.NDArray[np.float32]]:
        """Return the (target, source) of each distinct edge and its weights, summed over repeats.

        `weights` is [E, ...].
        """
        keys, place = np.unique(self.keys, return_inverse=True)
        total = np.zeros((len(keys), *weights.shape[1:]), dtype=np.float64)
        np.add.at(total, place, weights)
        corners = np.stack(np.divmod(keys, max(self.columns, 1)), axis=1)
        return corners, total.astype(np.float32)


def pair_up(around: Surroundings, region: Region) -> Pairs | str:
    """Return the edges of a region as pairs, or why they are none."""
    if region.obstacle:
        return region.obstacle
    gathers, scatters = region.gathers(), region.scatters()
    if not scatters:
        return "values per edge are not brought back to nodes"
    extents = {op.attrs.extent for op in scatters if isinstance(op.attrs, ScatterAttrs)}
    targets = around.indices(scatters[0])
    if len(extents) > 1 or not _agree(around, scatters, targets):
        return "several lists name the targets of the edges"
    (rows,) = extents
    by_target = [
        op for op in gathers if _agree(around, [op], targets) and _extent(around, op) == rows
    ]
    by_source = [op for op in gathers if op not in by_target]
    if not by_source:
        # Each edge leads to where it comes from: what was summed is read at the target.
        by_source = [op for op in by_target if not _follows(around, op.inputs[0], scatters)]
        by_target = [op for op in by_target if op not in by_source]
    sources = around.indices(by_source[0])
    columns = {_extent(around, op) for op in by_source}
    if len(columns) > 1 or not _agree(around, by_source, sources):
        return "several lists name the sources of the edges"
    names = frozenset(op.output for op in by_target)
    label = around.label(scatters[0].inputs[1])
    pairs = Pairs(targets, sources, rows, columns.pop(), label, names)
    if pairs.repeats and not _adds_up(around, region):
        return f"{pairs.repeats} of its edges are repetitions"
    return pairs


def _extent(around: Surroundings, gather: TensorOp) -> int:
    """Return how many coordinates a gather chooses from."""
    shape = around.shape(gather.inputs[0])
    assert isinstance(gather.attrs, GatherAttrs)
    return shape[gather.attrs.dim]


def _agree(around: Surroundings, ops: list[TensorOp], indices: Indices) -> bool:
    return all(np.array_equal(around.indices(op), indices) for op in ops)


def _follows(around: Surroundings, name: str, scatters: list[TensorOp]) -> bool:
    """True if a value is computed from what one of the scatters gives."""
    results = {op.output for op in scatters}
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        if current in results:
            return True
        op = around.producers.get(current)
        new = [] if op is None else [each for each in op.inputs if each not in seen]
        waiting += new
        seen.update(new)
    return False


def _adds_up(around: Surroundings, region: Region) -> bool:
    """True if equal edges may be merged: everything is a sum of products, or ignores repeats."""
    maps = [op for op in region.ops if isinstance(op.attrs, MapAttrs)]
    kinds = {op.attrs.op for op in region.scatters() if isinstance(op.attrs, ScatterAttrs)}
    if "add" not in kinds:
        return all(_is_same_for_all(around, op, region) for op in maps)
    functions = {op.attrs.fn for op in maps if isinstance(op.attrs, MapAttrs)}
    is_plain = len(maps) + len(region.gathers()) + len(region.scatters()) == len(region.ops)
    return kinds == {"add"} and functions <= set(LINEAR) and is_plain


def _is_same_for_all(around: Surroundings, op: TensorOp, region: Region) -> bool:
    """True if no operand of a function differs from edge to edge by itself."""
    rank, axis = len(around.shape(op.output)), region.axes[op.output]
    for name in op.inputs:
        shape = around.shape(name)
        place = rank - axis
        if name not in region.axes and len(shape) >= place and shape[-place] != 1:
            return False
    return True
