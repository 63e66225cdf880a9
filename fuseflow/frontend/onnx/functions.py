# SPDX-License-Identifier: MIT
"""ONNX functions that are spelled with several others: activations, conditions, reductions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.frontend.graph import activations, comparisons, spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.onnx.context import Rule, RuleContext

__all__ = ["FUNCTION_RULES"]


def _of_operand(spell: Callable[[OpBuilder, str], str]) -> Rule:
    return lambda c: spell(c.builder, c.value(0))


def _comparison(name: str) -> Rule:
    spell = comparisons.COMPARISONS[name]
    return lambda c: spell(c.builder, c.value(0), c.value(1))


def _pairwise(fn: str) -> Rule:
    return lambda c: c.builder.map(fn, c.value(0), c.value(1))


def _number_of(c: RuleContext) -> str:
    """Return a condition, which is a number already; nothing else may change its type."""
    from onnx import TensorProto

    if c.live.types[c.node.input(0)].tensor_type.elem_type != TensorProto.BOOL:
        raise c.error("a computed value must stay float32", fix="export in float32")
    return c.value(0)


def _dropout(c: RuleContext) -> str:
    raise c.error("it drops values at random", fix="export in eval mode")


def _elu(c: RuleContext) -> str:
    return activations.elu(c.builder, c.value(0), c.real("alpha"))


def _celu(c: RuleContext) -> str:
    return activations.celu(c.builder, c.value(0), c.real("alpha"))


def _selu(c: RuleContext) -> str:
    return activations.selu(c.builder, c.value(0), c.real("alpha"), c.real("gamma"))


def _hard_sigmoid(c: RuleContext) -> str:
    return activations.hard_sigmoid(c.builder, c.value(0), c.real("alpha"), c.real("beta"))


def _softsign(c: RuleContext) -> str:
    b, x = c.builder, c.value(0)
    with b.composite("softsign"):
        return b.map("div", x, spellings.scalar(b, "add", b.map("abs", x), 1.0))


def _thresholded_relu(c: RuleContext) -> str:
    b, x = c.builder, c.value(0)
    above = comparisons.COMPARISONS["gt"](b, x, b.constant(c.real("alpha")))
    return b.map("mul", x, above)


FUNCTION_RULES: Mapping[str, Rule] = {
    "And": _pairwise("mul"),
    "Cast": _number_of,
    "CastLike": _number_of,
    "Celu": _celu,
    "Dropout": _dropout,
    "Elu": _elu,
    "Equal": _comparison("eq"),
    "Greater": _comparison("gt"),
    "GreaterOrEqual": _comparison("ge"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _of_operand(activations.hard_swish),
    "Less": _comparison("lt"),
    "LessOrEqual": _comparison("le"),
    "Mish": _of_operand(activations.mish),
    "Not": _of_operand(comparisons.negation),
    "Or": _pairwise("max"),
    "Selu": _selu,
    "Sign": _of_operand(comparisons.sign),
    "Softplus": _of_operand(activations.softplus),
    "Softsign": _softsign,
    "ThresholdedRelu": _thresholded_relu,
}
