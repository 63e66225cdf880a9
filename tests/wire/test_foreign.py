"""What other tools and newer versions put into an artifact travels from stage to stage."""

from __future__ import annotations

import io

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram, Node, Op, Stream, StreamKind
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.testing import make_graph
from fuseflow.v1 import dataflow_pb2, einsum_pb2, report_pb2
from fuseflow.wire import Artifact, Root, StageRecord, read_artifact, write_artifact

# Field 900 as a varint, as a newer version might write it.
NEW_FIELD = b"\xa0\x38\x2a"


def to_bytes(artifact: Artifact[Root]) -> bytes:
    out = io.BytesIO()
    write_artifact(artifact, out)
    return out.getvalue()


def add_field(message: Message) -> None:
    message.MergeFromString(NEW_FIELD)


def numbers(message: Message) -> list[int]:
    return [field.field_number for field in UnknownFieldSet(message)]


def imported() -> einsum_pb2.EinsumGraph:
    """An artifact of a newer version, in which another tool left its marks."""
    graph = make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": [[1.0, 0.0]], "B": [[2.0], [3.0]]},
    )
    message = einsum_pb2.EinsumGraph.FromString(to_bytes(Artifact(graph)))
    message.header.ClearField("content_hash")
    for owner in (message, message.values[1], message.einsums[0], message.outputs[0]):
        add_field(owner)
        owner.annotations.add(key="tool/mark", value=owner.name.encode())
    add_field(message.header)
    add_field(message.values[0].tensor.levels[1])
    add_field(message.einsums[1].operands[0])
    return message


def next_stage(data: bytes, kind: type[Root], root: Root | None = None) -> bytes:
    """Read an artifact and write the same or another root, as a command does."""
    artifact = read_artifact(data, kind)
    provenance = artifact.provenance.then(StageRecord("next"))
    return to_bytes(Artifact(root or artifact.root, provenance))


def test_unknown_fields_survive_a_stage_that_rewrites_a_graph() -> None:
    data = next_stage(imported().SerializeToString(), EinsumGraph)
    message = einsum_pb2.EinsumGraph.FromString(data)
    owners = [message, message.header, message.values[1], message.einsums[0], message.outputs[0]]
    owners += [message.values[0].tensor.levels[1], message.einsums[1].operands[0]]
    assert [numbers(owner) for owner in owners] == [[900]] * len(owners)
    untouched = [message.values[0], message.einsums[1], message.values[0].tensor.levels[0]]
    assert [numbers(owner) for owner in untouched] == [[]] * len(untouched)


def test_annotations_survive_a_stage_that_rewrites_a_graph() -> None:
    data = next_stage(imported().SerializeToString(), EinsumGraph)
    message = einsum_pb2.EinsumGraph.FromString(data)
    for owner in (message, message.values[1], message.einsums[0], message.outputs[0]):
        assert [(mark.key, mark.value) for mark in owner.annotations] == [
            ("tool/mark", owner.name.encode())
        ]


def test_elements_are_found_again_by_name() -> None:
    graph = read_artifact(imported().SerializeToString(), EinsumGraph).root
    graph.values = dict(reversed(graph.values.items()))
    data = next_stage(imported().SerializeToString(), EinsumGraph, graph)
    message = einsum_pb2.EinsumGraph.FromString(data)
    marked = [value.name for value in message.values if value.annotations]
    assert marked == ["B"]


def test_what_belonged_to_a_removed_element_is_dropped() -> None:
    graph = read_artifact(imported().SerializeToString(), EinsumGraph).root
    del graph.values["B"]
    data = next_stage(imported().SerializeToString(), EinsumGraph, graph)
    message = einsum_pb2.EinsumGraph.FromString(data)
    assert [value.name for value in message.values] == list(graph.values)
    assert not any(value.annotations for value in message.values)


def test_everything_travels_through_the_whole_pipe() -> None:
    """Marks on what a later root does not have stay in it as unknown fields, readable again."""
    graph = read_artifact(imported().SerializeToString(), EinsumGraph).root
    program = DataflowProgram("p", dict(graph.values), [], list(graph.outputs))
    fused = next_stage(imported().SerializeToString(), EinsumGraph, program)
    message = dataflow_pb2.DataflowProgram.FromString(fused)
    assert set(numbers(message)) == {10, 900}
    assert [mark.key for mark in message.values[1].annotations] == ["tool/mark"]

    report = SimulationReport("p", HardwareConfig())
    simulated = next_stage(fused, DataflowProgram, report)
    last = report_pb2.SimulationReport.FromString(simulated)
    assert [mark.value for mark in last.annotations] == [b"test"]
    as_graph = einsum_pb2.EinsumGraph.FromString(simulated)
    assert as_graph.einsums[0].annotations[0].value == as_graph.einsums[0].name.encode()
    assert [mark.value for mark in as_graph.outputs[0].annotations] == [b"Z"]


def test_a_second_stage_adds_nothing_twice() -> None:
    once = next_stage(imported().SerializeToString(), EinsumGraph)
    twice = next_stage(once, EinsumGraph)
    message = einsum_pb2.EinsumGraph.FromString(twice)
    assert len(message.annotations) == 1
    assert numbers(message) == [900]


def test_nodes_and_streams_are_found_again_by_id() -> None:
    nodes = [Node(i, Op.REPEAT, "same name", (1, None), (2,)) for i in (4, 5)]
    streams = {i: Stream(i, StreamKind.CRD, ("i",)) for i in (1, 2)}
    program = DataflowProgram("p", kernels=[DataflowGraph("k", nodes, streams)])
    message = dataflow_pb2.DataflowProgram.FromString(to_bytes(Artifact(program)))
    message.header.ClearField("content_hash")
    kernel = message.kernels[0]
    kernel.nodes[1].annotations.add(key="tool/x", value=b"node 5")
    kernel.streams[1].annotations.add(key="tool/x", value=b"stream 2")
    add_field(kernel.nodes[1].repeat)
    program.kernels[0].nodes.reverse()
    data = next_stage(message.SerializeToString(), DataflowProgram, program)
    kernel = dataflow_pb2.DataflowProgram.FromString(data).kernels[0]
    assert [len(node.annotations) for node in kernel.nodes] == [1, 0]
    assert numbers(kernel.nodes[0].repeat) == [900]
    assert [len(stream.annotations) for stream in kernel.streams] == [0, 1]


def test_without_foreign_data_nothing_is_carried() -> None:
    graph = make_graph(["Z[i] = relu(A[i])"], tensors={"A": [1.0]})
    assert read_artifact(to_bytes(Artifact(graph)), EinsumGraph).provenance.foreign == b""


@pytest.mark.parametrize("change", [add_field, lambda m: m.annotations.add(key="tool/x")])
def test_foreign_data_is_covered_by_the_hash(change: object) -> None:
    assert callable(change)
    message = imported()
    change(message)
    data = next_stage(message.SerializeToString(), EinsumGraph)
    assert read_artifact(data, EinsumGraph).remarks == ()
