# SPDX-License-Identifier: MIT
"""How much room each stream of a kernel needs so that no choice of capacities can deadlock it.

Where two paths from one stream meet again, a path that passes a barrier (a node that takes a whole
list before it gives anything) is late by that list, and the other one must hold it. How long lists
can be follows from the stored levels that are scanned; nothing is simulated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import numpy as np

from fuseflow.ir.dataflow import (
    ConcatAttrs,
    DataflowGraph,
    ForkAttrs,
    FullAttrs,
    GatherAttrs,
    JoinAttrs,
    LevelWriteAttrs,
    LocateAttrs,
    Node,
    Op,
    ReplayAttrs,
    ScanAttrs,
    SpaccAttrs,
)
from fuseflow.ir.einsum import Value

__all__ = ["MARGIN", "channel_depths"]

MARGIN = 16
"""Room beyond whole lists: tokens that nodes look ahead, and those under way in a pipeline."""

LOOKING_AHEAD = (Op.REPEAT, Op.SCAN, Op.FULL, Op.HOLD)
"""Nodes that close a list when they see what follows its element: one more list where that lags."""

Lengths = tuple[int, ...]
"""The most elements that a list of each level of a stream can have, the outermost first."""
Place = tuple[str, ...]
"""A list within a stream, by the indices outside it."""
Lag = Mapping[Place, int]
"""How many lists at each place must have been read before what they make leaves a stream."""


def channel_depths(graph: DataflowGraph, tensors: Mapping[str, Value]) -> dict[int, int]:
    """Return a capacity for every stream, in tokens.

    Args:
        graph: a verified kernel whose nodes stand in topological order of `graph.nodes`.
        tensors: the tensors that it touches, those that it scans with their data.
    """
    lengths = _Lengths(graph, tensors).of_streams()
    lags: dict[int, Lag] = {}
    depths = dict.fromkeys(graph.streams, MARGIN)
    for node in _ordered(graph):
        inputs = [sid for sid in node.inputs if sid is not None]
        latest = _latest(lags[sid] for sid in inputs)
        if node.op in LOOKING_AHEAD:
            latest = _latest([latest, {place: n + 1 for place, n in lags[inputs[0]].items()}])
        for sid in inputs:
            wait = _waiting(graph.streams[sid].indices, lags[sid], latest, lengths[sid])
            depths[sid] = max(depths[sid], MARGIN + wait)
        for sid in inputs[1:] if node.op in (Op.CONCAT, Op.GATHER) else ():
            depths[sid] = max(depths[sid], MARGIN + _element_tokens(node, lengths[sid]))
        made = _with_barrier(node, graph, latest)
        lags |= {sid: made for sid in node.outputs if sid is not None}
    return depths


def _ordered(graph: DataflowGraph) -> Iterable[Node]:
    """Yield the nodes behind those that they read from."""
    known: set[int] = set()
    waiting = list(graph.nodes)
    while waiting:
        ready = [n for n in waiting if all(s is None or s in known for s in n.inputs)]
        yield from ready
        known |= {sid for node in ready for sid in node.outputs if sid is not None}
        waiting = [node for node in waiting if node not in ready]


def _latest(lags: Iterable[Lag]) -> Lag:
    latest: dict[Place, int] = {}
    for lag in lags:
        for place, count in lag.items():
            latest[place] = max(latest.get(place, 0), count)
    return latest


def _waiting(indices: Place, lag: Lag, latest: Lag, lengths: Lengths) -> int:
    """Return the tokens of a stream that come before what the latest input has to offer."""
    waiting = 0
    for depth in range(len(indices) + 1):
        place = indices[:depth]
        behind = latest.get(place, 0) - lag.get(place, 0)
        waiting += behind * _tokens(lengths[depth:])
    return waiting


def _tokens(lengths: Lengths) -> int:
    """Return the most tokens of a list with these lengths; one stop closes several lists."""
    if not lengths:
        return 1
    *outer, inner = lengths
    tokens = inner + 1
    for count in reversed(outer):
        tokens = max(1, count * tokens)
    return tokens


def _element_tokens(node: Node, lengths: Lengths) -> int:
    """Return the most tokens that wait while the inputs before are read to their end."""
    match node.attrs:
        case ConcatAttrs(depth=depth):
            return _tokens(lengths[len(lengths) - depth - 1 :])
        case GatherAttrs(depth=depth) if depth:
            return _tokens(lengths[len(lengths) - depth :])
        case _:
            return 0


def _with_barrier(node: Node, graph: DataflowGraph, lag: Lag) -> Lag:
    """Return the lag behind a node: one list more if it is a barrier.

    A filter counts as one: it may read a whole list before an element passes.
    """
    place = _barrier_place(node, graph)
    return lag if place is None else {**lag, place: lag.get(place, 0) + 1}


def _barrier_place(node: Node, graph: DataflowGraph) -> Place | None:
    read = [graph.streams[sid].indices for sid in node.inputs if sid is not None]
    match node.op, node.attrs:
        case Op.JOIN, JoinAttrs(keep="union"):
            return None
        case Op.REPLAY, ReplayAttrs(depth=depth):
            return read[0][:-depth]
        case Op.SPACC | Op.REDUCE | Op.JOIN | Op.VALDROP, _:
            return read[0][:-1]
        case Op.MASK | Op.DROP, _:
            return read[1][:-1]
        case _:
            return None


class _Lengths:
    """How long lists can be, from the sources of a kernel to its ends."""

    def __init__(self, graph: DataflowGraph, tensors: Mapping[str, Value]) -> None:
        self.graph = graph
        self.tensors = tensors
        self.known: dict[int, Lengths] = {}
        self.extents = self._extents()

    def of_streams(self) -> dict[int, Lengths]:
        """Return the lengths of every stream."""
        for node in _ordered(self.graph):
            inputs = [self.known[sid] for sid in node.inputs if sid is not None]
            for port, sid in enumerate(node.outputs):
                if sid is not None:
                    self.known[sid] = self._bounded(sid, self._made(node, port, inputs))
        return self.known

    def _extents(self) -> dict[str, int]:
        """Return how many coordinates an index has, where a node of the kernel tells."""
        extents: dict[str, int] = {}
        for node in self.graph.nodes:
            match node.attrs:
                case FullAttrs(size=size) | LocateAttrs(size=size):
                    extent, sid = size, node.outputs[0]
                case ScanAttrs(tensor=name, level=level):
                    extent, sid = self._extent(name, level), node.outputs[0]
                case LevelWriteAttrs(tensor=name, level=level):
                    extent, sid = self._extent(name, level), node.inputs[0]
                case _:
                    continue
            if sid is not None and extent:
                index = self.graph.streams[sid].indices[-1]
                extents[index] = max(extents.get(index, 0), extent)
        return extents

    def _extent(self, name: str, level: int) -> int:
        value = self.tensors[name]
        assert value.format is not None
        return value.counts[value.format.mode_order[level]]

    def _bounded(self, sid: int, lengths: Sequence[int]) -> Lengths:
        indices = self.graph.streams[sid].indices
        pairs = zip_longest(lengths, indices[: len(lengths)])
        return tuple(min(n, self.extents.get(index, n)) for n, index in pairs)

    def _made(self, node: Node, port: int, inputs: list[Lengths]) -> Sequence[int]:
        match node.attrs:
            case ScanAttrs():
                return *inputs[0], self._longest_fiber(node.attrs)
            case FullAttrs(size=size):
                return *inputs[0], size
            case JoinAttrs(keep=keep, payloads=payloads):
                return _joined(keep, payloads, inputs)
            case ReplayAttrs(depth=depth):
                return *inputs[1], *inputs[0][-depth:]
            case SpaccAttrs(order=order, full=full):
                return _accumulated(order, full, min(port, order - 1), inputs)
            case ForkAttrs(lanes=lanes):
                return *inputs[0][:-1], -(-inputs[0][-1] // lanes)
            case GatherAttrs(lanes=lanes, depth=depth):
                return _summed(inputs[:lanes], len(inputs[0]) - 1 - depth)
            case ConcatAttrs(mode=mode, depth=depth):
                parts = inputs if mode == "mix" else inputs[::2]
                return _summed(parts, len(inputs[0]) - 1 - depth)
            case _:
                return self._passed(node, port, inputs)

    def _passed(self, node: Node, port: int, inputs: list[Lengths]) -> Sequence[int]:
        if node.op is Op.ROOT:
            return ()
        if node.op is Op.REDUCE:
            return inputs[0][:-1]
        if node.op in (Op.REPEAT, Op.HOLD, Op.MASK) or (node.op is Op.DROP and port):
            return inputs[1]
        return inputs[0]

    def _longest_fiber(self, attrs: ScanAttrs) -> int:
        tensor = self.tensors[attrs.tensor].tensor
        if tensor is None:
            return self._extent(attrs.tensor, attrs.level)
        level = tensor.levels[attrs.level]
        if level.segments is not None:
            return int(np.max(np.diff(level.segments), initial=0))
        return level.size if level.coordinates is None else 1


def _joined(keep: str, payloads: tuple[int, ...], inputs: list[Lengths]) -> Sequence[int]:
    places = [sum(payloads[:j]) + j for j in range(len(payloads))]
    crds = [inputs[place] for place in places]
    lists = [lengths[-1] for lengths in crds]
    merged = {"intersect": min(lists), "left": lists[0]}.get(keep, sum(lists))
    return *crds[0][:-1], merged


def _accumulated(
    order: int, full: tuple[int, ...], port: int, inputs: list[Lengths]
) -> Sequence[int]:
    """Keys of an accumulated list: at most those of all lists together, level by level."""
    *outer, count = inputs[0]
    keys = inputs[order][-order:][: port + 1]
    return *outer, *(size or count * n for size, n in zip(full, keys, strict=False))


def _summed(inputs: list[Lengths], place: int) -> Sequence[int]:
    """Lists at one level are appended to each other; all others are as long as the longest."""
    columns = list(zip(*inputs, strict=True))
    return [sum(c) if level == place else max(c) for level, c in enumerate(columns)]
