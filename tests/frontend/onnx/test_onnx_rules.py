"""Every supported operator, one node at a time, computes what the runtime computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.rules import RULES
from tests.frontend.onnx.build import DEFAULT_OPSET, SmallModel, assert_equals_reference, draw

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Live:
    """An operand that is an input of the model."""

    array: Array


@dataclass(frozen=True)
class Case:
    """One node; operands that are arrays are constants, None is an absent operand."""

    op: str
    operands: tuple[Live | Array | None, ...]
    attrs: dict[str, Any]
    opset: int = DEFAULT_OPSET
    outputs: int = 1

    def __str__(self) -> str:
        parts = [self.op, *(f"{key}={value}" for key, value in self.attrs.items())]
        shapes = ["x".join(map(str, _array(x).shape)) for x in self.operands]
        return "-".join([*parts, *shapes, f"opset{self.opset}"]).replace(" ", "")

    def model(self) -> SmallModel:
        names = [f"x{n}" if x is not None else "" for n, x in enumerate(self.operands)]
        outputs = [f"y{n}" for n in range(self.outputs)]
        return SmallModel(
            inputs={n: x.array for n, x in zip(names, self.operands, strict=True) if _is_live(x)},
            constants={n: x for n, x in zip(names, self.operands, strict=True) if _is_fixed(x)},
            outputs=outputs,
            opset=self.opset,
        ).node(self.op, names, outputs, **self.attrs)


def _is_live(operand: object) -> bool:
    return isinstance(operand, Live)


def _is_fixed(operand: object) -> bool:
    return isinstance(operand, np.ndarray)


def _array(operand: Live | Array | None) -> Array:
    if operand is None:
        return np.zeros(0)
    return operand.array if isinstance(operand, Live) else operand


def live(*shape: int, seed: int = 0) -> Live:
    return Live(draw(*shape, seed=seed))


def positive(*shape: int) -> Live:
    return Live(np.abs(draw(*shape)))


def ints(*values: int) -> Array:
    return np.array(values, dtype=np.int64)


def real(value: float) -> Array:
    return np.array(value, dtype=np.float32)


def case(op: str, *operands: Live | Array | None, **attrs: Any) -> Case:
    opset, outputs = attrs.pop("opset", DEFAULT_OPSET), attrs.pop("outputs", 1)
    return Case(op, operands, attrs, opset, outputs)


MASK = np.array([[1, 0, 1], [1, 1, 0]], dtype=np.bool_)
QUERIES, KEYS, VALUES = live(2, 2, 4, 3), live(2, 2, 5, 3, seed=1), live(2, 2, 5, 3, seed=2)
ALLOWED = np.tri(4, 5, 1, dtype=np.bool_)

TARGETS = np.broadcast_to(ints(2, 0, 2).reshape(3, 1), (3, 2)).copy()
"""Rows that three rows are added to, all columns of a row alike."""

CROSSED = ints(2, 0, 0, 1, 1, 2).reshape(3, 2)


def zeros(*shape: int) -> Array:
    return np.zeros(shape, dtype=np.float32)


def lowest(*shape: int) -> Array:
    """Return what exporters of a maximum start from, with 0 where nothing is written."""
    start = np.full(shape, np.finfo(np.float32).min)
    start[1::2] = 0
    return start


EACH = np.array([[1, 0, 2], [1, 2, -1]])
"""An index of its own for every element; two of them go to the same place."""

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")

PER_CHANNEL = (draw(2), draw(2, seed=1), draw(2, seed=2), np.abs(draw(2, seed=3)))
CASES = [
    *(case(op, live(2, 3)) for op in ("Abs", "Cos", "Erf", "Exp", "Neg", "Relu", "Sigmoid", "Sin")),
    *(case(op, positive(2, 3)) for op in ("Log", "Sqrt", "Reciprocal")),
    case("Tanh", live(2, 3)),
    *(
        case(op, live(2, 3), live(2, 3, seed=1))
        for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")
    ),
    *(case(op, live(2, 3), draw(3)) for op in ("Add", "Sub", "Mul", "Div", "Max")),
    *(case(op, live(2, 3), real(1.5)) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    *(case(op, real(1.5), live(2, 3)) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    case("Add", live(3), draw(1, 1)),
    case("Add", live(2, 1, 3), live(4, 1, seed=1)),
    *(case(op, live(3), live(2, 3), draw(2, 1)) for op in ("Sum", "Mean", "Max", "Min")),
    *(case("Pow", positive(2, 3), real(power)) for power in (2, 3, 0.5, -0.5, -1)),
    case("Pow", live(2, 3), ints(2)),
    case("Clip", live(2, 3), real(-0.5), real(1)),
    case("Clip", live(2, 3), None, real(1)),
    case("Clip", live(2, 3), real(-0.5)),
    case("Clip", live(2, 3), live(), live(seed=2)),
    case("LeakyRelu", live(2, 3), alpha=0.2),
    case("LeakyRelu", live(2, 3)),
    case("PRelu", live(2, 3), real(0.1).reshape(1)),
    case("Gelu", live(2, 3)),
    case("Gelu", live(2, 3), approximate="tanh"),
    case("MatMul", live(3, 4), live(4, 2, seed=1)),
    case("MatMul", live(2, 3, 4), draw(4, 2)),
    case("MatMul", live(2, 1, 3, 4), live(5, 4, 2, seed=1)),
    case("MatMul", live(4), live(4, 2, seed=1)),
    case("MatMul", live(3, 4), draw(4)),
    case("Gemm", live(3, 4), draw(2, 4), draw(2), transB=1),
    case("Gemm", live(4, 3), draw(4, 2), draw(3, 1), transA=1, alpha=0.5, beta=2.0),
    case("Gemm", live(3, 4), draw(4, 2)),
    case("Einsum", live(3, 4), live(4, 2, seed=1), equation="ij,jk->ik"),
    case("Einsum", live(2, 3, 4), live(2, 4, 5, seed=1), equation="...ij,...jk->...ik"),
    case("Einsum", live(3, 4), live(4, 2, seed=1), live(2, 5, seed=2), equation="ij,jk,kl->il"),
    case("Softmax", live(2, 3)),
    case("Softmax", live(2, 3, 4), axis=1),
    case("LogSoftmax", live(2, 3), axis=0),
    case("LayerNormalization", live(2, 3, 4), draw(4), draw(4, seed=1)),
    case("LayerNormalization", live(2, 3, 4), draw(3, 4), axis=1, epsilon=0.1),
    case("RMSNormalization", live(2, 3, 4), draw(4), opset=23),
    *(
        case(op, live(2, 3, 4), ints(1), opset=18)
        for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
    ),
    case("ReduceSum", live(2, 3, 4), ints(-1, 0), keepdims=0, opset=13),
    case("ReduceMean", live(2, 3, 4), axes=[1], keepdims=0, opset=13),
    case("ReduceMax", live(2, 3, 4), axes=[-1], opset=13),
    case("ReduceSum", live(2, 3), keepdims=0),
    case("ReduceMean", live(2, 3), keepdims=1),
    case("ReduceL2", live(2, 3), ints(1)),
    case("ReduceSumSquare", live(2, 3), ints(0)),
    case("Reshape", live(2, 6), ints(0, 2, -1)),
    case("Reshape", live(2, 6), ints(12)),
    case("Flatten", live(2, 3, 4), axis=2),
    case("Transpose", live(2, 3, 4)),
    case("Transpose", live(2, 3, 4), perm=[1, 2, 0]),
    case("Squeeze", live(2, 1, 3), ints(1)),
    case("Squeeze", live(2, 1, 3)),
    case("Unsqueeze", live(2, 3), ints(0, -1)),
    case("Expand", live(3, 1), ints(2, 1, 4)),
    case("Tile", live(2, 1), ints(1, 3)),
    case("Tile", live(2, 3), ints(2, 1)),
    case("Slice", live(4, 6), ints(1), ints(2**63 - 1), ints(0)),
    case("Slice", live(4, 6), ints(0, -4), ints(2, -1)),
    case("Split", live(2, 6), axis=1, outputs=3, opset=13),
    case("Split", live(2, 7), axis=-1, num_outputs=3, outputs=3, opset=18),
    case("Split", live(5, 2), ints(2, 3), outputs=2),
    case("Concat", live(2, 3), live(2, 3, seed=1), axis=-1),
    case("Gather", live(4, 3), np.array(-1, dtype=np.int64), axis=0),
    case("Gather", live(2, 5), ints(1, 2, 3), axis=1),
    case("Gather", live(4, 3), ints(2, 0, 2, -1)),
    case("Gather", live(2, 5), ints(4, 1, 1, 0).reshape(2, 2), axis=1),
    case("GatherND", live(4, 3), ints(3, 0, 0).reshape(3, 1)),
    case("GatherND", live(4, 3, 2), ints(3, 2, 0, -1, 0, 0).reshape(3, 2)),
    case("ScatterElements", zeros(4, 2), TARGETS, live(3, 2), axis=0, reduction="add"),
    case("ScatterElements", zeros(2, 4), TARGETS.T.copy(), live(2, 3), axis=1, reduction="add"),
    case("ScatterElements", lowest(4, 2), TARGETS, live(3, 2), axis=0, reduction="max"),
    case("ScatterElements", -lowest(4, 2), TARGETS, live(3, 2), axis=0, reduction="min"),
    case("Where", MASK, live(2, 3), real(0)),
    case("Where", MASK, real(-1), live(2, 3)),
    case("Where", MASK, live(2, 3), live(2, 3, seed=1)),
    case("Where", Live(MASK), live(2, 3), real(0)),
    case("Attention", QUERIES, KEYS, VALUES, opset=23),
    case("Attention", QUERIES, KEYS, VALUES, ALLOWED, opset=23),
    case("Attention", QUERIES, KEYS, VALUES, draw(4, 5), scale=0.3, opset=23),
    case("Attention", QUERIES, KEYS, VALUES, is_causal=1, opset=23),
    case("Attention", QUERIES, KEYS, VALUES, ALLOWED, is_causal=1, opset=23),
    case(
        "Attention",
        live(2, 4, 6),
        live(2, 5, 6, seed=1),
        live(2, 5, 6, seed=2),
        q_num_heads=2,
        kv_num_heads=2,
        opset=23,
    ),
    case("Attention", QUERIES, KEYS, VALUES, softcap=2.0, is_causal=1, opset=23),
    case("Attention", live(2, 4, 4, 3), *(live(2, 2, 5, 3, seed=n) for n in (1, 2)), opset=23),
    case(
        "Attention", QUERIES, KEYS, VALUES, None, *(live(2, 2, 3, 3, seed=n) for n in (3, 4)),
        opset=23, outputs=3,
    ),
    case("Attention", QUERIES, KEYS, VALUES, None, *(live(2, 2, 3, 3, seed=n) for n in (3, 4)),
         is_causal=1, opset=23, outputs=3),
    case("LayerNormalization", live(2, 3, 4), np.ones(4, np.float32), outputs=3),
    case("PRelu", live(2, 3), live(3, seed=1)),
    case("Slice", live(6, 3), ints(4), ints(0), ints(0), ints(-2)),
    case("Slice", live(2, 5), ints(-1), ints(-9), ints(1), ints(-1)),
    case("ScatterElements", live(4, 2), TARGETS, live(3, 2), reduction="add"),
    case("ScatterElements", zeros(4, 2), TARGETS, live(3, 2)),
    case("ScatterElements", live(4, 2), TARGETS, live(3, 2, seed=1), reduction="max"),
    case("ScatterElements", live(4, 2), TARGETS, live(3, 2, seed=1), reduction="min"),
    case("ScatterElements", zeros(4, 2), TARGETS, live(3, 2), reduction="max"),
    case("ScatterElements", zeros(4, 2) + 1, TARGETS, live(3, 2), reduction="add"),
    case("ScatterElements", zeros(4, 2), CROSSED, live(3, 2), reduction="add"),
    case("ScatterElements", live(3, 3), EACH, live(2, 3, seed=1), axis=0),
    case("ScatterElements", live(3, 3), EACH.T.copy(), live(3, 2, seed=1), axis=1),
    case("ScatterElements", live(3, 3), EACH, live(2, 3, seed=1), axis=0, reduction="add"),
    *(
        case("ScatterElements", live(4, 2), CROSSED, live(3, 2, seed=1), reduction=reduction)
        for reduction in ("max", "min", "mul")
    ),
    case("ScatterElements", live(3, 3), EACH.T.copy(), live(3, 2), axis=1, reduction="mul"),
    case("Pow", live(2, 3), draw(2, 3).round()),
    case("Pow", live(2, 3), ints(1, 2, 3)),
    case("Pow", live(2, 3), Live(np.abs(draw(3, seed=1)).round())),
    case("Pow", real(2), live(2, 3)),
    case("BatchNormalization", live(3, 2), *PER_CHANNEL, epsilon=0.01),
    case("BatchNormalization", live(3, 2, 4, 2), *PER_CHANNEL),
    case("InstanceNormalization", live(3, 2, 4), *PER_CHANNEL[:2]),
    case("Pad", live(2, 3), ints(1, 0, 0, 2)),
    case("Pad", live(2, 3), ints(1, 2), real(1.5), ints(1)),
    case("Pad", live(2, 4), ints(0, -1, 1, 2)),
    *(
        case("Pad", live(2, 4), ints(1, 1, 0, 2), mode=mode)
        for mode in ("edge", "reflect", "wrap")
    ),
    case("Swish", live(2, 3), opset=24),
    *(case(op, live(2, 3), live(3)) for op in COMPARISONS),
    *(case(op, live(2, 3)) for op in ("Mish", "Sign", "Softplus", "Softsign", "HardSwish")),
    *(case(op, live(2, 3)) for op in ("Celu", "Elu", "HardSigmoid", "Selu", "ThresholdedRelu")),
    case("Celu", live(2, 3), alpha=0.5),
    case("Elu", live(2, 3), alpha=0.5),
    case("HardSigmoid", live(2, 3), alpha=0.25, beta=0.4),
    case("Selu", live(2, 3), alpha=1.5, gamma=2.0),
    case("ThresholdedRelu", live(2, 3), alpha=-0.5),
    case("ReduceL1", live(2, 3), ints(1)),
    case("ReduceLogSumExp", live(2, 3), ints(1)),
    case("ReduceLogSumExp", live(2, 3), keepdims=0),
]  # fmt: skip


OF_CONDITIONS = {"And", "Cast", "CastLike", "Not", "Or"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operator_equals_the_runtime(case: Case, tmp_path: Path) -> None:
    assert_equals_reference(case.model().load(tmp_path))


def test_every_rule_has_a_case() -> None:
    made_by_patterns, only_refused = {"Rsqrt"}, {"Dropout"}
    without = made_by_patterns | only_refused | OF_CONDITIONS
    assert set(RULES) - {case.op for case in CASES} == without


@pytest.mark.parametrize("op", sorted(OF_CONDITIONS))
def test_operator_on_conditions_equals_the_runtime(op: str, tmp_path: Path) -> None:
    """Conditions are no inputs of an einsum graph, so they are computed first."""
    model = SmallModel(inputs={"x": draw(2, 3), "z": draw(2, 3, seed=1)})
    model.constants = {"zero": np.float32(0), "like": np.float32(0)}
    model.node("Greater", ["x", "zero"], "a").node("Less", ["z", "x"], "b")
    if op == "Cast":
        model.node(op, ["a"], "c", to=TensorProto.FLOAT).node("Mul", ["c", "x"])
    elif op == "CastLike":
        model.node(op, ["a", "like"], "c").node("Mul", ["c", "x"])
    else:
        model.node(op, ["a", "b"][: 1 if op == "Not" else 2], "c").node("Where", ["c", "x", "z"])
    assert_equals_reference(model.load(tmp_path))


REFUSED = [
    (case("Gather", live(4, 3), ints(3, 4)), "outside"),
    (case("GatherND", live(4, 3), ints(0, 1, 2, 0).reshape(4, 1), batch_dims=1), "batch_dims"),
    (case("ScatterElements", zeros(4, 3), TARGETS, live(3, 2), reduction="add"), "leave out"),
    (case("Swish", live(2, 3), alpha=2.0, opset=24), "alpha"),
    (
        case("BatchNormalization", live(3, 2), *PER_CHANNEL, training_mode=1, outputs=3),
        "statistics",
    ),
]


@pytest.mark.parametrize(("case", "word"), REFUSED, ids=[str(case) for case, _ in REFUSED])
def test_form_without_a_rule_is_refused(case: Case, word: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=word) as caught:
        case.model().load(tmp_path)
    assert caught.value.rule == "I002 unsupported-form"
    assert caught.value.findings[0].where.node == "node_0"
