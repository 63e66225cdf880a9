"""Operators that exporters spelled out are one operator again; what users spelled is left alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuseflow.errors import ModelError
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw
from tests.frontend.onnx.export import export_module
from tests.frontend.onnx.test_onnx_zoo import load


def number(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def functions(graph: EinsumGraph) -> list[str]:
    assert_equals_reference(graph)
    return [op.fn for op in graph.einsums]


def gelu(half: float = 0.5, one: float = 1.0, root: float = math.sqrt(2)) -> SmallModel:
    """The product x (erf(x / root) + one) half, as the legacy exporter writes it."""
    numbers = {"root": number(root), "one": number(one), "half": number(half)}
    model = SmallModel(inputs={"x": draw(2, 3)}, constants=numbers)
    model.node("Div", ["x", "root"], "a").node("Erf", ["a"], "b").node("Add", ["b", "one"], "c")
    return model.node("Mul", ["x", "c"], "d").node("Mul", ["d", "half"])


def test_gelu_of_the_legacy_exporter_is_one_function(tmp_path: Path) -> None:
    assert functions(gelu().load(tmp_path)) == ["gelu"]


def test_gelu_with_the_half_inside_is_one_function(tmp_path: Path) -> None:
    numbers = {"root": number(math.sqrt(0.5)), "one": number(1), "half": number(0.5)}
    model = SmallModel(inputs={"x": draw(2, 3)}, constants=numbers)
    model.node("Mul", ["x", "root"], "a").node("Erf", ["a"], "b").node("Add", ["one", "b"], "c")
    model.node("Mul", ["half", "c"], "d").node("Mul", ["x", "d"])
    assert functions(model.load(tmp_path)) == ["gelu"]


@pytest.mark.parametrize("changed", [{"half": 0.4}, {"one": 1.1}, {"root": 1.4}])
def test_what_is_nearly_gelu_stays_as_it_is(changed: dict[str, float], tmp_path: Path) -> None:
    assert "erf" in functions(gelu(**changed).load(tmp_path))


@pytest.mark.parametrize("cube", ["Pow", "Mul"])
def test_gelu_with_tanh_is_one_function(cube: str, tmp_path: Path) -> None:
    numbers = {"k": 0.044715, "c": math.sqrt(2 / math.pi), "one": 1.0, "half": 0.5, "three": 3.0}
    constants = {name: number(value) for name, value in numbers.items()}
    model = SmallModel(inputs={"x": draw(2, 3)}, constants=constants)
    if cube == "Pow":
        model.node("Pow", ["x", "three"], "x3")
    else:
        model.node("Mul", ["x", "x"], "x2").node("Mul", ["x2", "x"], "x3")
    model.node("Mul", ["k", "x3"], "a").node("Add", ["x", "a"], "b").node("Mul", ["b", "c"], "d")
    model.node("Tanh", ["d"], "e").node("Add", ["e", "one"], "f").node("Mul", ["x", "f"], "g")
    assert functions(model.node("Mul", ["half", "g"]).load(tmp_path)) == ["gelu_tanh"]


def test_silu_is_one_function(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}).node("Sigmoid", ["x"], "s")
    assert functions(model.node("Mul", ["s", "x"]).load(tmp_path)) == ["silu"]


@pytest.mark.parametrize("op", ["Reciprocal", "Div"])
def test_reciprocal_of_a_root_is_one_function(op: str, tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": np.abs(draw(2, 3))}, constants={"one": number(1)})
    model.node("Sqrt", ["x"], "r").node(op, ["r"] if op == "Reciprocal" else ["one", "r"])
    assert functions(model.load(tmp_path)) == ["rsqrt"]


def test_part_that_is_used_elsewhere_is_kept(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3)}, outputs=("y", "s")).node("Sigmoid", ["x"], "s")
    assert functions(model.node("Mul", ["s", "x"]).load(tmp_path)) == ["sigmoid", "silu"]


def spelled_layer_norm(opset: int) -> SmallModel:
    constants = {"two": number(2), "eps": number(1e-3), "w": draw(4), "b": draw(4, seed=1)}
    model = SmallModel(inputs={"x": draw(3, 4)}, constants=constants, opset=opset)
    axes = {"axes": [-1]} if opset < 18 else {}
    operands = [] if opset < 18 else ["last"]
    model.constants["last"] = np.array([-1])
    model.node("ReduceMean", ["x", *operands], "m", **axes).node("Sub", ["x", "m"], "c")
    model.node("Pow", ["c", "two"], "p").node("ReduceMean", ["p", *operands], "v", **axes)
    model.node("Add", ["v", "eps"], "e").node("Sqrt", ["e"], "d").node("Div", ["c", "d"], "n")
    return model.node("Mul", ["n", "w"], "s").node("Add", ["s", "b"])


def test_layer_norm_from_before_its_operator_is_one_composite(tmp_path: Path) -> None:
    graph = spelled_layer_norm(13).load(tmp_path)
    assert_equals_reference(graph)
    assert {op.composite for op in graph.einsums} == {"layer_norm_1"}


def test_layer_norm_that_users_spell_today_stays_spelled(tmp_path: Path) -> None:
    graph = spelled_layer_norm(20).load(tmp_path)
    assert_equals_reference(graph)
    assert "layer_norm_1" not in {op.composite for op in graph.einsums}


def test_layer_norm_without_parameters_has_no_scale(tmp_path: Path) -> None:
    """The legacy exporter adds ones and zeros as constant nodes."""
    model = SmallModel(inputs={"x": draw(3, 4)}, opset=17)
    model.node("Constant", [], "w", value_floats=[1.0] * 4)
    model.node("Constant", [], "b", value_floats=[0.0] * 4)
    graph = model.node("LayerNormalization", ["x", "w", "b"]).load(tmp_path)
    assert_equals_reference(graph)
    assert [name for name, value in graph.values.items() if value.tensor is not None] == ["x"]


def test_layer_norm_keeps_parameters_that_happen_to_be_one(tmp_path: Path) -> None:
    ones = np.ones(4, dtype=np.float32)
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"w": ones}, opset=17)
    graph = model.node("LayerNormalization", ["x", "w"]).load(tmp_path)
    assert_equals_reference(graph)
    assert "w" in graph.values


def guarded(addend: float) -> SmallModel:
    """Attention weights of a mask with an empty row, guarded as torch does it."""
    mask = np.where(np.tri(4, k=-1, dtype=np.bool_), 0, addend).astype(np.float32)
    model = SmallModel(inputs={"x": draw(4, 4)}, constants={"m": mask, "zero": number(0)})
    model.node("Add", ["x", "m"], "a").node("Softmax", ["a"], "p").node("IsNaN", ["p"], "n")
    return model.node("Where", ["n", "zero", "p"])


def test_guard_behind_a_softmax_makes_empty_rows_zero(tmp_path: Path) -> None:
    graph = guarded(-math.inf).load(tmp_path)
    assert functions(graph)[0] == "masked"
    assert not graph.outputs[0].reference[0].any()


def test_guard_does_not_hide_rows_that_become_a_mean(tmp_path: Path) -> None:
    """With finite numbers in place of -inf the runtime gives no NaN but a mean."""
    with pytest.raises(ModelError, match="row") as caught:
        guarded(float(np.finfo(np.float32).min)).load(tmp_path)
    assert caught.value.rule == "I014 empty-row"


def test_isnan_elsewhere_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3)}, constants={"zero": number(0)})
    with pytest.raises(ModelError, match="guard"):
        model.node("IsNaN", ["x"], "n").node("Where", ["n", "zero", "x"]).load(tmp_path)


class Handmade(nn.Module):
    """Spellings by a user: the exporter tells that each step is an operator of its own."""

    def forward(self, x: Tensor) -> Tensor:
        gated = x * torch.sigmoid(x)
        return gated * (torch.erf(x / math.sqrt(2)) + 1) * 0.5


def test_what_users_spell_is_left_alone_where_the_file_tells(tmp_path: Path) -> None:
    exported = export_module(Handmade(), [torch.ones(2, 3)], ["x"], "dynamo-20", tmp_path)
    names = functions(load(exported))
    assert names[:2] == ["sigmoid", "mul"]
    assert "erf" in names


class Twins(nn.Module):
    """Two layers with equal weights, which exporters store once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(torch.relu(self.first(x)))
        return y


@pytest.mark.parametrize("road", ["dynamo-20", "legacy-17"])
def test_parameters_that_were_merged_have_their_own_names_again(road: str, tmp_path: Path) -> None:
    model = Twins()
    graph = load(export_module(model, [torch.randn(3, 4)], ["x"], road, tmp_path))
    assert_equals_reference(graph)
    assert {name for name, _ in model.named_parameters()} <= set(graph.values)
