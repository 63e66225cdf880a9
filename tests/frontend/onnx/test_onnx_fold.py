"""Constant parts fold away, shape arithmetic with them; all that cannot be imported is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_pruned_weight_is_one_constant(tmp_path: Path) -> None:
    """The product of a weight and its pruning mask does not become an einsum."""
    mask = np.eye(4, 5, dtype=np.float32)
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"w": draw(4, 5), "mask": mask})
    graph = model.node("Mul", ["w", "mask"], "v").node("MatMul", ["x", "v"]).load(tmp_path)
    assert len(graph.einsums) == 1
    assert_equals_reference(graph)


def test_shape_arithmetic_of_a_legacy_export_folds(tmp_path: Path) -> None:
    """Reshape(x, Concat(Shape(x)[0] * 2, -1)), as traced from ``x.view(x.shape[0] * 2, -1)``."""
    model = SmallModel(
        inputs={"x": draw(2, 6)},
        constants={"zero": ints(0), "axes": ints(0), "two": ints(2), "rest": ints(-1)},
    )
    model.node("Shape", ["x"], "shape").node("Gather", ["shape", "zero"], "rows")
    model.node("Mul", ["rows", "two"], "doubled").node(
        "Concat", ["doubled", "rest"], "wanted", axis=0
    )
    graph = model.node("Reshape", ["x", "wanted"], "r").node("Relu", ["r"]).load(tmp_path)
    assert graph.outputs[0].shape == (4, 3)
    assert_equals_reference(graph)


def test_shape_attributes_cut_the_shape(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3, 4)}, constants={"one": ints(1)})
    model.node("Shape", ["x"], "middle", start=1, end=-1)
    model.node("Concat", ["middle", "one"], "s", axis=0)
    two = helper.make_tensor("value", TensorProto.FLOAT, [1], [2])
    model.node("ConstantOfShape", ["s"], "twos", value=two).node("Mul", ["x", "twos"])
    assert_equals_reference(model.load(tmp_path))


def test_size_of_a_live_value_is_a_number(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}).node("Size", ["x"], "n")
    model.node("Cast", ["n"], "f", to=TensorProto.FLOAT)
    assert_equals_reference(model.node("Div", ["x", "f"]).load(tmp_path))


def test_copies_leave_no_einsum(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}).node("Identity", ["x"], "a")
    model.node("Dropout", ["a"], ["b"]).node("Cast", ["b"], "c", to=TensorProto.FLOAT)
    graph = model.node("Relu", ["c"]).load(tmp_path)
    assert [op.fn for op in graph.einsums] == ["relu"]
    assert_equals_reference(graph)


def test_mask_of_a_dropout_that_drops_nothing_is_true_everywhere(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3), "ratio": np.float32(0.5)})
    model.node("Dropout", ["x", "ratio"], ["b", "mask"])
    model.node("Cast", ["mask"], "kept", to=TensorProto.FLOAT)
    graph = model.node("Mul", ["b", "kept"]).load(tmp_path)
    assert_equals_reference(graph)


def test_mask_input_is_known(tmp_path: Path) -> None:
    """A padding mask that is an input makes the scores sparse like a constant one."""
    mask = np.tri(4, dtype=np.bool_)
    model = SmallModel(
        inputs={"x": draw(4, 4), "mask": mask}, constants={"low": np.float32(-np.inf)}
    )
    model.node("Not", ["mask"], "hidden").node("Where", ["hidden", "low", "x"], "s")
    graph = model.node("Softmax", ["s"]).load(tmp_path)
    assert [op.fn for op in graph.einsums][:2] == ["masked", "copy"]
    assert_equals_reference(graph)


def test_unsupported_operators_are_counted_and_placed(tmp_path: Path) -> None:
    """Each operator is one finding; what reads an unsupported result is still looked at."""
    model = SmallModel(inputs={"x": draw(1, 2, 4, 4)}, constants={"w": draw(2, 2, 1, 1)})
    model.node("Conv", ["x", "w"], "a", name="/stem/conv1/Conv")
    model.node("Relu", ["a"], "b", name="/stem/Relu")
    model.node("Conv", ["b", "w"], "c", name="/stem/conv2/Conv")
    model.node("TopK", ["c", "k"], ["v", "i"], name="/head/TopK")
    model.constants["k"] = ints(1)
    with pytest.raises(ModelError) as caught:
        model.node("Relu", ["v"]).load(tmp_path)
    texts = [str(finding) for finding in caught.value.findings]
    assert len(texts) == 2
    assert "Conv is not supported; it occurs 2 times: /stem/conv1/Conv (stem.conv1), " in texts[0]
    assert "TopK is not supported; it occurs once: /head/TopK (head)" in texts[1]
    assert caught.value.rule == "I001 unsupported-operator"


def test_operator_of_another_domain_is_unsupported(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}).node("Relu", ["x"], "t")
    model.node("Relu", ["t"], domain="ai.onnx.ml")
    path = tmp_path / "small.onnx"
    proto = SmallModel(inputs={"x": draw(2)}).node("Relu", ["x"]).proto()
    proto.graph.node[0].domain = "custom"
    proto.opset_import.add(domain="custom", version=1)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError) as caught:
        import_onnx(path, ImportOptions(random_inputs=1))
    assert caught.value.rule == "I001 unsupported-operator"


@pytest.mark.parametrize("op", ["RandomNormal", "RandomUniform"])
def test_random_operator_is_not_folded(op: str, tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}).node(op, [], "noise", shape=[2])
    with pytest.raises(ModelError, match=op) as caught:
        model.node("Add", ["x", "noise"]).load(tmp_path)
    assert caught.value.rule == "I001 unsupported-operator"


def test_training_dropout_is_unsupported(tmp_path: Path) -> None:
    model = SmallModel(
        inputs={"x": draw(2)}, constants={"p": np.float32(0.5), "on": np.array(True)}
    )
    with pytest.raises(ModelError, match="Dropout"):
        model.node("Dropout", ["x", "p", "on"]).load(tmp_path)


def test_constant_of_huge_shape_is_refused_before_it_is_made(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}, constants={"s": ints(2**20, 2**20)})
    model.node("ConstantOfShape", ["s"], "zeros")
    with pytest.raises(ModelError, match=str(2**40)) as caught:
        model.node("ReduceSum", ["zeros"], "t").node("Add", ["x", "t"]).load(tmp_path)
    assert caught.value.rule == "I217 constant-folding"


def test_constant_that_cannot_be_evaluated_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}, constants={"t": draw(3), "i": ints(7)})
    model.node("Gather", ["t", "i"], "c")
    with pytest.raises(ModelError) as caught:
        model.node("Add", ["x", "c"]).load(tmp_path)
    assert caught.value.rule == "I217 constant-folding"
    assert "\n" not in str(caught.value)


def test_shape_that_depends_on_values_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}, constants={"t": ints(0)})
    model.node("NonZero", ["x"], "where").node("Cast", ["where"], "f", to=TensorProto.FLOAT)
    with pytest.raises(ModelError, match="NonZero"):
        model.node("Relu", ["f"]).load(tmp_path)


def test_value_of_another_type_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}).node("Cast", ["x"], "h", to=TensorProto.FLOAT16)
    with pytest.raises(ModelError, match="Cast"):
        model.node("Relu", ["h"]).load(tmp_path)


def test_output_may_be_a_constant_or_an_input(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2)}, constants={"c": draw(3)}, outputs=("a", "b", "y"))
    model.node("Identity", ["x"], "a").node("Neg", ["c"], "b").node("Relu", ["x"])
    assert_equals_reference(model.load(tmp_path))
