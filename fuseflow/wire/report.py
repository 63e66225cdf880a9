# SPDX-License-Identifier: MIT
"""Simulation reports <-> their messages."""

from __future__ import annotations

from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import (
    CheckResult,
    Deadlock,
    KernelStats,
    SimulationReport,
    SimulatorStats,
    Totals,
)
from fuseflow.v1 import report_pb2 as pb
from fuseflow.wire.arrays import ArrayReader, ArrayWriter
from fuseflow.wire.record import decode_record, encode_record
from fuseflow.wire.rules import within
from fuseflow.wire.tensor import decode_value, encode_value

__all__ = ["decode_report", "encode_report"]


def encode_report(
    report: SimulationReport, message: pb.SimulationReport, arrays: ArrayWriter
) -> None:
    """Write a report, all but the header, into an empty message."""
    message.name = report.name
    message.notes.extend(report.notes)
    message.hardware.SetInParent()
    encode_record(report.hardware, message.hardware)
    for kernel in report.kernels:
        encode_record(kernel, message.kernels.add())
    message.totals.SetInParent()
    encode_record(report.totals, message.totals)
    message.check.SetInParent()
    encode_record(report.check, message.check)
    for value in report.outputs:
        encode_value(value, message.outputs.add(), arrays)
    message.complete = report.complete
    message.stopped = report.stopped
    if report.deadlock is not None:
        message.deadlock.SetInParent()
        encode_record(report.deadlock, message.deadlock)
    if report.simulator is not None:
        message.simulator.SetInParent()
        encode_record(report.simulator, message.simulator)


def decode_report(message: pb.SimulationReport, arrays: ArrayReader) -> SimulationReport:
    """Build a report.

    Raises:
        WireError: W006 to W008.
    """
    stopped, profiled = message.HasField("deadlock"), message.HasField("simulator")
    with within(graph=message.name):
        return SimulationReport(
            name=message.name,
            hardware=decode_record(message.hardware, HardwareConfig),
            kernels=[decode_record(kernel, KernelStats) for kernel in message.kernels],
            totals=decode_record(message.totals, Totals),
            check=decode_record(message.check, CheckResult),
            outputs=[decode_value(value, arrays) for value in message.outputs],
            complete=message.complete,
            deadlock=decode_record(message.deadlock, Deadlock) if stopped else None,
            simulator=decode_record(message.simulator, SimulatorStats) if profiled else None,
            notes=list(message.notes),
            stopped=message.stopped,
        )
