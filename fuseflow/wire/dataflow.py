# SPDX-License-Identifier: MIT
"""Dataflow programs <-> their messages.

The arm of a node's `attributes` is named like its op, and the message in it has the fields of the
op's attribute record, so a new op needs no code here; only a join is spelled differently.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from fuseflow.errors import Location, WireError
from fuseflow.ir.dataflow import (
    DataflowGraph,
    DataflowProgram,
    JoinAttrs,
    Node,
    NodeAttrs,
    Op,
    Stream,
)
from fuseflow.ir.op_specs import OP_SPECS
from fuseflow.v1 import dataflow_pb2 as pb
from fuseflow.wire.arrays import ArrayReader, ArrayWriter
from fuseflow.wire.einsum import decode_values
from fuseflow.wire.enums import get_enum, set_enum, words
from fuseflow.wire.record import decode_record, encode_record
from fuseflow.wire.rules import malformed, within
from fuseflow.wire.tensor import decode_output, encode_output, encode_value

__all__ = [
    "decode_dataflow_graph",
    "decode_dataflow_program",
    "decode_node",
    "encode_dataflow_graph",
    "encode_dataflow_program",
    "encode_node",
]

# On the wire 0 stands for a port without a stream.
_UNCONNECTED = 0


def encode_dataflow_program(
    program: DataflowProgram, message: pb.DataflowProgram, arrays: ArrayWriter
) -> None:
    """Write a program, all but the header, into an empty message."""
    message.name = program.name
    message.notes.extend(program.notes)
    for output in program.outputs:
        encode_output(output, message.outputs.add(), arrays)
    for value in program.tensors.values():
        encode_value(value, message.values.add(), arrays)
    for kernel in program.kernels:
        encode_dataflow_graph(kernel, message.kernels.add())
    message.schedule = program.schedule


def decode_dataflow_program(message: pb.DataflowProgram, arrays: ArrayReader) -> DataflowProgram:
    """Build a program; it is not verified.

    Raises:
        WireError: W006 to W008 and W010, with the names of the kernel and the element.
    """
    with within(graph=message.name):
        return DataflowProgram(
            name=message.name,
            tensors=decode_values(message.values, arrays),
            kernels=[decode_dataflow_graph(kernel) for kernel in message.kernels],
            outputs=[decode_output(output, arrays) for output in message.outputs],
            schedule=message.schedule,
            notes=list(message.notes),
        )


def encode_dataflow_graph(graph: DataflowGraph, message: pb.DataflowGraph) -> None:
    """Write a kernel into an empty message."""
    message.name = graph.name
    for node in graph.nodes:
        encode_node(node, message.nodes.add())
    for _, stream in sorted(graph.streams.items()):
        encode_record(stream, message.streams.add())
    message.einsums.extend(graph.einsums)
    message.order.extend(graph.order)


def decode_dataflow_graph(message: pb.DataflowGraph) -> DataflowGraph:
    """Build a kernel.

    Raises:
        WireError: W006 and W010, with the names of the kernel and the node.
    """
    with within(graph=message.name):
        return DataflowGraph(
            name=message.name,
            nodes=[decode_node(node) for node in message.nodes],
            streams=_decode_streams(message.streams),
            einsums=tuple(message.einsums),
            order=tuple(message.order),
        )


def encode_node(node: Node, message: pb.DataflowNode) -> None:
    """Write a node into an empty message."""
    message.id = node.id
    message.name = node.name
    message.inputs.extend(stream or _UNCONNECTED for stream in node.inputs)
    message.outputs.extend(stream or _UNCONNECTED for stream in node.outputs)
    message.sources.extend(node.sources)
    arm: Message = getattr(message, node.op.value)
    arm.SetInParent()
    if isinstance(arm, pb.JoinAttributes):
        assert isinstance(node.attrs, JoinAttrs)
        _encode_join(node.attrs, arm)
    else:
        encode_record(node.attrs, arm)


def decode_node(message: pb.DataflowNode) -> Node:
    """Build a node.

    Raises:
        WireError: W006, with id and name of the node.
    """
    with within(node=f"{message.id} {message.name}".strip()):
        arm = message.WhichOneof("attributes")
        if arm is None:
            raise malformed("absent, or of an op that this version does not know", "attributes")
        op = Op(arm)
        return Node(
            id=message.id,
            op=op,
            name=message.name,
            inputs=tuple(stream or None for stream in message.inputs),
            outputs=tuple(stream or None for stream in message.outputs),
            attrs=_decode_attributes(op, getattr(message, arm)),
            sources=tuple(message.sources),
        )


def _decode_attributes(op: Op, message: Message) -> NodeAttrs:
    if isinstance(message, pb.JoinAttributes):
        return _decode_join(message)
    attributes: NodeAttrs = decode_record(message, OP_SPECS[op].attrs)
    return attributes


def _encode_join(attributes: JoinAttrs, message: pb.JoinAttributes) -> None:
    if attributes.keep in words(pb.JoinRule.DESCRIPTOR):
        set_enum(message, "rule", attributes.keep)
    else:
        message.truth_table = attributes.keep
    message.payloads.extend(attributes.payloads)


def _decode_join(message: pb.JoinAttributes) -> JoinAttrs:
    is_table = message.WhichOneof("keep") == "truth_table"
    keep = message.truth_table if is_table else get_enum(message, "rule")
    return JoinAttrs(keep, tuple(message.payloads))


def _decode_streams(messages: Iterable[pb.DataflowStream]) -> dict[int, Stream]:
    streams: dict[int, Stream] = {}
    for message in messages:
        with within(node=f"stream {message.id}"):
            stream = decode_record(message, Stream)
        if stream.id == _UNCONNECTED:
            raise malformed("0 stands for an unconnected port and is no stream", "id")
        if stream.id in streams:
            place = Location(node=f"stream {stream.id}")
            raise WireError("W010", "two streams have this id", where=place)
        streams[stream.id] = stream
    return streams
