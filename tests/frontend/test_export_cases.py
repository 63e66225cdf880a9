"""Every form in which frameworks export: imported, and equal to the framework, or refused."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.frontend.torch.pt2 import import_pt2
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.frontend.export_cases import ROWS, Model, Row
from tests.frontend.imports import assert_equal_to_reference
from tests.frontend.onnx.export import export_module

pytestmark = pytest.mark.filterwarnings("ignore::")


def cases(*, saved: bool) -> Iterator[Any]:
    """Yield names of rows and roads; quick are those without the exporters that take seconds."""
    for name, row in ROWS.items():
        for road in row.roads:
            if (road not in row.unsaved) == saved:
                is_quick = saved and (road == "legacy-17" or road in row.refused)
                marks = [] if is_quick else [pytest.mark.slow]
                yield pytest.param(name, road, marks=marks, id=f"{name}-{road}")


def save(model: Model, road: str, folder: Path) -> Path:
    """Write a model as its users do; the exporters talk on both streams."""
    module = model.module.requires_grad_(False)
    talk = io.StringIO()
    with contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk), torch.no_grad():
        if road != "pt2":
            return export_module(module, model.args, model.names, road, folder).path
        torch.export.save(torch.export.export(module, model.args, strict=False), folder / "m.pt2")
        return folder / "m.pt2"


def load(row: Row, road: str, folder: Path) -> EinsumGraph:
    model = row.make()
    if road == "torch":
        return import_torch(model.module, model.args, input_names=model.names)
    path = save(model, road, folder)
    if road == "pt2":
        return import_pt2(path)
    # The exporter drops inputs that it has folded.
    kept = {value.name for value in onnx.load(path).graph.input}
    bindings = {name: str(folder / f"{name}.npy") for name in model.names if name in kept}
    return import_onnx(path, ImportOptions(bindings=bindings))


@pytest.mark.parametrize(("name", "road"), cases(saved=True))
def test_an_export_is_imported_or_refused(name: str, road: str, tmp_path: Path) -> None:
    row = ROWS[name]
    if road not in row.refused:
        graph = load(row, road, tmp_path)
        verify_einsum_graph(graph)
        assert_equal_to_reference(graph)
        return
    rule, _, words = row.refused[road].partition(": ")
    with pytest.raises(ModelError) as caught:
        load(row, road, tmp_path)
    assert caught.value.rule == rule
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "road"), cases(saved=False))
def test_torch_still_cannot_write_what_is_said_to_have_no_file(
    name: str, road: str, tmp_path: Path
) -> None:
    model = ROWS[name].make()
    # torch fails with whatever its passes happen to raise.
    with pytest.raises(Exception, match=r"."):
        save(model, road, tmp_path)
