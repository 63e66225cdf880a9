"""The page about schemas says what is so."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from fuseflow.fusion import fuse
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.testing import make_graph
from fuseflow.v1 import common_pb2, dataflow_pb2
from fuseflow.wire import (
    WIRE_RULES,
    Artifact,
    parse_hardware,
    read_artifact,
    write_artifact,
)


@pytest.fixture(scope="module")
def page() -> str:
    root = Path(__file__).resolve().parents[2]
    return (root / "docs/schemas.md").read_text()


@pytest.fixture
def program_file(tmp_path: Path) -> Path:
    path = tmp_path / "program.pb"
    graph = make_graph(["Z[i] = relu(A[i])"], tensors={"A": [1.0, -1.0]})
    write_artifact(Artifact(fuse(graph)), path)
    return path


def test_the_rules_are_those_of_the_code(page: str) -> None:
    rows = dict(re.findall(r"^\| (W\d{3}) \| (.*) \|$", page, re.MULTILINE))
    assert rows == WIRE_RULES


def test_every_file_of_the_schema_is_listed(page: str, repository: Path) -> None:
    listed = re.findall(r"^\| `(\w+\.proto)` \|", page, re.MULTILINE)
    assert set(listed) == {path.name for path in (repository / "proto/fuseflow/v1").iterdir()}


def test_the_reading_example_runs(
    page: str,
    program_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(program_file.parent)
    exec(compile(example, "docs/schemas.md", "exec"), {})
    assert "'alu'" in capsys.readouterr().out


def test_the_hardware_example_is_a_configuration(page: str) -> None:
    (example,) = re.findall(r"```\n(timing.*?)```", page, re.DOTALL)
    config = parse_hardware(example, "docs/schemas.md")
    assert (config.timing.capacity, config.timing.costs[0].latency) == (64, 8)


def test_an_artifact_can_be_written_as_the_page_says(program_file: Path) -> None:
    import hashlib

    message = dataflow_pb2.DataflowProgram.FromString(program_file.read_bytes())
    message.ClearField("header")
    content = message.SerializeToString()
    header = common_pb2.Header(
        kind="ARTIFACT_KIND_DATAFLOW_PROGRAM",
        schema_version={"major": 1},
        producer="another tool",
        content_hash=hashlib.sha256(content).digest(),
    ).SerializeToString()
    assert len(header) < 128, "one byte of varint is enough"
    data = struct.pack("BB", 0x0A, len(header)) + header + content
    artifact = read_artifact(data, DataflowProgram)
    assert artifact.remarks == ()
    assert artifact.provenance.stage.producer == "another tool"
