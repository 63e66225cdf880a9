"""Control flow that the operands decide is replaced by what is run; any other is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx import control as onnx_control
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def value(name: str, kind: int = TensorProto.FLOAT, shape: tuple[int, ...] | None = None) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def graph(
    nodes: list[onnx.NodeProto],
    outputs: list[object],
    inputs: list[object] | None = None,
    **constants: np.ndarray,
) -> onnx.GraphProto:
    """A branch or a body, with constants of its own."""
    own = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return helper.make_graph(nodes, "inner", inputs or [], outputs, own)


def chosen(condition: np.ndarray | str) -> SmallModel:
    """Both branches call their results by the same names, as the standard allows."""
    model = SmallModel(inputs={"x": draw(3, 4)})
    model.constants = {} if isinstance(condition, str) else {"condition": condition}
    branches = {
        f"{side}_branch": graph(
            [
                helper.make_node(op, ["x"], ["h"]),
                helper.make_node("Add", ["h", "own"], ["result"], f"{side}_add"),
            ],
            [value("result", shape=(3, 4))],
            own=draw(4, seed=len(op)),
        )
        for side, op in (("then", "Relu"), ("else", "Sigmoid"))
    }
    name = condition if isinstance(condition, str) else "condition"
    return model.node("If", [name], "c", name="choice", **branches).node("Exp", ["c"])


@pytest.mark.parametrize(("condition", "function"), [(True, "relu"), (False, "sigmoid")])
def test_the_branch_of_a_known_condition_is_taken(
    condition: bool, function: str, tmp_path: Path
) -> None:
    result = chosen(np.array(condition)).load(tmp_path)
    assert_equals_reference(result)
    assert [op.fn for op in result.einsums] == [function, "add", "exp"]


def test_a_condition_on_a_shape_is_known(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"one": np.int64(1)})
    model.node("Relu", ["x"], "r").node("Shape", ["r"], "s").node("Size", ["s"], "n")
    model.node("Equal", ["n", "one"], "condition")
    rest = chosen("condition").nodes
    model.nodes += rest
    result = model.load(tmp_path)
    assert_equals_reference(result)
    assert "sigmoid" in [op.fn for op in result.einsums]


def test_a_condition_on_computed_values_is_refused_with_all_others(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"zero": np.float32(0)})
    model.node("ReduceSum", ["x"], "s", keepdims=0).node("Greater", ["s", "zero"], "condition")
    first, last = chosen("condition").nodes
    again = onnx.NodeProto()
    again.CopyFrom(first)
    again.name, again.output[0] = "choice_2", "d"
    model.nodes += [first, again, last]
    with pytest.raises(ModelError) as caught:
        model.load(tmp_path)
    findings = [each for each in caught.value.findings if each.rule == "I212 control-flow"]
    assert [each.where.node for each in findings] == ["choice", "choice_2"]
    assert "computed values" in findings[0].message
    assert "Where" in str(findings[0].fix)


def body(prefix: str = "") -> onnx.GraphProto:
    """Doubles the state, and gives half of the result as a row; `prefix` is that of all names."""
    names = ("n", "go", "going", "state", "next", "row", "half")
    n, go, going, state, doubled, row, half = (prefix + name for name in names)
    return graph(
        [
            helper.make_node("Add", [state, state], [doubled]),
            helper.make_node("Mul", [doubled, half], [row]),
            helper.make_node("Identity", [go], [going]),
        ],
        [value(going, TensorProto.BOOL, ()), value(doubled, shape=(4,)), value(row, shape=(4,))],
        [
            value(n, TensorProto.INT64, ()),
            value(go, TensorProto.BOOL, ()),
            value(state, shape=(4,)),
        ],
        **{half: np.float32(0.5)},
    )


def loop(trips: int, run: onnx.GraphProto | None = None) -> SmallModel:
    """Doubles `x` as often as `trips` says; every iteration also gives a row of its own."""
    model = SmallModel(
        inputs={"x": draw(4)},
        constants={"trips": np.int64(trips), "on": np.array(True)},
        outputs=("y", "z"),
        shapes={"y": (4,), "z": (None, 4)},
    )
    inputs, outputs = ["trips", "on", "x"], ["y", "z"]
    return model.node("Loop", inputs, outputs, name="loop", body=run or body())


def test_iterations_follow_each_other(tmp_path: Path) -> None:
    result = loop(3).load(tmp_path)
    assert_equals_reference(result)
    assert result.outputs[1].shape == (3, 4)


def test_a_loop_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_control, "_LIMIT_NODES", 500)
    model = loop(2**40)
    path, bindings = model.save(tmp_path), model.bindings(tmp_path)
    with pytest.raises(ModelError, match="unfolds to more than 500 nodes") as caught:
        import_onnx(path, ImportOptions(bindings=bindings, reference=False))
    assert caught.value.rule == "I215 onnx-check"


def test_a_loop_without_a_known_end_is_refused(tmp_path: Path) -> None:
    model = loop(2)
    del model.constants["trips"]
    model.inputs["steps"] = np.float32(2)
    model.nodes.insert(0, helper.make_node("Cast", ["steps"], ["trips"], to=TensorProto.INT64))
    with pytest.raises(ModelError, match="Loop in loop runs a subgraph") as caught:
        model.load(tmp_path)
    assert caught.value.rule == "I212 control-flow"


@pytest.mark.parametrize("new_axis", [0, 1])
def test_a_sequence_is_the_list_of_its_tensors(new_axis: int, tmp_path: Path) -> None:
    model = SmallModel(
        inputs={"x": draw(2, 3)},
        constants={"first": np.int64(0), "last": np.int64(-1)},
        outputs=("y", "z"),
        shapes={"y": (None,) * (2 + new_axis), "z": (2, 3)},
    )
    model.node("Relu", ["x"], "r").node("Sigmoid", ["x"], "s").node("SequenceEmpty", [], "q0")
    model.node("SequenceInsert", ["q0", "r"], "q1").node("SequenceInsert", ["q1", "s"], "q2")
    model.node("SequenceInsert", ["q2", "x", "first"], "q3")
    model.node("ConcatFromSequence", ["q3"], "y", axis=0, new_axis=new_axis)
    model.node("SequenceAt", ["q3", "last"], "z0").node("Identity", ["z0"], "z")
    assert_equals_reference(model.load(tmp_path))


# Files that are not to be trusted.


def with_inner_tensor(tensor: TensorProto) -> SmallModel:
    """A model whose branches have a tensor of their own."""
    model = chosen(np.array(True))
    for attribute in model.nodes[0].attribute:
        attribute.g.initializer[0].CopyFrom(tensor)
    return model


def refusal(model: SmallModel, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        model.load(folder)
    assert "\n" not in str(caught.value)
    return caught.value.rule


def test_external_data_of_a_branch_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "model").mkdir()
    tensor = TensorProto(name="own", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    assert refusal(with_inner_tensor(tensor), tmp_path / "model") == "I214 external-data"


def test_a_huge_tensor_of_a_branch_is_refused(tmp_path: Path) -> None:
    tensor = TensorProto(name="own", data_type=TensorProto.FLOAT, dims=[2**40], raw_data=b"")
    assert refusal(with_inner_tensor(tensor), tmp_path) == "I213 onnx-tensor"


def test_a_name_in_a_branch_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    data = chosen(np.array(True)).proto().SerializeToString()
    path.write_bytes(data.replace(b"then_add", b"then\xff\xfedd"))
    with pytest.raises(ModelError, match="UTF-8") as caught:
        import_onnx(path, ImportOptions(random_inputs=1))
    assert caught.value.rule == "I210 onnx-file"


def test_loops_inside_of_loops_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_control, "_LIMIT_NODES", 2000)
    outer = body()
    inputs, outputs = ["trips", "on", "next"], ["deep", "rows"]
    outer.node.append(helper.make_node("Loop", inputs, outputs, "nested", body=body("inner_")))
    with pytest.raises(ModelError, match="unfolds to more than 2000 nodes"):
        loop(1000, outer).load(tmp_path)
