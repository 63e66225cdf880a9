# SPDX-License-Identifier: MIT
"""Einsum graphs <-> their messages."""

from __future__ import annotations

from collections.abc import Iterable

from fuseflow.errors import Location, WireError
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, SourceLoc, Value
from fuseflow.v1 import common_pb2, tensor_pb2
from fuseflow.v1 import einsum_pb2 as pb
from fuseflow.wire.arrays import ArrayReader, ArrayWriter
from fuseflow.wire.enums import decode_enum, get_enum, set_enum
from fuseflow.wire.rules import within
from fuseflow.wire.tensor import decode_output, decode_value, encode_output, encode_value

__all__ = [
    "decode_einsum",
    "decode_einsum_graph",
    "decode_values",
    "encode_einsum",
    "encode_einsum_graph",
]


def encode_einsum_graph(graph: EinsumGraph, message: pb.EinsumGraph, arrays: ArrayWriter) -> None:
    """Write a graph, all but the header, into an empty message."""
    message.name = graph.name
    message.notes.extend(graph.notes)
    for output in graph.outputs:
        encode_output(output, message.outputs.add(), arrays)
    for value in graph.values.values():
        encode_value(value, message.values.add(), arrays)
    for op in graph.einsums:
        encode_einsum(op, message.einsums.add())


def decode_einsum_graph(message: pb.EinsumGraph, arrays: ArrayReader) -> EinsumGraph:
    """Build a graph; it is not verified.

    Raises:
        WireError: W006 to W008 and W010, with the names of the graph and the element.
    """
    with within(graph=message.name):
        return EinsumGraph(
            name=message.name,
            values=decode_values(message.values, arrays),
            einsums=[decode_einsum(op) for op in message.einsums],
            outputs=[decode_output(output, arrays) for output in message.outputs],
            notes=list(message.notes),
        )


def decode_values(messages: Iterable[tensor_pb2.Value], arrays: ArrayReader) -> dict[str, Value]:
    """Build values by name.

    Raises:
        WireError: W006 to W008, or W010 if two have the same name.
    """
    values: dict[str, Value] = {}
    for message in messages:
        value = decode_value(message, arrays)
        if value.name in values:
            place = Location(node=value.name)
            raise WireError("W010", "two values have this name", where=place)
        values[value.name] = value
    return values


def encode_einsum(op: Einsum, message: pb.Einsum) -> None:
    """Write an einsum into an empty message."""
    message.name = op.name
    _encode_access(op.output, message.output)
    set_enum(message, "fn", op.fn)
    for operand in op.operands:
        _encode_access(operand, message.operands.add())
    set_enum(message, "reduce", op.reduce or "")
    message.over.extend(op.over)
    message.parameters.extend(op.parameters)
    message.composite = op.composite
    for source in op.sources:
        _encode_source(source, message.sources.add())


def decode_einsum(message: pb.Einsum) -> Einsum:
    """Build an einsum.

    Raises:
        WireError: W006, with the name of the einsum.
    """
    with within(node=message.name):
        reduce = decode_enum(pb.Reduction.DESCRIPTOR, message.reduce, "reduce")
        return Einsum(
            name=message.name,
            output=_decode_access(message.output),
            fn=get_enum(message, "fn"),
            operands=tuple(_decode_access(operand) for operand in message.operands),
            reduce=reduce or None,
            over=tuple(message.over),
            parameters=tuple(message.parameters),
            composite=message.composite,
            sources=tuple(_decode_source(source) for source in message.sources),
        )


def _encode_access(access: Access, message: pb.Access) -> None:
    message.value = access.value
    message.indices.extend(access.indices)


def _decode_access(message: pb.Access) -> Access:
    return Access(message.value, tuple(message.indices))


def _encode_source(source: SourceLoc, message: common_pb2.SourceLoc) -> None:
    message.op = source.op
    message.node = source.node
    message.file = source.file
    message.line = source.line
    for path, class_name in source.scopes:
        message.scopes.add(path=path, class_name=class_name)


def _decode_source(message: common_pb2.SourceLoc) -> SourceLoc:
    return SourceLoc(
        op=message.op,
        node=message.node,
        file=message.file,
        line=message.line,
        scopes=tuple((scope.path, scope.class_name) for scope in message.scopes),
    )
