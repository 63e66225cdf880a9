# SPDX-License-Identifier: MIT
"""Which reduction stands in the way of every order, and would not if it had a loop of its own.

A softmax reduces the row that it divides later, in one loop, so that the row is computed once. If
that loop must enclose another one, for the sake of what comes later, the row would be needed again
after it is gone. With a loop of its own the reduction computes what it reduces for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from fuseflow.fusion.analysis.views import Use
from fuseflow.fusion.orders.search import Rejected
from fuseflow.fusion.plan.space import OrderSpace
from fuseflow.ir.einsum import Einsum

__all__ = ["uses_in_the_way"]


def uses_in_the_way(rejected: Sequence[Rejected], space: OrderSpace) -> frozenset[Use]:
    """Return the operands of the reduction that rules out most orders, as uses to set apart.

    Nothing if there is none, or if what it reduces may not be computed again.
    """
    counts: Counter[str] = Counter()
    uses: dict[str, frozenset[Use]] = {}
    made = {op.output.value for op in space.region.ops}
    for each in rejected:
        view = each.error.needs_apart
        if view is not None and view.op is not None:
            counts[view.op.name] += 1
            uses[view.op.name] = _reduced_uses(view.op, made)
    allowed = [
        name
        for name, found in uses.items()
        if not found <= space.apart and all(v not in made or space.may_copy(v) for v, _ in found)
    ]
    if not allowed:
        return frozenset()
    return uses[max(allowed, key=lambda name: (counts[name], name))]


def _reduced_uses(op: Einsum, made: Collection[str]) -> frozenset[Use]:
    """Return the uses of what is reduced: of computed values, or else of tensors."""
    reduced = [a.value for a in op.operands if set(a.indices) & set(op.over)]
    computed = [value for value in reduced if value in made]
    return frozenset((value, op.name) for value in computed or reduced)
