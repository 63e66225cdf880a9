"""Views for people: JSON with plain numbers, text with its schema in the first lines."""

import io
import json
import math

from google.protobuf import json_format
from hypothesis import given

from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import CheckResult, KernelStats, NodeStats, SimulationReport, Totals
from fuseflow.v1 import report_pb2
from fuseflow.wire import Artifact, view_artifact, view_source, write_artifact
from tests.wire.graphs import reports

BIG = 2**60 + 1


def report(**changes: object) -> SimulationReport:
    node = NodeStats(0, "n", "alu", 5, 3, 2, 4, 4, 2, 8, 0, ("e",))
    kernel = KernelStats("k", 5, 4, 2, 8, 0, (node,))
    check = CheckResult(performed=True, passed=False, max_abs_error=math.inf)
    data = SimulationReport("m", HardwareConfig(), [kernel], Totals(BIG, kernels=1), check)
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def test_json_has_numbers_and_spells_out_what_is_zero_or_false() -> None:
    plain = json.loads(view_artifact(Artifact(report()), "json"))
    assert plain["totals"] == {
        "cycles": BIG,
        "tokens": 0,
        "flops": 0,
        "dram_read_bytes": 0,
        "dram_write_bytes": 0,
        "kernels": 1,
        "functions": [],
        "tensors": [],
    }
    assert plain["check"]["performed"] is True
    assert plain["check"]["passed"] is False
    assert plain["check"]["max_abs_error"] == "Infinity"
    assert plain["kernels"][0]["nodes"][0]["dram_read_bytes"] == 8


def test_json_has_the_order_of_the_schema() -> None:
    plain = json.loads(view_artifact(Artifact(report()), "json"))
    order = [field.name for field in report_pb2.CheckResult.DESCRIPTOR.fields]
    assert list(plain["check"]) == order


def test_json_shows_host_figures_only_if_there_are_some() -> None:
    assert "simulator" not in json.loads(view_artifact(Artifact(report()), "json"))


@given(reports())
def test_json_is_read_by_protobuf_as_the_same_message(data: SimulationReport) -> None:
    out = io.BytesIO()
    write_artifact(Artifact(data), out)
    message = report_pb2.SimulationReport.FromString(out.getvalue())
    view, remarks = view_source(out.getvalue(), "json")
    assert json_format.Parse(view, report_pb2.SimulationReport()) == message
    assert remarks == ()


def test_text_names_its_schema_first() -> None:
    lines = view_artifact(Artifact(report()), "text").splitlines()
    assert lines[:2] == [
        "# proto-file: fuseflow/v1/report.proto",
        "# proto-message: fuseflow.v1.SimulationReport",
    ]
