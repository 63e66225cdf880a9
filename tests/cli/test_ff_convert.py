"""ff-convert: programs and tensors travel between files of our commands and of other tools."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.cli import ff_convert
from fuseflow.cli.ff_convert import main
from fuseflow.interop.comal import schema
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.interop.tensors.files import TENSOR_SUFFIXES
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.sim import simulate
from fuseflow.wire import Artifact, read_dataflow_program, write_artifact
from tests.ir.programs import A, B, product_program

Call = Callable[..., Any]


@pytest.fixture
def program_file(tmp_path: Path) -> Path:
    """The product of two matrices; its streams have capacities, which ComalGraph has not."""
    program = product_program()
    streams = program.kernels[0].streams
    for sid, stream in streams.items():
        streams[sid] = replace(stream, capacity=100)
    path = tmp_path / "program.pb"
    write_artifact(Artifact(program), path)
    return path


def result(data: bytes) -> np.ndarray:
    tensor = simulate(read_dataflow_program(data), engine="twin").outputs[0].tensor
    assert tensor is not None
    return tensor.to_dense()


def test_formats_are_those_of_the_library() -> None:
    assert ff_convert.DIALECTS == schema.DIALECTS
    plain = {suffix for suffix in TENSOR_SUFFIXES if not suffix.endswith(".gz")}
    assert {f".{name}" for name in ff_convert.TENSOR_FILES} == plain


@pytest.mark.parametrize("given", ["comal", "comal@a696657"])
def test_program_travels_through_a_folder(
    call: Call, tmp_path: Path, program_file: Path, given: str
) -> None:
    out = tmp_path / "out"
    written = call(main, program_file, "--to", "comal@a696657", "-o", out)
    assert (written.code, written.out) == (0, b"")
    assert "note: k0: the depths of channels are not in the format" in written.err
    read = call(main, "--from", given, out)
    assert read.code == 0, read.err
    np.testing.assert_array_equal(result(read.out), A @ B)


def test_graph_in_text_with_tensors_from_elsewhere(
    call: Call, tmp_path: Path, program_file: Path
) -> None:
    call(main, program_file, "--to", "comal@a696657", "-o", tmp_path / "out")
    (kernel,) = (tmp_path / "out").iterdir()
    data = (kernel / "data").rename(tmp_path / "tensors")
    graph = kernel / "graph.txtpb"
    missing = call(main, "--from", "comal", graph)
    assert missing.code == 1
    assert "X008: " in missing.err
    assert "has no data" in missing.err
    np.save(tmp_path / "B.npy", 2 * B)
    read = call(main, "--from", "comal", graph, "--data", data)
    bound = call(main, "--from", "comal", graph, "--data", data, "--bind", f"B={tmp_path}/B.npy")
    np.testing.assert_array_equal(result(read.out), A @ B)
    np.testing.assert_array_equal(result(bound.out), A @ (2 * B))


SAM = """digraph SAM { comment="x=s0,b=s0"
3 [type=fiberlookup index=i tensor=b mode=0 format=compressed root=true]
1 [type=fiberwrite index=i tensor=x mode=0 format=compressed]
2 [type=arrayvals tensor=b]
0 [type=fiberwrite tensor=x mode=vals]
3 -> 1 [type=crd]  3 -> 2 [type=ref]  2 -> 0 [type=val] }"""


def test_sam_graph_takes_a_bound_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "copy.gv").write_text(SAM)
    (tmp_path / "b.tns").write_text("2 5\n4 1.5\n")
    read = call(main, "--from", "sam-dot", tmp_path / "copy.gv", "--bind", f"b={tmp_path}/b.tns")
    np.testing.assert_array_equal(result(read.out), [0, 5, 0, 1.5])


def test_tensors_travel_between_files_and_folders(
    call: Call, tmp_path: Path, program_file: Path
) -> None:
    folder, matrix = tmp_path / "tensors", tmp_path / "A.mtx"
    assert call(main, program_file, "--to", "tensor-dir", "-o", folder).code == 0
    assert TensorFolder(folder).names() == ("A", "B")
    words = ["--from", "tensor-dir", folder, "--tensor", "A", "--to", "mtx", "-o", matrix]
    assert call(main, *words).code == 0
    again = tmp_path / "again"
    assert call(main, "--from", "mtx", matrix, "--to", "tensor-dir", "-o", again).code == 0
    np.testing.assert_array_equal(TensorFolder(again).read("A").to_dense(), A)


def test_strict_conversion_refuses_changes(call: Call, tmp_path: Path, program_file: Path) -> None:
    out = tmp_path / "out"
    refused = call(main, program_file, "--to", "comal@a696657", "-o", out, "--strict")
    assert refused.code == 1
    assert "X010" in refused.err
    assert not out.exists()


def test_artifact_stays_what_it_is(call: Call, program_file: Path) -> None:
    copied = call(main, program_file)
    root = read_dataflow_program(copied.out)
    assert isinstance(root, DataflowProgram)
    assert [node.op for node in root.kernels[0].nodes] == [
        node.op for node in product_program().kernels[0].nodes
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{program}", "--to", "comal@a696657"], "U020 no-target: --to comal@a696657 needs -o DIR"),
        (["{program}", "--to", "mtx"], "U020 no-target: --to mtx needs -o FILE"),
        (["{program}", "--to", "comal"], "U002"),
        (["{program}", "--to", "mtx", "-o", "{folder}/x.mtx"], "U023 which-tensor: one of A, B"),
        (["{program}", "--to", "mtx", "-o", "{folder}/x.tns", "--tensor", "A"], "U024"),
        (["{program}", "--to", "mtx", "-o", "{folder}/x.mtx", "--tensor", "Q"], "U023"),
        (["--from", "comal", "{folder}/nothing.bin"], "U003 no-file"),
        (["--from", "comal"], "U003 no-file"),
        (["--from", "sam-dot", "{program}", "--bind", "b"], "is not of the form NAME=FILE"),
        (["--from", "mtx", "{folder}/a.mtx", "--to", "comal@a696657", "-o", "{folder}/o"], "U203"),
        (["{graph}", "--to", "comal@a696657", "-o", "{folder}/o"], "U021 no-graph"),
    ],
)
def test_wrong_command_says_what_is_wrong(
    call: Call, tmp_path: Path, program_file: Path, graph_file: Path, words: list[str], message: str
) -> None:
    names = {"program": program_file, "graph": graph_file, "folder": tmp_path}
    refused = call(main, *[word.format(**names) for word in words])
    assert refused.code == 2
    assert message in refused.err
    assert refused.out == b""
