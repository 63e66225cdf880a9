"""Files of old opsets compute what the runtime makes of them, or are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.load import load_onnx
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw

# An operator, how many results it has, attributes as they were, and the last opset of that form.
OLD_FORMS: list[tuple[str, int, dict[str, Any], int]] = [
    ("ReduceSum", 1, {"axes": [1], "keepdims": 0}, 12),
    ("ReduceMean", 1, {"axes": [-1]}, 12),
    ("Squeeze", 1, {"axes": [0]}, 12),
    ("Unsqueeze", 1, {"axes": [1]}, 12),
    ("Split", 2, {"axis": 2, "split": [1, 3]}, 12),
    ("Split", 3, {"axis": 1}, 12),
    ("Slice", 1, {"starts": [1], "ends": [-1], "axes": [2]}, 9),
    ("Clip", 1, {"min": -0.5}, 10),
    ("Clip", 1, {"max": 0.5, "min": 0.0}, 10),
    ("Pad", 1, {"pads": [0, 1, 0, 0, 0, 2], "value": 0.5}, 10),
    ("Dropout", 1, {"ratio": 0.5}, 11),
    *(("Softmax", 1, attrs, 12) for attrs in ({}, {"axis": 0}, {"axis": 1}, {"axis": 2})),
    ("LogSoftmax", 1, {}, 12),
]


def old_model(op: str, results: int, attrs: dict[str, Any], opset: int) -> SmallModel:
    outputs = [f"y{place}" for place in range(results)]
    model = SmallModel(inputs={"x": draw(1, 3, 4)}, outputs=outputs, opset=opset)
    return model.node("Neg", ["x"], "h").node(op, ["h"], outputs, **attrs)


@pytest.mark.parametrize("is_oldest", [False, True], ids=["newest", "oldest"])
@pytest.mark.parametrize(
    ("op", "results", "attrs", "last"), OLD_FORMS, ids=[f"{f[0]}-{f[2]}" for f in OLD_FORMS]
)
def test_old_form_equals_the_runtime(
    op: str, results: int, attrs: dict[str, Any], last: int, is_oldest: bool, tmp_path: Path
) -> None:
    negative = any(axis < 0 for axis in attrs.get("axes", []))
    opset = 11 if negative and is_oldest else 7 if is_oldest else last
    graph = old_model(op, results, attrs, opset).load(tmp_path)
    assert "reference outputs come from onnxruntime" in graph.notes
    assert_equals_reference(graph)


def test_softmax_over_the_last_dimension_stays_one_node(tmp_path: Path) -> None:
    graph = old_model("Softmax", 1, {"axis": 2}, 11).load(tmp_path)
    assert all(len(op.output.indices) <= 2 for op in graph.einsums)
    model = load_onnx(tmp_path / "small.onnx")
    assert [node.op_type for node in model.proto.graph.node] == ["Neg", "Softmax"]
    assert model.opset == 13


def test_constants_that_an_old_file_declares_as_inputs_keep_their_values(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"w": draw(4, 5)}, opset=7)
    proto = model.node("MatMul", ["x", "w"], "h").node("Softmax", ["h"]).proto()
    proto.ir_version = 3
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 5)))
    onnx.save(proto, tmp_path / "old.onnx")
    loaded = load_onnx(tmp_path / "old.onnx")
    assert [value.name for value in loaded.inputs] == ["x"]
    np.testing.assert_array_equal(loaded.constants["w"], draw(4, 5))


def test_branches_are_rewritten_too(tmp_path: Path) -> None:
    """The operand of a branch is chosen by a constant; the branch itself has an old form."""
    made = helper.make_tensor_value_info("r", TensorProto.FLOAT, (3,))
    nodes = [helper.make_node("ReduceSum", ["h"], ["r"], axes=[1], keepdims=0)]
    branch = helper.make_graph(nodes, "branch", [], [made])
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"yes": np.array(True)}, opset=11)
    model.shapes = {"y": (3,)}
    model.node("Neg", ["x"], "h").node("If", ["yes"], then_branch=branch, else_branch=branch)
    assert_equals_reference(model.load(tmp_path))


REFUSED = [
    ("Resize", 10, {}, "another operator since opset 11"),
    ("Dropout", 6, {"is_test": 1}, "another operator since opset 7"),
]


@pytest.mark.parametrize(("op", "opset", "attrs", "words"), REFUSED)
def test_operator_that_meant_something_else_is_refused(
    op: str, opset: int, attrs: dict[str, Any], words: str, tmp_path: Path
) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}, constants={"s": draw(2)}, opset=opset)
    model.shapes = {"y": (2, 3)}
    path = model.node(op, ["x", "s"] if op == "Resize" else ["x"], **attrs).save(tmp_path)
    with pytest.raises(ModelError, match=words) as caught:
        load_onnx(path)
    assert caught.value.rule == "I211 onnx-version"
    assert "opset_version=20" in str(caught.value)
