"""Every enum and record of the data has its counterpart in the schema, and the reverse."""

import dataclasses

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from fuseflow.ir import dataflow, hardware, report
from fuseflow.ir.dataflow import JoinAttrs, Op, StreamKind
from fuseflow.ir.einsum import Role
from fuseflow.ir.op_specs import OP_SPECS
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.tensor import LevelFormat
from fuseflow.v1 import dataflow_pb2, einsum_pb2, hardware_pb2, report_pb2, tensor_pb2
from fuseflow.wire.enums import words

ARMS = dataflow_pb2.DataflowNode.DESCRIPTOR.oneofs_by_name["attributes"].fields
MESSAGES = {arm.name: arm.message_type for arm in ARMS}
RECORDS = [
    (dataflow.Stream, dataflow_pb2.DataflowStream.DESCRIPTOR),
    (hardware.NodeCost, hardware_pb2.NodeCost.DESCRIPTOR),
    (hardware.TimingConfig, hardware_pb2.TimingConfig.DESCRIPTOR),
    (hardware.ComalHbmConfig, hardware_pb2.ComalHbmConfig.DESCRIPTOR),
    (hardware.Hbm2Config, hardware_pb2.Hbm2Config.DESCRIPTOR),
    (hardware.MemoryConfig, hardware_pb2.MemoryConfig.DESCRIPTOR),
    (hardware.HardwareConfig, hardware_pb2.HardwareConfig.DESCRIPTOR),
    (report.TokenCounts, report_pb2.TokenCounts.DESCRIPTOR),
    (report.StreamStats, report_pb2.StreamStatistics.DESCRIPTOR),
    (report.NodeStats, report_pb2.NodeStatistics.DESCRIPTOR),
    (report.KernelStats, report_pb2.KernelStatistics.DESCRIPTOR),
    (report.Totals, report_pb2.Totals.DESCRIPTOR),
    (report.CheckResult, report_pb2.CheckResult.DESCRIPTOR),
    (report.Deadlock, report_pb2.Deadlock.DESCRIPTOR),
    (report.SimulatorStats, report_pb2.SimulatorStatistics.DESCRIPTOR),
    (report.SimulationReport, report_pb2.SimulationReport.DESCRIPTOR),
]


def names(record: type) -> set[str]:
    return {field.name for field in dataclasses.fields(record)}


def fields(message: Descriptor) -> set[str]:
    return set(message.fields_by_name)


def test_every_op_has_an_arm_and_every_arm_an_op() -> None:
    ops = {op.value for op in Op}
    assert ops - MESSAGES.keys() == set(), "ops without an arm in DataflowNode.attributes"
    assert MESSAGES.keys() - ops == set(), "arms of DataflowNode.attributes without an op"


@pytest.mark.parametrize("op", Op)
def test_attributes_of_an_op_are_those_of_its_message(op: Op) -> None:
    record, message = OP_SPECS[op].attrs, MESSAGES[op.value]
    spelled = {"keep": ("rule", "truth_table")} if record is JoinAttrs else {}
    expected = {part for name in names(record) for part in spelled.get(name, (name,))}
    assert fields(message) == expected


@pytest.mark.parametrize(("record", "message"), RECORDS)
def test_a_record_and_its_message_have_the_same_fields(record: type, message: Descriptor) -> None:
    assert fields(message) - {"annotations", "header"} == names(record)


@pytest.mark.parametrize(
    ("known", "enum"),
    [
        (SCALAR_FUNCTIONS, einsum_pb2.ScalarFunction.DESCRIPTOR),
        (REDUCTIONS, einsum_pb2.Reduction.DESCRIPTOR),
        (LevelFormat, tensor_pb2.LevelFormat.DESCRIPTOR),
        (Role, tensor_pb2.Role.DESCRIPTOR),
        (StreamKind, dataflow_pb2.StreamKind.DESCRIPTOR),
    ],
    ids=lambda item: getattr(item, "name", None),
)
def test_an_enum_of_the_data_has_the_values_of_the_schema(
    known: object, enum: EnumDescriptor
) -> None:
    assert set(words(enum)) == {str(word) for word in known}  # type: ignore[attr-defined]
