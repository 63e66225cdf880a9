"""Golden ComalGraphs are read, simulated to the cycle, and written again to the byte."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.interop.comal.dialect import parse_graph, read_graph
from fuseflow.interop.comal.exporter import export_comal, export_kernels
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.message import encode
from fuseflow.interop.comal.schema import DIALECTS, LATEST, PUBLIC
from fuseflow.interop.comal.text import format_text
from fuseflow.interop.graphs.operands import FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.sim import simulate
from tests.interop import golden
from tests.sim.simulators import every_simulator

every_case = pytest.mark.parametrize("name", golden.COMAL_CASES)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return golden.folder_of(shared, "comal")


def build(folder: Path, name: str, file: str = "graph.bin") -> tuple[Any, DataflowProgram]:
    expected = golden.read_case(folder / name / "expected.json")
    operands = FolderOperands(TensorFolder(folder / name / "data"))
    return expected, import_comal(folder / name / file, operands)


@every_case
@every_simulator
def test_case_has_expected_values_and_cycles(folder: Path, name: str, simulator: str) -> None:
    expected, program = build(folder, name)
    report = simulate(program, engine=simulator)
    assert report.totals.cycles == expected["cycles"]["value"]
    (output,) = report.outputs
    assert output.name == expected["output"]["tensor"]
    assert output.tensor is not None
    np.testing.assert_array_equal(output.tensor.to_dense(), expected["output"]["dense"])
    stored = expected["output"]["stored"]
    np.testing.assert_array_equal(output.tensor.values, np.float32(stored["vals"]))
    for level, wanted in zip(output.tensor.levels, stored["levels"], strict=True):
        np.testing.assert_array_equal(level.segments, wanted["seg"])
        np.testing.assert_array_equal(level.coordinates, wanted["crd"])


@every_case
@every_simulator
def test_case_has_every_token_at_its_cycle(folder: Path, name: str, simulator: str) -> None:
    expected, program = build(folder, name)
    _, streams = golden.record(program, simulator)
    for stream in expected["streams"]:
        recorded = streams[stream["id"]]
        assert golden.plain_tokens(recorded) == golden.numbers(stream["tokens"]), stream["id"]
        assert recorded.stamps.tolist() == stream["stamps"], stream["id"]


@every_case
def test_operands_are_those_of_the_case(folder: Path, name: str) -> None:
    expected, program = build(folder, name)
    for tensor, wanted in expected["tensors"].items():
        value = program.tensors[tensor]
        assert value.tensor is not None
        np.testing.assert_array_equal(value.tensor.to_dense(), wanted["dense"])
        assert [str(level.format) for level in value.tensor.levels] == wanted["level_formats"]


@every_case
def test_graph_is_written_again_byte_by_byte(folder: Path, name: str) -> None:
    _, program = build(folder, name)
    (kernel,) = export_kernels(program, LATEST)
    assert encode(kernel.graph) == (folder / name / "graph.bin").read_bytes()
    assert format_text(kernel.graph) == (folder / name / "graph.txtpb").read_text()
    assert kernel.remarks == ()


@every_case
def test_text_is_the_same_graph(folder: Path, name: str) -> None:
    graph = read_graph(folder / name / "graph.bin")
    assert graph.schema.dialect == LATEST
    assert read_graph(folder / name / "graph.txtpb") == graph
    assert parse_graph(format_text(graph).encode()) == graph


@every_case
@pytest.mark.parametrize("dialect", DIALECTS)
def test_case_travels_in_both_dialects(
    folder: Path, tmp_path: Path, name: str, dialect: str
) -> None:
    expected, program = build(folder, name)
    assert export_comal(program, tmp_path, dialect) == ()
    (exported,) = tmp_path.iterdir()
    assert read_graph(exported / "graph.bin").schema.dialect == dialect
    again = import_comal(exported, FolderOperands(TensorFolder(exported / "data")))
    report = simulate(again)
    assert report.totals.cycles == expected["cycles"]["value"]
    assert report.outputs[0].tensor is not None
    np.testing.assert_array_equal(report.outputs[0].tensor.to_dense(), expected["output"]["dense"])


def test_dialects_differ_where_they_must(folder: Path) -> None:
    _, program = build(folder, "spmv")
    texts = [format_text(export_kernels(program, dialect)[0].graph) for dialect in DIALECTS]
    assert "in_ref {" in texts[DIALECTS.index(LATEST)]
    assert "input_rep_ref {" in texts[DIALECTS.index(PUBLIC)]
