# SPDX-License-Identifier: MIT
"""In-memory data <-> protobuf bytes: the only package that knows protobuf.

The usual crossing is one call: `read_einsum_graph`, `read_dataflow_program`, `read_report`, and
`write_artifact`. Stages of a pipe use `read_artifact`, which also returns where an artifact comes
from and what other tools put into it, and hand that on.
"""

from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.report import SimulationReport
from fuseflow.wire.arrays import DataFolder
from fuseflow.wire.artifact import (
    Artifact,
    Root,
    Source,
    read_any_artifact,
    read_artifact,
    view_artifact,
    view_source,
    write_artifact,
)
from fuseflow.wire.files import replace_file
from fuseflow.wire.framing import delimit, iterate_delimited
from fuseflow.wire.hardware import format_hardware, parse_hardware, read_hardware
from fuseflow.wire.header import Provenance, StageRecord
from fuseflow.wire.rules import WIRE_RULES
from fuseflow.wire.schedule import read_schedule, schedule_to_textproto

__all__ = [
    "WIRE_RULES",
    "Artifact",
    "DataFolder",
    "Provenance",
    "Root",
    "Source",
    "StageRecord",
    "delimit",
    "format_hardware",
    "iterate_delimited",
    "parse_hardware",
    "read_any_artifact",
    "read_artifact",
    "read_dataflow_program",
    "read_einsum_graph",
    "read_hardware",
    "read_report",
    "read_schedule",
    "replace_file",
    "schedule_to_textproto",
    "view_artifact",
    "view_source",
    "write_artifact",
]


def read_einsum_graph(source: Source, name: str | None = None) -> EinsumGraph:
    """Read an einsum graph; see `read_artifact`."""
    return read_artifact(source, EinsumGraph, name).root


def read_dataflow_program(source: Source, name: str | None = None) -> DataflowProgram:
    """Read a dataflow program; see `read_artifact`."""
    return read_artifact(source, DataflowProgram, name).root


def read_report(source: Source, name: str | None = None) -> SimulationReport:
    """Read a simulation report; see `read_artifact`."""
    return read_artifact(source, SimulationReport, name).root
