# SPDX-License-Identifier: MIT
"""Parallelization: one index of a kernel is dealt to several lanes.

A pass from graph to graph. Wherever coordinates of the index are opened, a fork deals them, and
everything of the same nesting, to the lanes in turn; nodes nested in the index are copied per
lane; streams that lack the index are broadcast to all lanes. The lanes are gathered again in
front of whatever needs the whole list: a join, a reduction or an accumulator over the index, a
writer. Nothing is assumed to divide evenly: short lists leave the last lanes empty
(FuseFlow, ASPLOS'26, section 7.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fuseflow.fusion.lowering.emit import GraphBuilder, Shape, Wire
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, Node, Op, Stream

__all__ = ["parallelize"]

# These see the whole list of the index, or end it, whatever their streams look like.
WHOLE_LIST = frozenset({Op.LEVEL_WRITE, Op.VAL_WRITE, Op.CONCAT, Op.REPLAY})
# These change which elements of their innermost list exist, so all must see the same list.
SELECTING = frozenset({Op.JOIN, Op.MASK, Op.VALDROP, Op.FORK, Op.REDUCE, Op.HOLD, Op.DROP})


def parallelize(graph: DataflowGraph, index: str, factor: int) -> DataflowGraph:
    """Deal an index of a kernel to `factor` lanes.

    Args:
        graph: a kernel; nodes in topological order. It may already have lanes of other indices.
        index: an index class of its streams; if it has none of that name it is returned as it is.
        factor: number of lanes; 1 changes nothing.

    Raises:
        ValueError: if `factor` is less than 1.
    """
    if factor < 1:
        raise ValueError(f"{factor} lanes")
    present = any(index in stream.indices for stream in graph.streams.values())
    return graph if factor == 1 or not present else _Splitter(graph, index, factor).run()


@dataclass(frozen=True, slots=True)
class _Bundle:
    """One stream of the old graph in the new one: a wire, or one wire per lane, or both."""

    whole: Wire | None = None
    lanes: tuple[Wire, ...] = ()


class _Splitter:
    """Rebuilds a graph node by node, once or once per lane."""

    def __init__(self, graph: DataflowGraph, index: str, factor: int) -> None:
        self.graph = graph
        self.index = index
        self.factor = factor
        self.builder = GraphBuilder()
        self.bundles: dict[int, _Bundle] = {}
        used = {d for stream in graph.streams.values() for d in stream.domains}
        self.next_domain = max(used, default=0) + 1
        self.lane_domains: dict[int, tuple[int, ...]] = {}

    def run(self) -> DataflowGraph:
        for node in self.graph.nodes:
            if node.op is Op.BROADCAST:
                self._pass_on(node)
            elif self._is_dealt(node):
                self._copy_per_lane(node)
            else:
                self._copy_whole(node)
        return self.builder.finish(self.graph.name, self.graph.einsums, self.graph.order)

    def _pass_on(self, node: Node) -> None:
        """Dissolve a broadcast; the builder makes new ones where they are needed."""
        (source,) = node.inputs
        assert source is not None
        for sid in node.outputs:
            if sid is not None:
                self.bundles[sid] = self.bundles[source]

    def _is_dealt(self, node: Node) -> bool:
        """Return True if a node can work on the elements of the index lane by lane."""
        streams = [self.graph.streams[sid] for sid in node.inputs if sid is not None]
        nested = [stream for stream in streams if self.index in stream.indices]
        if not nested or node.op in WHOLE_LIST:
            return False
        if not all(self._can_be_dealt(stream) for stream in nested):
            return False
        deepest = max(streams, key=lambda stream: stream.depth).indices
        if isinstance(node.attrs, df.SpaccAttrs):
            reduced = len(deepest) - 1 - node.attrs.order
            return self.index in deepest[:reduced]
        if isinstance(node.attrs, df.GatherAttrs):
            return deepest[-1 - node.attrs.depth] != self.index
        return not (node.op in SELECTING and deepest[-1] == self.index)

    def _can_be_dealt(self, stream: Stream) -> bool:
        """Lists of the index itself can be forked; lists below it must be in lanes already."""
        return bool(self.bundles[stream.id].lanes) or stream.indices[-1] == self.index

    def _copy_per_lane(self, node: Node) -> None:
        results = [self._add(node, self._lane_inputs(node, lane), lane) for lane in self._lanes()]
        for port, sid in enumerate(node.outputs):
            if sid is not None:
                self.bundles[sid] = _Bundle(lanes=tuple(wires[port] for wires in results))

    def _copy_whole(self, node: Node) -> None:
        inputs = [None if sid is None else self._whole(sid) for sid in node.inputs]
        wires = self._add(node, inputs, None)
        for port, sid in enumerate(node.outputs):
            if sid is not None:
                self.bundles[sid] = _Bundle(whole=wires[port])

    def _lanes(self) -> range:
        return range(self.factor)

    def _lane_inputs(self, node: Node, lane: int) -> list[Wire | None]:
        inputs: list[Wire | None] = []
        for sid in node.inputs:
            if sid is None:
                inputs.append(None)
            elif self.index in self.graph.streams[sid].indices:
                inputs.append(self._dealt(sid)[lane])
            else:
                inputs.append(self._whole(sid))
        return inputs

    def _add(self, node: Node, inputs: Sequence[Wire | None], lane: int | None) -> tuple[Wire, ...]:
        suffix = "" if lane is None else f" #{lane}"
        shapes = [self._shape(node, port, lane) for port in range(len(node.outputs))]
        return self.builder.add(
            node.op,
            node.attrs,
            inputs,
            shapes,
            name=f"{node.name}{suffix}",
            sources=node.sources,
        )

    def _shape(self, node: Node, port: int, lane: int | None) -> Shape:
        """Return the shape of an output; a void one takes that of any other, as nobody reads it."""
        known = [sid for sid in (node.outputs[port], *node.outputs) if sid is not None]
        stream = self.graph.streams[known[0]] if known else None
        if stream is None:
            raise ValueError(f"node {node.id} has only void outputs")
        shape = Shape(stream.kind, stream.indices, stream.domains)
        return shape if lane is None else self._in_lane(shape, lane)

    def _in_lane(self, shape: Shape, lane: int) -> Shape:
        """Return a shape with the domain of the index replaced by that of a lane."""
        if self.index not in shape.indices or not shape.domains:
            return shape
        at = shape.indices.index(self.index)
        domains = list(shape.domains)
        domains[at] = self._lane_domain(domains[at])[lane]
        return Shape(shape.kind, shape.indices, tuple(domains))

    def _lane_domain(self, domain: int) -> tuple[int, ...]:
        if domain not in self.lane_domains:
            first = self.next_domain
            self.next_domain += self.factor
            self.lane_domains[domain] = tuple(range(first, first + self.factor))
        return self.lane_domains[domain]

    def _dealt(self, sid: int) -> tuple[Wire, ...]:
        """Return the lanes of a stream, forking it on first request."""
        bundle = self.bundles[sid]
        if bundle.lanes:
            return bundle.lanes
        whole = self._whole(sid)
        shapes = [self._in_lane(whole.shape, lane) for lane in self._lanes()]
        *lanes, _ = self.builder.add(
            Op.FORK,
            df.ForkAttrs(self.factor),
            (whole,),
            (*shapes, whole.shape.of_kind(df.StreamKind.CRD)),
            name=f"fork {self.index}",
        )
        self.bundles[sid] = _Bundle(whole, tuple(lanes))
        return tuple(lanes)

    def _whole(self, sid: int) -> Wire:
        """Return a stream undivided, gathering its lanes on first request."""
        bundle = self.bundles[sid]
        if bundle.whole is not None:
            return bundle.whole
        stream = self.graph.streams[sid]
        depth = len(stream.indices) - 1 - stream.indices.index(self.index)
        shape = Shape(stream.kind, stream.indices, stream.domains)
        (whole,) = self.builder.add(
            Op.GATHER,
            df.GatherAttrs(self.factor, depth),
            (*bundle.lanes, None),
            (shape,),
            name=f"gather {self.index}",
        )
        self.bundles[sid] = _Bundle(whole, bundle.lanes)
        return whole
