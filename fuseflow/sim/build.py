# SPDX-License-Identifier: MIT
"""Flatten a kernel, its tensors and the hardware to the Machine that a simulator runs.

Everything that can be resolved before the first token is resolved here: data, costs, capacities,
tile shapes, hidden units, order. Nothing is computed per token.
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping

from fuseflow.errors import GraphError, Location
from fuseflow.ir.dataflow import (
    AluAttrs,
    ArrayAttrs,
    DataflowGraph,
    LevelWriteAttrs,
    Node,
    Op,
    ScanAttrs,
    Stream,
    StreamKind,
    ValWriteAttrs,
)
from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.op_specs import ports_of
from fuseflow.sim.bind import Binder
from fuseflow.sim.depths import channel_depths
from fuseflow.sim.machine import Channel, ChannelKind, Machine, Unit, UnitKind
from fuseflow.sim.memory import AddressMap, allocate
from fuseflow.sim.profiles import check_hardware, cost_of, signal_cost

__all__ = ["build_machine"]

KINDS = {
    StreamKind.CRD: ChannelKind.CRD,
    StreamKind.REF: ChannelKind.REF,
    StreamKind.VAL: ChannelKind.VAL,
}


def build_machine(
    graph: DataflowGraph,
    tensors: Mapping[str, Value],
    hardware: HardwareConfig,
    addresses: AddressMap | None = None,
) -> Machine:
    """Return the Machine of one kernel.

    Args:
        graph: a verified kernel.
        tensors: every tensor that it touches, those that it reads with their data.
        hardware: profile, capacities, overrides of costs, memory.
        addresses: where the tensors lie; by default as if the program had no other tensors.

    Raises:
        UsageError: the hardware names something unknown (`check_hardware`).
        GraphError: a tensor has no data, a stream lacks an end, or the kernel has a cycle.
    """
    builder = _Builder(graph, tensors, hardware, addresses or allocate(tensors, hardware.memory))
    for node in _in_order(graph):
        builder.add(node)
    return builder.machine()


def _in_order(graph: DataflowGraph) -> list[Node]:
    """Return the nodes in a topological order that depends on their own order only."""
    producers, consumers = graph.producers(), graph.consumers()
    for sid, stream in graph.streams.items():
        if (sid in producers) != (sid in consumers):
            end = "consumer" if sid in producers else "producer"
            raise GraphError(
                "S011 open-stream",
                f"stream {sid} {stream.name} has no {end}",
                where=Location(graph=graph.name),
            )
    place = {node.id: node for node in graph.nodes}
    before = {
        node.id: [producers[sid].id for sid in node.inputs if sid is not None]
        for node in graph.nodes
    }
    try:
        return [place[index] for index in graphlib.TopologicalSorter(before).static_order()]
    except graphlib.CycleError as error:
        where = Location(graph=graph.name, node=place[error.args[1][0]].name)
        raise GraphError("S012 cycle", "the kernel has a cycle", where=where) from error


class _Builder:
    """Adds units and channels in topological order of the nodes."""

    def __init__(
        self,
        graph: DataflowGraph,
        tensors: Mapping[str, Value],
        hardware: HardwareConfig,
        addresses: AddressMap,
    ) -> None:
        self.graph = graph
        self.tensors = tensors
        self.timing = hardware.timing
        self.memory = hardware.memory
        self.addresses = addresses
        self.profile = check_hardware(hardware)
        wide = hardware.accumulate == "f64"
        self.binder = Binder(graph.name, tensors, self.profile, wide=wide)
        self.units: list[Unit] = []
        self.channels: list[Channel] = []
        self.index: dict[int, int] = {}
        self.depths = channel_depths(graph, tensors) if self.timing.auto_capacity else {}

    def machine(self) -> Machine:
        return Machine(self.graph.name, tuple(self.units), tuple(self.channels), self.memory)

    def add(self, node: Node) -> None:
        """Add the unit of a node and the channels that it sends to."""
        inputs = [self.index[sid] if sid is not None else -1 for sid in node.inputs]
        outputs = self._open_outputs(node, inputs)
        if node.op is Op.REPEAT and self.profile.signals:
            inputs[1] = self._add_signal(node, inputs[1])
        tile = self._values_tile(node, inputs, outputs)
        self.units.append(
            Unit(
                kind=UnitKind[node.op.name],
                name=node.name,
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                params=self.binder.bind(node, tile),
                cost=cost_of(node, self.profile, self.timing.costs, tile),
                node=node.id,
                bases=self._bases(node),
                window=self.memory.hbm2.window_for(node.op, getattr(node.attrs, "tensor", "")),
            )
        )

    def _bases(self, node: Node) -> tuple[int, ...]:
        """Return the addresses of the arrays in memory that a node touches."""
        match node.attrs:
            case ScanAttrs(tensor=name, level=level) | LevelWriteAttrs(tensor=name, level=level):
                return self.addresses.level(name, level)
            case ArrayAttrs(tensor=name) | ValWriteAttrs(tensor=name):
                return (self.addresses.values(name),)
            case _:
                return ()

    def _open_outputs(self, node: Node, inputs: list[int]) -> list[int]:
        input_ports, output_ports = ports_of(node)
        numbers = {port.name: number for number, port in enumerate(input_ports)}
        outputs = []
        for port, sid in zip(output_ports, node.outputs, strict=True):
            if sid is None:
                outputs.append(-1)
                continue
            stream = self.graph.streams[sid]
            source = inputs[numbers[port.same_as]] if port.same_as else -1
            is_value = stream.kind is StreamKind.VAL
            tile = self.channels[source].tile if source >= 0 else self._made_tile(node, inputs)
            outputs.append(self._open(stream, tile if is_value else ()))
        return outputs

    def _made_tile(self, node: Node, inputs: list[int]) -> tuple[int, ...]:
        """Return the shape of the values that a node makes: those it reads, or its operands'."""
        if isinstance(node.attrs, ArrayAttrs):
            return self.binder.data(node, node.attrs.tensor).tile
        if isinstance(node.attrs, AluAttrs) and node.attrs.tile_op is not None:
            tile_op = node.attrs.tile_op
            return tile_op.shape
        tiles = (self.channels[c].tile for c in inputs if c >= 0)
        return next((tile for tile in tiles if tile), ())

    def _values_tile(self, node: Node, inputs: list[int], outputs: list[int]) -> tuple[int, ...]:
        """Return the shape of the values that pass through a node."""
        tiles = (self.channels[c].tile for c in (*outputs, *inputs) if c >= 0)
        return next((tile for tile in tiles if tile), ())

    def _open(self, stream: Stream, tile: tuple[int, ...]) -> int:
        capacity = stream.capacity or self.depths.get(stream.id)
        capacity = capacity or self.timing.capacity or self.profile.capacity
        self.channels.append(
            Channel(
                kind=KINDS[stream.kind],
                capacity=capacity,
                tile=tile,
                interval=self.profile.interval(tile),
                depth=stream.depth,
                name=stream.name or f"stream {stream.id}",
                stream=stream.id,
            )
        )
        self.index[stream.id] = len(self.channels) - 1
        return self.index[stream.id]

    def _add_signal(self, node: Node, source: int) -> int:
        """Put a signal generator before a repeat; its channel is as large as the one it reads."""
        read = self.channels[source]
        name = f"{node.name}.signal"
        self.channels.append(
            Channel(ChannelKind.SIG, read.capacity, (), 0, read.depth, name, stream=-1)
        )
        made = len(self.channels) - 1
        cost = signal_cost(self.timing.costs)
        self.units.append(Unit(UnitKind.REPSIG, name, (source,), (made,), cost=cost, node=node.id))
        return made
