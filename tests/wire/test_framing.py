"""What is no complete artifact of the right kind is refused, with a line that says why."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import FuseflowError, WireError
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.testing import make_graph
from fuseflow.v1 import common_pb2, dataflow_pb2, einsum_pb2
from fuseflow.wire import (
    Artifact,
    Provenance,
    Root,
    StageRecord,
    parse_hardware,
    read_any_artifact,
    read_artifact,
    read_einsum_graph,
    write_artifact,
)


def graph() -> EinsumGraph:
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (np.eye(3), "dense,compressed"), "B": np.ones((3, 2))},
        references=True,
    )


def to_bytes(root: Root, provenance: Provenance | None = None) -> bytes:
    out = io.BytesIO()
    write_artifact(Artifact(root, provenance or Provenance()), out)
    return out.getvalue()


def message_of(data: bytes) -> einsum_pb2.EinsumGraph:
    return einsum_pb2.EinsumGraph.FromString(data)


def refusal(data: bytes, kind: type[Root] = EinsumGraph) -> FuseflowError:
    with pytest.raises(WireError) as caught:
        read_artifact(data, kind, "in.pb")
    assert caught.value.findings[0].where.file == "in.pb"
    return caught.value


def test_empty_input_is_refused() -> None:
    error = refusal(b"")
    assert error.rule == "W001"
    assert "did the previous stage fail?" in str(error)


def test_every_truncation_is_refused() -> None:
    data = to_bytes(graph())
    for size in range(1, len(data)):
        assert refusal(data[:size]).rule in {"W002", "W005"}


def test_two_artifacts_in_a_row_are_refused() -> None:
    data = to_bytes(graph())
    assert refusal(data + data).rule == "W005"


def test_every_changed_byte_of_the_content_is_noticed() -> None:
    data = to_bytes(graph())
    start = 2 + data[1]
    for position in range(start, len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x10
        assert refusal(bytes(changed)).rule == "W005"


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_and_never_crash(data: bytes) -> None:
    refusal(data)


@pytest.mark.parametrize(
    ("root", "kind", "advice"),
    [
        (graph(), DataflowProgram, "expected a DataflowProgram, got an EinsumGraph: run ff-fuse"),
        (graph(), SimulationReport, "expected a SimulationReport, got an EinsumGraph: run ff-sim"),
        (DataflowProgram("p"), EinsumGraph, "expected an EinsumGraph, got a DataflowProgram"),
    ],
)
def test_the_wrong_stage_order_is_named(root: Root, kind: type[Root], advice: str) -> None:
    error = refusal(to_bytes(root), kind)
    assert error.rule == "W003"
    assert advice in str(error)


def test_the_same_bytes_parse_as_the_root_without_framing() -> None:
    assert message_of(to_bytes(graph())).einsums[1].name == graph().einsums[1].name


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.ones(2))
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("model.json", "{}")
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones(2))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (npz(), "zip"),
        (zipped(), "ff-import"),
        (npy(), "--bind"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b'{"header": {}}\n', "text"),
        (b"einsum graph\n", "'einsum graph'"),
        (b"\xff" * 40, "no header"),
        (b"\x0a\x00", "no header"),
    ],
)
def test_foreign_bytes_get_a_hint(data: bytes, what: str) -> None:
    error = refusal(data)
    assert error.rule == "W002"
    assert what in str(error)


def test_an_onnx_model_gets_a_hint() -> None:
    onnx = pytest.importorskip("onnx")
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])]
    outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])]
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", inputs, outputs))
    error = refusal(model.SerializeToString())
    assert error.rule == "W002"
    assert "ONNX" in str(error)


def test_a_newer_major_version_is_refused_naming_both() -> None:
    message = message_of(to_bytes(graph()))
    message.header.schema_version.major = 2
    error = refusal(message.SerializeToString())
    assert error.rule == "W004"
    assert "2.0" in str(error)
    assert "1.0" in str(error)


def test_a_newer_minor_version_is_read_with_a_remark() -> None:
    message = message_of(to_bytes(graph()))
    message.header.schema_version.minor = 7
    artifact = read_artifact(message.SerializeToString(), EinsumGraph)
    assert len(artifact.remarks) == 1
    assert "1.7" in artifact.remarks[0]


def test_a_complete_artifact_is_read_without_remarks() -> None:
    assert read_artifact(to_bytes(graph()), EinsumGraph).remarks == ()


def test_an_artifact_without_a_hash_is_read_with_a_remark() -> None:
    message = message_of(to_bytes(graph()))
    message.header.ClearField("content_hash")
    (remark,) = read_artifact(message.SerializeToString(), EinsumGraph).remarks
    assert "no content hash" in remark


def test_the_stages_of_an_artifact_are_recorded() -> None:
    stages = [StageRecord(f"tool {number}", f"tool --level {number}") for number in range(3)]
    provenance = Provenance(stages[0])
    for stage in stages[1:]:
        data = to_bytes(graph(), provenance)
        provenance = read_any_artifact(data).provenance.then(stage)
    read = read_any_artifact(to_bytes(graph(), provenance)).provenance
    assert [stage.producer for stage in (*read.history, read.stage)] == [
        "tool 0",
        "tool 1",
        "tool 2",
    ]
    assert all(len(stage.content_hash) == 32 for stage in (*read.history, read.stage))
    assert read.history[1].command_line == "tool --level 1"


Damage = Callable[[einsum_pb2.EinsumGraph], object]


@pytest.mark.parametrize(
    ("damage", "rule", "place"),
    [
        (lambda m: m.values[0].ClearField("role"), "W006", ("A", "role")),
        (lambda m: setattr(m.values[0], "dtype", 99), "W006", ("A", "dtype")),
        (lambda m: m.values[0].format.mode_order.append(0), "W006", ("A", "mode_order")),
        (lambda m: m.values[0].tensor.levels[1].ClearField("format"), "W006", ("A", "format")),
        (lambda m: m.values[0].tensor.values.ClearField("packed"), "W006", ("A", "values")),
        (lambda m: m.values[0].tensor.values.shape.append(2), "W007", ("A", "values")),
        (lambda m: m.einsums[0].ClearField("fn"), "W006", (None, "fn")),
        (lambda m: m.values.append(m.values[0]), "W010", ("A", None)),
        (lambda m: setattr(m.outputs[0].reference, "element_type", 5), "W006", ("Z", "reference")),
    ],
)
def test_a_broken_field_is_named(damage: Damage, rule: str, place: tuple[str, str]) -> None:
    message = message_of(to_bytes(graph()))
    message.header.ClearField("content_hash")
    damage(message)
    error = refusal(message.SerializeToString())
    where = error.findings[0].where
    node, field = place
    assert (error.rule, where.graph, where.field) == (rule, "test", field)
    assert node is None or where.node == node


def test_a_node_of_an_unknown_op_is_named() -> None:
    message = dataflow_pb2.DataflowProgram(name="p")
    message.header.kind = common_pb2.ARTIFACT_KIND_DATAFLOW_PROGRAM
    message.kernels.add(name="k").nodes.add(id=7, name="mystery")
    error = refusal(message.SerializeToString(), DataflowProgram)
    where = error.findings[0].where
    assert (error.rule, where.graph, where.node) == ("W006", "k", "7 mystery")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("memory { hbm2 { chanels: 8 } }", "did you mean 'channels'?"),
        ("\n\nmemory {\n  modle: 3\n}", "line 4"),
        ("memory { model: MEMORY_MODEL_TAPE }", "MEMORY_MODEL_TAPE"),
        ("memory {", "line 1"),
    ],
)
def test_a_wrong_hardware_file_names_line_and_nearest_field(text: str, what: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_hardware(text, "machine.txtpb")
    assert caught.value.rule == "W011"
    assert what in str(caught.value)
    assert "machine.txtpb" in str(caught.value)


def test_a_text_view_without_its_title_is_refused() -> None:
    assert refusal(b"# proto-file: x\nname: 'g'\n").rule == "W011"


def test_hardware_is_read_by_its_words() -> None:
    text = "timing { costs { kind: 'alu' ii: 0 } } memory { model: MEMORY_MODEL_COMAL_HBM }"
    config = parse_hardware(text, "machine")
    assert config.memory.model == "comal-hbm"
    assert config.timing.costs[0].ii == 0
    assert config.memory.hbm2 == HardwareConfig().memory.hbm2


def test_an_einsum_of_the_graph_is_read_as_written() -> None:
    assert isinstance(read_einsum_graph(to_bytes(graph())).einsums[0], Einsum)


@given(st.data())
def test_mutated_content_without_a_hash_is_read_or_refused_and_never_crashes(
    data: st.DataObject,
) -> None:
    """A tool that edits an artifact clears its hash, so the content must be judged by itself."""
    message = message_of(to_bytes(graph()))
    message.header.ClearField("content_hash")
    edited = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        edited[data.draw(st.integers(0, len(edited) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        read_any_artifact(bytes(edited))
