"""Every artifact comes back as it went out, byte for byte the same each time."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.ir.dataflow import Node, Op
from fuseflow.ir.einsum import EinsumGraph, Role, Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.tensor import Level, LevelFormat, Tensor
from fuseflow.v1 import dataflow_pb2, tensor_pb2
from fuseflow.wire import (
    Artifact,
    Root,
    format_hardware,
    parse_hardware,
    read_any_artifact,
    view_artifact,
    write_artifact,
)
from fuseflow.wire.arrays import ArrayReader, ArrayWriter
from fuseflow.wire.dataflow import decode_node, encode_node
from fuseflow.wire.tensor import decode_value, encode_value
from tests.wire.graphs import einsum_graphs, nodes, programs, records, reports, same

ROOTS = st.one_of(einsum_graphs(), programs(), reports())


def to_bytes(root: Root) -> bytes:
    out = io.BytesIO()
    write_artifact(Artifact(root), out)
    return out.getvalue()


@given(ROOTS)
def test_an_artifact_comes_back_equal(root: Root) -> None:
    assert same(read_any_artifact(to_bytes(root)).root, root)


@given(ROOTS)
def test_equal_data_gives_equal_bytes(root: Root) -> None:
    again = read_any_artifact(to_bytes(root)).root
    assert to_bytes(again) == to_bytes(root)


@given(ROOTS)
def test_a_text_view_can_be_read_back(root: Root) -> None:
    text = view_artifact(Artifact(root), "text")
    assert same(read_any_artifact(text.encode()).root, root)


@pytest.mark.parametrize("op", Op)
def test_every_op_comes_back_equal(op: Op) -> None:
    @given(nodes(op))
    def check(node: Node) -> None:
        message = dataflow_pb2.DataflowNode()
        encode_node(node, message)
        assert same(decode_node(message), node)

    check()


@given(records(HardwareConfig))
def test_a_hardware_file_comes_back_equal(config: HardwareConfig) -> None:
    assert parse_hardware(format_hardware(config), "machine") == config


def test_an_empty_hardware_file_is_the_default_machine() -> None:
    assert parse_hardware("", "machine") == HardwareConfig()


def test_a_zero_in_a_hardware_file_is_no_default() -> None:
    config = parse_hardware("memory { hbm2 { t_turn: 0 } }", "machine")
    assert config.memory.hbm2.t_turn == 0


def test_non_finite_numbers_come_back() -> None:
    numbers = np.array([np.nan, -0.0, np.inf, -np.inf], dtype=np.float32)
    tensor = Tensor((4,), (Level(LevelFormat.DENSE, 4),), (0,), numbers, fill=np.nan)
    value = Value("x", (4,), Role.INPUT, fill=np.nan, tensor=tensor)
    message = tensor_pb2.Value()
    encode_value(value, message, ArrayWriter())
    back = decode_value(message, ArrayReader())
    assert np.isnan(back.fill)
    assert back.tensor is not None
    assert back.tensor.values is not None
    assert back.tensor.values.tobytes() == numbers.tobytes()


def test_tiles_and_singletons_come_back() -> None:
    levels = (
        Level(LevelFormat.COMPRESSED, 5, np.array([0, 2]), np.array([1, 4])),
        Level(LevelFormat.SINGLETON, 3, None, np.array([2, 0])),
    )
    tiles = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    tensor = Tensor((3, 5), levels, (1, 0), tiles, tile=(2, 2))
    graph = EinsumGraph("g", {"A": Value("A", (3, 5), Role.CONSTANT, tensor=tensor)})
    assert same(read_any_artifact(to_bytes(graph)).root, graph)


def test_numpy_integers_are_taken_for_numbers() -> None:
    """Counts often come out of array expressions."""
    value = Value("x", (np.int64(3),), Role.INTERMEDIATE, fill=np.float32(1.5))  # type: ignore[arg-type]
    message = tensor_pb2.Value()
    encode_value(value, message, ArrayWriter())
    assert (list(message.shape), message.fill) == ([3], 1.5)


def test_arrays_that_were_read_can_be_written_to() -> None:
    graph = EinsumGraph("g", {"A": Value("A", (2,), Role.INPUT, tensor=_vector())})
    back = read_any_artifact(to_bytes(graph)).root.values["A"].tensor
    assert back.values.flags.writeable
    assert back.values.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_integers_of_other_tools_are_widened(dtype: Callable[[int], np.generic]) -> None:
    message = tensor_pb2.Array()
    ArrayWriter().encode(np.array([0, 7], dtype=dtype), message)
    back = ArrayReader().integers(message, "segments")
    assert (back.dtype, back.tolist()) == (np.int64, [0, 7])


def _vector() -> Tensor:
    values = np.array([1, 2], dtype=np.float32)
    return Tensor((2,), (Level(LevelFormat.DENSE, 2),), (0,), values)
