# SPDX-License-Identifier: MIT
"""What is counted of a kernel, and where in its loop nests its streams are."""

from __future__ import annotations

from dataclasses import dataclass, field

from fuseflow.fusion.cost.spaces import Column, Lanes, Space
from fuseflow.ir.dataflow import DataflowGraph, Node
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Level, LevelFormat

__all__ = ["NOTHING", "KernelCounts", "NodeCounts", "Where", "Words", "data_levels"]

WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Where:
    """What a stream carries: the points of a space; `column` if its elements tell them apart.

    In `lanes` it carries only the points that were dealt to these.
    """

    space: Space
    column: Column | None = None
    tile: tuple[int, ...] = ()
    lanes: Lanes = ()

    @property
    def nullable(self) -> bool:
        """Return True if elements may be missing."""
        return self.column is not None and self.column.nullable


@dataclass(frozen=True, slots=True)
class Words:
    """Words of 4 bytes that are moved between DRAM and the machine."""

    segments: int = 0
    coordinates: int = 0
    values: int = 0

    @property
    def bytes(self) -> int:
        """Return how many bytes that is."""
        return WORD_BYTES * (self.segments + self.coordinates + self.values)

    def __add__(self, other: Words) -> Words:
        return Words(
            self.segments + other.segments,
            self.coordinates + other.coordinates,
            self.values + other.values,
        )


NOTHING = Words()


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What one node does.

    `tokens` are those of its deepest stream, `walked` the coordinates that it looks at; `groups`
    counts the lists that it works on as a whole. In the default profile it is busy for `ticks`
    with every token, and what it makes comes out `latency` cycles after it started.
    """

    node: Node
    values: int = 0
    stops: int = 0
    flops: int = 0
    read: Words = NOTHING
    written: Words = NOTHING
    walked: int = 0
    groups: int = 0
    ticks: int = 1
    latency: int = 1


@dataclass(slots=True)
class KernelCounts:
    """The counts of a kernel, node by node, the structure of what it writes, and its streams."""

    kernel: DataflowGraph
    nodes: list[NodeCounts] = field(default_factory=list)
    tokens: dict[int, tuple[int, int]] = field(default_factory=dict)
    results: dict[str, tuple[Level, ...]] = field(default_factory=dict)
    spaces: dict[int, Space] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """Return the scalar operations."""
        return sum(node.flops for node in self.nodes)

    @property
    def read(self) -> Words:
        """Return what is read from DRAM."""
        return sum((node.read for node in self.nodes), NOTHING)

    @property
    def written(self) -> Words:
        """Return what is written to DRAM."""
        return sum((node.written for node in self.nodes), NOTHING)

    @property
    def stream_tokens(self) -> int:
        """Return the tokens on all streams."""
        return sum(values + stops for values, stops in self.tokens.values())


def data_levels(value: Value) -> tuple[Level, ...] | None:
    """Return the levels of a tensor whose structure is known; None if it has to be computed."""
    if value.tensor is not None:
        return value.tensor.levels
    if value.format is not None and value.format.is_dense:
        sizes = (value.counts[mode] for mode in value.format.mode_order)
        return tuple(Level(LevelFormat.DENSE, size) for size in sizes)
    return None
