# SPDX-License-Identifier: MIT
"""ATen operators whose results are conditions, which become the numbers 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.comparisons import COMPARISONS, negation
from fuseflow.frontend.torch.args import Call, Rule

__all__ = ["CONDITION_RULES"]


def _comparison(spell: Callable[[OpBuilder, str, str], str]) -> Rule:
    return lambda call: spell(call.builder, call.tensor("self"), call.tensor("other"))


def _not(call: Call) -> str:
    return negation(call.builder, call.tensor("self"))


def _both(call: Call) -> str:
    return call.builder.map("mul", call.tensor("self"), call.tensor("other"))


def _either(call: Call) -> str:
    return call.builder.map("max", call.tensor("self"), call.tensor("other"))


def _over(op: str) -> Rule:
    def rule(call: Call) -> str:
        keepdim = bool(call.get("keepdim", False))
        return call.builder.reduce(op, call.tensor("self"), call.dims(), keepdim=keepdim)

    return rule


CONDITION_RULES: Mapping[str, Rule] = {
    **{name: _comparison(spell) for name, spell in COMPARISONS.items()},
    "all": _over("min"),
    "any": _over("max"),
    "bitwise_and": _both,
    "bitwise_not": _not,
    "bitwise_or": _either,
    "logical_and": _both,
    "logical_not": _not,
    "logical_or": _either,
}
"""Rules for operands that are conditions; those of comparisons are numbers."""
