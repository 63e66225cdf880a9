"""`ff-import` takes a model in every form, and the whole pipe runs on what it makes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fuseflow.cli import ff_fuse, ff_import, ff_sim
from fuseflow.models import zoo
from fuseflow.wire import read_any_artifact, read_einsum_graph
from tests.cli.conftest import Result

Call = Callable[..., Result]

FACTORY = """
import torch
from torch import nn

def pair(width: int = 4, loud: bool = False):
    if loud:
        print("this must not reach standard output")
    return nn.Sequential(nn.Linear(width, 3), nn.ReLU()), (torch.ones(2, width),)

def broken():
    raise RuntimeError("no data today")

class Halting(nn.Module):
    def forward(self, x):
        return torch.cumsum(torch.relu(x), 0) + 1

def halting():
    return Halting(), (torch.arange(6.0).reshape(2, 3) - 2,)
"""


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with factories; what importing it changes in the interpreter is put back."""
    path = tmp_path / "cli_factories.py"
    path.write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop(path.stem, None)


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "two_layers",
        [helper.make_tensor_value_info("x", kind, [2, 3])],
        [helper.make_tensor_value_info("y", kind, [2, 2])],
        [onnx.numpy_helper.from_array(np.eye(3, 2, dtype=np.float32), "w")],
    )
    opset = helper.make_opsetid("", 20)
    path = tmp_path / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()
    )
    return path


def piped(call: Call, graph: bytes, strategy: str) -> dict[str, object]:
    fused = call(ff_fuse.main, "--strategy", strategy, "-q", stdin=graph)
    assert (fused.code, fused.err) == (0, "")
    simulated = call(ff_sim.main, "--check", "--json", stdin=fused.out)
    assert (simulated.code, simulated.err) == (0, "")
    plain: dict[str, object] = json.loads(simulated.out)
    return plain


@pytest.mark.parametrize("strategy", ff_fuse.STRATEGIES)
def test_a_model_of_the_zoo_runs_through_the_pipe(call: Call, strategy: str) -> None:
    words = ["zoo:sae", "-q", "--set", "input=12", "--set", "hidden=6", "--set", "batch=2"]
    result = call(ff_import.main, *words)
    assert (result.code, result.err) == (0, "")
    plain = piped(call, result.out, strategy)
    assert plain["check"]["passed"] is True  # type: ignore[index]
    header = plain["header"]
    made_by = [stage["command_line"] for stage in header["history"]]  # type: ignore[index]
    assert made_by[0] == "ff-import zoo:sae --set input=12 --set hidden=6 --set batch=2"
    assert made_by[1:] in (["ff-fuse"], [f"ff-fuse --strategy {strategy}"])
    assert header["command_line"] == "ff-sim --check"  # type: ignore[index]


def test_the_same_command_gives_the_same_bytes(call: Call) -> None:
    first, second = (call(ff_import.main, "zoo:sae").out for _ in range(2))
    assert first == second


@pytest.mark.parametrize("source", ["cli_factories:pair", "cli_factories.py:pair"])
def test_a_factory_is_found_by_module_and_by_file(call: Call, factory: Path, source: str) -> None:
    result = call(ff_import.main, source, "-q", "--set", "width=5")
    assert (result.code, result.err) == (0, "")
    graph = read_einsum_graph(result.out)
    assert graph.outputs[0].shape == (2, 3)
    assert piped(call, result.out, "full")["check"]["passed"] is True  # type: ignore[index]


def test_what_a_factory_prints_does_not_mix_with_the_artifact(
    call: Call, factory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")  # what a child prints is not captured here
    result = call(ff_import.main, f"{factory}:pair", "--set", "loud=true")
    assert result.code == 0
    assert "this must not reach standard output" in result.err
    assert read_einsum_graph(result.out).einsums


def test_an_onnx_file_is_imported_with_a_bound_input(
    call: Call, onnx_file: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    result = call(ff_import.main, onnx_file, "-q", "--bind", f"x={tmp_path / 'x.npy'}")
    assert (result.code, result.err) == (0, "")
    assert piped(call, result.out, "full")["check"]["passed"] is True  # type: ignore[index]


def test_a_saved_export_is_imported(call: Call, tmp_path: Path) -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval()
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(module, (torch.ones(2, 3),)), path)
    result = call(ff_import.main, path)
    assert result.code == 0
    assert piped(call, result.out, "unfused")["check"]["passed"] is True  # type: ignore[index]


def test_a_format_can_be_chosen(call: Call) -> None:
    name = "encoder.linear.weight"
    plain = read_einsum_graph(call(ff_import.main, "zoo:sae").out).values[name]
    words = ["zoo:sae", "--format", "encoder.*.weight=dense,dense"]
    chosen = read_einsum_graph(call(ff_import.main, *words).out).values[name]
    assert plain.format is not None
    assert chosen.format is not None
    assert (plain.format.is_dense, chosen.format.is_dense) == (False, True)
    assert chosen.origin == "user"


def test_a_threshold_decides_what_is_stored_sparse(call: Call) -> None:
    graph = read_einsum_graph(call(ff_import.main, "zoo:sae", "--sparsity-threshold", "0").out)
    formats = [value.tensor.format for value in graph.values.values() if value.tensor]
    assert all(fmt.is_dense for fmt in formats)


def test_references_can_be_left_out(call: Call) -> None:
    graph = read_einsum_graph(call(ff_import.main, "zoo:sae", "--no-reference").out)
    assert [output.reference for output in graph.outputs] == [None]


def test_the_zoo_is_listed_with_its_settings(call: Call) -> None:
    text = call(ff_import.main, "--list").out.decode()
    for name in zoo.names():
        assert f"zoo:{name}" in text
        assert all(each.name in text for each in zoo.parameters(name))


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ([], 2, "U010 no-model: no MODEL is named"),
        (["nothing"], 2, "U010 no-model: nothing: this names no model"),
        (["zoo:"], 2, "U010 no-model: zoo:: this names no model"),
        (["zoo:gnc"], 2, "U101 unknown-model"),
        (["zoo:sae", "--set", "hiden=3"], 2, "U102 unknown-setting"),
        (["zoo:sae", "--set", "hidden=many"], 2, "U103 bad-setting"),
        (["zoo:sae", "--set", "hidden"], 2, 'U002 bad-option: --set "hidden" is not'),
        (["zoo:sae", "--set", "seed=1", "--set", "seed=2"], 2, "U002 bad-option: --set gives"),
        (["zoo:sae", "--format", "x=wobbly"], 1, "I0"),
        (["zoo:sae", "--format", "nowhere=dense"], 2, "U120 unknown-tensor"),
        (["zoo:sae", "--bind", "y=x.npy"], 2, "U204 unknown-input"),
        (["zoo:sae", "--bind", "x=x.npy"], 2, "U003 no-file: x.npy"),
        (["zoo:sae", "--sparsity-threshold", "2"], 2, "U002 bad-option"),
        (["missing.onnx"], 2, "U003 no-file: missing.onnx"),
        (["missing.pt2"], 2, "U003 no-file: missing.pt2"),
        (["missing.onnx", "--set", "a=1"], 2, "U011 useless-option: missing.onnx: --set"),
        (["missing.py:pair"], 2, "U003 no-file: missing.py"),
        (["cli_factories:nope"], 2, "U108 no-factory"),
        (["cli_factories:broken"], 1, "I102 factory-failed"),
        (["no_such_module:f"], 2, "U108 no-factory"),
    ],
)
def test_a_wrong_command_gets_one_clear_line_and_no_file(
    call: Call, factory: Path, words: list[str], code: int, line: str
) -> None:
    before = sorted(factory.parent.iterdir())
    result = call(ff_import.main, *words, "-o", "out.pb")
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith(f"ff-import: error: {line}")
    assert len(result.err.splitlines()) <= 2
    assert sorted(p for p in factory.parent.iterdir() if p.name != "__pycache__") == before


@pytest.mark.parametrize("name", ["model.onnx", "model.pt2"])
def test_a_file_that_is_no_model_is_refused(call: Call, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"not a model")
    result = call(ff_import.main, path)
    assert (result.code, result.out) == (1, b"")
    assert str(path) in result.err
    assert len(result.err.splitlines()) <= 2


def test_an_import_ends_as_the_kind_that_it_promises(call: Call) -> None:
    artifact = read_any_artifact(call(ff_import.main, "zoo:sae").out)
    assert type(artifact.root).__name__ == "EinsumGraph"
    assert artifact.provenance.stage.producer.startswith("ff-import ")


def test_tensors_and_their_formats_are_reported(call: Call) -> None:
    words = ["zoo:gpt", "--set", "layers=1", "--set", "seq=32", "--set", "dim=16"]
    result = call(ff_import.main, *words)
    assert "ff-import: note: blocks.0.attention.mask: 32x32, density 1," in result.err
    assert "query.weight" not in result.err
    loud = call(ff_import.main, *words, "-v")
    assert "query.weight: 16x4x4, density 1, dense,dense,dense (dense)" in loud.err
    assert call(ff_import.main, *words, "-q").err == ""
    notes = read_einsum_graph(result.out).notes
    assert all(note in loud.err for note in notes)


def test_a_sidecar_says_how_tensors_are_stored(call: Call, factory: Path) -> None:
    (factory.parent / "net.yaml").write_text(
        "tensors: [{match: {role: weight}, levels: [compressed, compressed]}]"
    )
    result = call(ff_import.main, "cli_factories:pair", "--sidecar", "net.yaml", "-q")
    value = read_einsum_graph(result.out).values["0.weight"]
    assert (str(value.format), value.origin) == ("compressed,compressed", "sidecar net.yaml:1")


def test_an_input_of_a_factory_is_bound(call: Call, factory: Path) -> None:
    np.save(factory.parent / "x.npy", np.full((5, 4), 3.0))
    name = "input"
    result = call(ff_import.main, "cli_factories:pair", "-q", "--bind", f"{name}=x.npy")
    tensor = read_einsum_graph(result.out).values[name].tensor
    assert tensor is not None
    assert (tensor.to_dense() == 3).all()
    assert tensor.shape == (5, 4)


@pytest.mark.parametrize("option", ["--check", "--no-check"])
def test_the_comparison_is_in_the_command_that_is_recorded(call: Call, option: str) -> None:
    artifact = read_any_artifact(call(ff_import.main, "zoo:sae", option).out)
    assert artifact.provenance.stage.command_line == f"ff-import zoo:sae {option}"


def test_what_comes_before_an_unsupported_operator_can_be_had(
    call: Call, factory: Path, tmp_path: Path
) -> None:
    result = call(ff_import.main, "cli_factories:halting", "--allow-partial", "part.pb")
    assert (result.code, result.out) == (1, b"")
    assert "I001 unsupported-operator" in result.err
    assert "is in part.pb: relu" in result.err
    part = (tmp_path / "part.pb").read_bytes()
    assert [output.name for output in read_einsum_graph(part).outputs] == ["relu"]
    assert piped(call, part, "full")["check"]["passed"] is True  # type: ignore[index]


def test_no_part_is_written_for_other_errors(call: Call, factory: Path) -> None:
    result = call(ff_import.main, "cli_factories:broken", "--allow-partial", "part.pb")
    assert result.code == 1
    assert not (factory.parent / "part.pb").exists()
