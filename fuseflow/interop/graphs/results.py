# SPDX-License-Identifier: MIT
"""Which writers make up which result of a foreign graph, and how is it stored?

Writers are told apart by the tensor that they name, where they name one that the graph does not
read. Otherwise a writer of values takes, level by level, the first free writer of coordinates,
preferably one that is nested in the outer indices of the values. Writers of one result are read
together, which makes their indices the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.nesting import Nesting
from fuseflow.ir.dataflow import Op, ValWriteAttrs
from fuseflow.ir.tensor import Format, LevelFormat

__all__ = ["Result", "find_results"]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One tensor that a graph writes: the writers of its levels, outermost first, and values."""

    name: str
    levels: tuple[DraftNode, ...]
    values: DraftNode

    @property
    def fill(self) -> float:
        """Return the background of the result."""
        attrs = self.values.attrs
        return attrs.fill if isinstance(attrs, ValWriteAttrs) else 0.0

    @property
    def format(self) -> Format:
        """Return the format as the writers state it; compressed where they do not."""
        kinds = (LevelFormat.DENSE, LevelFormat.COMPRESSED)
        levels = tuple(kinds[node.compressed is not False] for node in self.levels)
        return Format(levels, self.mode_order)

    @property
    def mode_order(self) -> tuple[int, ...]:
        """Return the stored order of dimensions; the natural one if the writers state none."""
        modes = tuple(node.mode for node in self.levels if node.mode is not None)
        natural = tuple(range(len(self.levels)))
        return modes if sorted(modes) == list(natural) else natural

    def shape(self, draft: Draft, sizes: Mapping[int, int], nesting: Nesting) -> tuple[int, ...]:
        """Return the sizes of the dimensions from those of the indices.

        Raises:
            InterchangeError: X008 if the size of an index is not known.
        """
        shape = [0] * len(self.levels)
        nest = nesting.classes(_input(self.values))
        for node, mode, index in zip(self.levels, self.mode_order, nest, strict=True):
            if index not in sizes:
                message = f"no operand says how large index {nesting.label(index) or '?'} is"
                raise refuse("X008", message, graph=draft.name, node=node.name)
            shape[mode] = sizes[index]
        return tuple(shape)


def find_results(draft: Draft, nesting: Nesting, taken: Collection[str]) -> list[Result]:
    """Return the results of a graph in the order of their writers of values.

    Args:
        draft: a sorted graph.
        nesting: the nests of its wires.
        taken: names that a result cannot have: those of tensors that are read or written before.

    Raises:
        InterchangeError: X008 if a level of a result is written by nobody, or a writer is left.
    """
    free = [node for node in draft.nodes if node.op is Op.LEVEL_WRITE]
    numbered = (name for n in range(len(taken) + len(free) + 1) if (name := f"out{n}") not in taken)
    results: list[Result] = []
    names = set(taken)
    for node in [node for node in draft.nodes if node.op is Op.VAL_WRITE]:
        stated = node.tensor if node.tensor and node.tensor not in names else ""
        result = _collect(draft, nesting, node, stated, free, numbered)
        names.add(result.name)
        results.append(result)
        free = [writer for writer in free if writer not in result.levels]
    if free:
        message = "it writes a level of a tensor whose values nobody writes"
        raise refuse("X008", message, graph=draft.name, node=free[0].name)
    if not results:
        raise refuse("X008", "the graph writes no values", graph=draft.name)
    return results


def _collect(
    draft: Draft,
    nesting: Nesting,
    values: DraftNode,
    stated: str,
    free: list[DraftNode],
    numbered: Iterator[str],
) -> Result:
    nest = nesting.classes(_input(values))
    named = [node for node in free if stated and node.tensor == stated]
    candidates = named or free
    levels: list[DraftNode] = []
    for depth in range(1, len(nest) + 1):
        left = [node for node in candidates if node not in levels]
        deep = [node for node in left if len(nesting.classes(_input(node))) == depth]
        exact = [node for node in deep if nesting.classes(_input(node)) == nest[:depth]]
        writer = next(iter(exact or deep), None)
        if writer is None:
            message = f"nobody writes level {depth - 1} of the tensor whose values it writes"
            raise refuse("X008", message, graph=draft.name, node=values.name)
        nesting.unify(writer, nesting.classes(_input(writer)), nest[:depth])
        levels.append(writer)
    return Result(stated or next(numbered), tuple(levels), values)


def _input(node: DraftNode) -> int:
    wire = node.inputs[0]
    assert wire is not None
    return wire
