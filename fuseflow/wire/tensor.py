# SPDX-License-Identifier: MIT
"""Formats, tensors, values and outputs <-> their messages.

`encode_x` writes into an empty message, `decode_x` builds the data anew. Decoding checks what the
dataclasses need; whether arrays, levels and shapes fit together is for the verifiers to say.
"""

from __future__ import annotations

from typing import Any

from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.tensor import Format, Level, LevelFormat, Tensor
from fuseflow.v1 import tensor_pb2 as pb
from fuseflow.wire.arrays import ArrayReader, ArrayWriter
from fuseflow.wire.enums import decode_enum, encode_enum, get_enum, set_enum
from fuseflow.wire.rules import malformed, within

__all__ = [
    "decode_format",
    "decode_output",
    "decode_tensor",
    "decode_value",
    "encode_format",
    "encode_output",
    "encode_tensor",
    "encode_value",
]

_LEVEL_FORMAT = pb.LevelFormat.DESCRIPTOR


def encode_value(value: Value, message: pb.Value, arrays: ArrayWriter) -> None:
    """Write a value, with its data if it has some."""
    message.name = value.name
    message.shape.extend(value.shape)
    set_enum(message, "role", value.role)
    set_enum(message, "dtype", value.dtype)
    message.fill = value.fill
    message.origin = value.origin
    message.tile.extend(value.tile)
    if value.format is not None:
        message.format.SetInParent()
        encode_format(value.format, message.format)
    if value.tensor is not None:
        message.tensor.SetInParent()
        encode_tensor(value.tensor, message.tensor, arrays)


def decode_value(message: pb.Value, arrays: ArrayReader) -> Value:
    """Build a value.

    Raises:
        WireError: W006 to W008, with the name of the value.
    """
    with within(node=message.name):
        return Value(
            name=message.name,
            shape=tuple(message.shape),
            role=Role(get_enum(message, "role")),
            dtype=get_enum(message, "dtype"),
            format=decode_format(message.format) if message.HasField("format") else None,
            fill=message.fill,
            tensor=decode_tensor(message.tensor, arrays) if message.HasField("tensor") else None,
            origin=message.origin,
            tile=tuple(message.tile),
        )


def encode_format(fmt: Format, message: pb.Format) -> None:
    """Write a format."""
    levels: Any = message.levels  # the stubs want enum objects, the runtime has numbers
    levels.extend(encode_enum(_LEVEL_FORMAT, level, "levels") for level in fmt.levels)
    message.mode_order.extend(fmt.mode_order)
    message.tile.extend(fmt.tile)


def decode_format(message: pb.Format) -> Format:
    """Build a format.

    Raises:
        WireError: W006 if a level is unknown or the mode order is no permutation.
    """
    names = [decode_enum(_LEVEL_FORMAT, number, "levels") for number in message.levels]
    if "" in names:
        raise malformed("a value is required", "levels")
    levels = tuple(LevelFormat(name) for name in names)
    try:
        return Format(levels, tuple(message.mode_order), tuple(message.tile))
    except ValueError as error:
        raise malformed(str(error), "mode_order") from error


def encode_tensor(tensor: Tensor, message: pb.Tensor, arrays: ArrayWriter) -> None:
    """Write a tensor."""
    message.shape.extend(tensor.shape)
    message.mode_order.extend(tensor.mode_order)
    message.fill = tensor.fill
    message.tile.extend(tensor.tile)
    for level in tensor.levels:
        _encode_level(level, message.levels.add(), arrays)
    if tensor.values is not None:
        arrays.encode(tensor.values, message.values)


def decode_tensor(message: pb.Tensor, arrays: ArrayReader) -> Tensor:
    """Build a tensor.

    Raises:
        WireError: W006 to W008.
    """
    stored = message.HasField("values")
    return Tensor(
        shape=tuple(message.shape),
        levels=tuple(_decode_level(level, arrays) for level in message.levels),
        mode_order=tuple(message.mode_order),
        values=arrays.floats(message.values, "values") if stored else None,
        fill=message.fill,
        tile=tuple(message.tile),
    )


def encode_output(output: Output, message: pb.ModelOutput, arrays: ArrayWriter) -> None:
    """Write an output, with its reference if it has one."""
    message.name = output.name
    message.value = output.value
    message.permutation.extend(output.permutation)
    message.shape.extend(output.shape)
    if output.reference is not None:
        arrays.encode(output.reference, message.reference)


def decode_output(message: pb.ModelOutput, arrays: ArrayReader) -> Output:
    """Build an output.

    Raises:
        WireError: W006 to W008, with the name of the output.
    """
    stored = message.HasField("reference")
    with within(node=message.name):
        return Output(
            name=message.name,
            value=message.value,
            permutation=tuple(message.permutation),
            shape=tuple(message.shape),
            reference=arrays.floats(message.reference, "reference") if stored else None,
        )


def _encode_level(level: Level, message: pb.Level, arrays: ArrayWriter) -> None:
    set_enum(message, "format", level.format)
    message.size = level.size
    if level.segments is not None:
        arrays.encode(level.segments, message.segments)
    if level.coordinates is not None:
        arrays.encode(level.coordinates, message.coordinates)


def _decode_level(message: pb.Level, arrays: ArrayReader) -> Level:
    has_segments, has_coordinates = message.HasField("segments"), message.HasField("coordinates")
    return Level(
        format=LevelFormat(get_enum(message, "format")),
        size=message.size,
        segments=arrays.integers(message.segments, "segments") if has_segments else None,
        coordinates=arrays.integers(message.coordinates, "coordinates")
        if has_coordinates
        else None,
    )
