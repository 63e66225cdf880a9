"""A part of an ONNX model ends in front of what is not supported, and computes what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw

DROPPING = {"ratio": np.float32(0.5), "training": np.array(True)}


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


def test_forms_without_a_rule_are_left_out_like_operators(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants=DROPPING, outputs=("y", "z"))
    model.node("Relu", ["x"], "h").node("Dropout", ["h", *DROPPING], "p").node("Exp", ["p"], "y")
    model.node("Sigmoid", ["h"], "z")
    graph = part(model, tmp_path)
    assert [output.name for output in graph.outputs] == ["h", "z"]
    assert_equals_reference(graph)
    assert [note for note in graph.notes if note.startswith("left out: Dropout: it drops")]


def test_forms_without_a_rule_are_reported_at_once(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants=DROPPING, outputs=("y", "z"))
    model.node("Dropout", ["x", *DROPPING], "p", name="first").node("Relu", ["p"], "y")
    model.node("Dropout", ["x", *DROPPING], "z", name="second")
    with pytest.raises(ModelError) as caught:
        model.load(tmp_path)
    assert [each.where.node for each in caught.value.findings] == ["first", "second"]


def test_control_flow_that_computed_values_decide_is_left_out(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3)}, constants={"zero": np.float32(0)}, shapes={"y": (3,)})
    branch = helper.make_graph(
        [helper.make_node("Relu", ["h"], ["r"])], "branch", [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, (3,))],
    )  # fmt: skip
    model.node("Exp", ["x"], "h").node("ReduceSum", ["h"], "s", keepdims=0)
    model.node("Greater", ["s", "zero"], "c")
    model.node("If", ["c"], then_branch=branch, else_branch=branch)
    graph = part(model, tmp_path)
    assert [output.name for output in graph.outputs] == ["c"]
