"""A part of an ONNX model ends in front of what is not supported, and computes what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx_reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def part(model: SmallModel, folder: Path) -> EinsumGraph:
    bindings = model.bindings(folder)
    return import_onnx(model.save(folder), ImportOptions(bindings=bindings, partial=True))


def test_outputs_are_what_the_unsupported_operators_would_have_read(tmp_path: Path) -> None:
    model = SmallModel(
        inputs={"x": draw(3, 4)}, constants={"axis": np.int64([0])}, outputs=("y", "z")
    )
    model.node("Relu", ["x"], "h").node("CumSum", ["h", "axis"], "c").node("Exp", ["c"], "y")
    model.node("Sigmoid", ["h"], "z")
    graph = part(model, tmp_path)
    assert [output.name for output in graph.outputs] == ["h", "z"]
    assert_equals_reference(graph)
    assert [note for note in graph.notes if note.startswith("left out: CumSum")]


def test_a_model_without_a_supported_part_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3)}, constants={"axis": np.int64([0])})
    with pytest.raises(ModelError, match="CumSum"):
        part(model.node("CumSum", ["x", "axis"]), tmp_path)


def test_a_model_that_is_supported_is_whole(tmp_path: Path) -> None:
    graph = part(SmallModel(inputs={"x": draw(3)}).node("Relu", ["x"]), tmp_path)
    assert [output.name for output in graph.outputs] == ["y"]
    assert_equals_reference(graph)
