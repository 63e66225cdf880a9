# SPDX-License-Identifier: MIT
"""The decisions behind a program in words, one page per kernel.

What was fused and what ends a kernel, which order was chosen and why, what is shared, what is
computed more often than needed, what is made dense, what is copied. Costs are expected counts of
tokens, reads and entries held (`estimate`), not cycles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fuseflow.fusion.analysis.domains import EVERYTHING
from fuseflow.fusion.analysis.views import View
from fuseflow.fusion.auto.text import describe_search
from fuseflow.fusion.explain.names import short_names, shorten
from fuseflow.fusion.explain.orders import find_thrifty, recomputed
from fuseflow.fusion.pipeline import Fused
from fuseflow.fusion.plan.group import Planned
from fuseflow.fusion.schedule.machine import lanes_of

__all__ = ["explain", "explain_kernel"]

LABEL = 11


def explain(fused: Fused) -> Iterator[str]:
    """Yield the lines for a whole program; names are cut to what tells them apart."""
    short = short_names(fused.state.graph.values)
    total = len({name for planned in fused.plans for name in planned.kernel.einsums})
    yield f"{fused.program.name}: {total} operations in {len(fused.plans)} kernels"
    if fused.state.search is not None:
        yield from describe_search(fused.state.search)
    if any(cut != name for name, cut in short.items()):
        yield "names are cut to a suffix that no other name has; a schedule wants them whole"
    barriers = fused.state.decisions.barriers if fused.state.decisions is not None else {}
    for planned in fused.plans:
        yield ""
        for line in explain_kernel(planned, barriers):
            yield shorten(line, short)


def explain_kernel(planned: Planned, barriers: Mapping[str, str]) -> Iterator[str]:
    """Yield the page of one kernel; `barriers` has the reason for values written to memory."""
    kernel = planned.kernel
    count = len(kernel.einsums)
    what = "1 operation" if count == 1 else f"{count} operations fused"
    yield f"kernel {kernel.name}: {what}, {len(kernel.nodes)} nodes"
    sections = (
        ("computes", (f"{op}" for op in planned.region.ops)),
        ("order", _order(planned)),
        ("shared", _shared(planned)),
        ("recomputed", _recomputed(planned)),
        ("dense", _dense(planned)),
        ("assumes", _assumed(planned)),
        ("copies", _copies(planned)),
        ("lanes", (f"{name} by {n}" for name, n in lanes_of(planned).items())),
        ("reads", _reads(planned)),
        ("writes", _writes(planned, barriers)),
    )
    for label, lines in sections:
        for number, line in enumerate(lines):
            yield f"  {'' if number else label:{LABEL}}{line}"


def _order(planned: Planned) -> Iterator[str]:
    classes = planned.plan.graph.classes
    nest = " -> ".join(f"{name}:{classes[name]}" for name in planned.plan.order)
    yield nest or "no loops: everything is a scalar"
    if planned.meant:
        why = planned.meant
    elif planned.wishes.total is not None:
        why = "as the schedule says"
    elif planned.tried == 1:
        why = "the only legal order that was found"
    else:
        why = f"of {planned.tried} legal orders compared: {_against_row_wise(planned)}"
    yield why
    yield f"expected cost {planned.expected.cost:.4g} tokens, reads and entries held"


def _against_row_wise(planned: Planned) -> str:
    cost, row_wise = planned.expected.cost, planned.row_wise
    if row_wise is None:
        return "the row-wise order is not legal"
    if cost == row_wise:
        return "row-wise, and no other one is clearly cheaper"
    if cost > row_wise:
        return f"the row-wise one would cost {row_wise:.4g}, but computes a value too often"
    return f"{1 - cost / row_wise:.0%} cheaper than the row-wise one ({row_wise:.4g})"


def _shared(planned: Planned) -> Iterator[str]:
    """Say which results have several readers, and which tensors are entered in several ways."""
    graph = planned.plan.graph
    copies = Counter(view.value for view in graph.ops)
    for view in reversed(graph.ops):
        users = list(dict.fromkeys(user.value for user in view.consumers))
        if len(users) > 1:
            once = "is computed once and" if copies[view.value] == 1 else "in one of its copies is"
            yield f"{view.value} {once} streamed to {', '.join(users)}"
    entered: dict[str, list[View]] = {}
    for leaf in graph.leaves:
        entered.setdefault(leaf.value, []).append(leaf)
    for value, leaves in entered.items():
        if len(leaves) > 1:
            yield f"{value} is entered {len(leaves)} times: {', '.join(map(str, leaves))}"


def _recomputed(planned: Planned) -> Iterator[str]:
    causes: dict[str, list[str]] = {}
    for value, factor in recomputed(planned).items():
        causes.setdefault(f"{factor:.3g} times over, {_cause(planned, value)}", []).append(value)
    for cause, values in causes.items():
        yield f"{', '.join(values)}: {cause}"
    yield from _apart(planned)
    if not causes:
        return
    thrifty = find_thrifty(planned)
    if thrifty is None:
        yield "no order was found that avoids it"
        return
    yield f"avoided by the order {' -> '.join(thrifty.order)}"
    yield f"  expected cost {thrifty.cost:.4g} instead of {planned.expected.cost:.4g}"
    for leaf in thrifty.copied:
        yield f"  needs a copy of {leaf.value}, stored by ({_in_order(leaf, thrifty.order)})"


def _cause(planned: Planned, value: str) -> str:
    """Say in which loops a value is computed anew; if in several copies, for whom each one is."""
    views = [view for view in planned.plan.graph.ops if view.value == value]
    if len(views) == 1:
        return f"anew for {_context(planned, views[0])}"
    copies = []
    for view in reversed(views):
        users = list(dict.fromkeys(user.value for user in view.consumers))
        users += ["memory"] if planned.plan.graph.is_output(view) else []
        copies.append(f"for {' and '.join(users)} {_context(planned, view)}")
    counted = Counter(copies).items()
    uses = [use if count == 1 else f"{count} of them {use}" for use, count in counted]
    return f"in {len(views)} copies: {'; '.join(uses)}"


def _context(planned: Planned, view: View) -> str:
    loops = planned.plan.nests[view].context
    return f"each {', '.join(loops)}" if loops else "once"


def _apart(planned: Planned) -> Iterator[str]:
    """Say which reductions have loops of their own, and read what they reduce anew."""
    asked = planned.wishes.recomputed
    for view in reversed(planned.plan.graph.ops):
        assert view.op is not None
        for value, user in sorted(planned.space.apart):
            if view.op.name == user and view.reduced and value not in asked:
                loops = ", ".join(view.reduced)
                yield f"{value} is reduced to {view.value} in a loop of its own, {loops}"


def _in_order(leaf: View, order: Sequence[str]) -> str:
    return ",".join(sorted(leaf.binding, key=order.index))


def _dense(planned: Planned) -> Iterator[str]:
    """Say where a loop visits every coordinate although an operand stores only some."""
    plan = planned.plan
    for view in reversed(plan.graph.ops):
        for name in plan.nests[view].full:
            if name in view.own and plan.domains.at[view, name] == EVERYTHING:
                sparse = [v.value for v in view.operands if _is_sparse(planned, v, name)]
                if sparse:
                    size = plan.graph.classes[name]
                    reason = _why_dense(planned, view, name)
                    yield (
                        f"{view.value} visits all {size} of {name}, not only what "
                        f"{', '.join(dict.fromkeys(sparse))} has: {reason}"
                    )
        full = [name for name in plan.nests[view].result if (view, name) in plan.domains.full]
        if full:
            every = " and ".join(f"all {plan.graph.classes[name]} of {name}" for name in full)
            yield f"{view.value} comes out of its accumulator with {every}"


def _assumed(planned: Planned) -> Iterator[str]:
    """Name the values that are skipped where the other operand is absent, and may be infinite."""
    fills = planned.space.fills
    some = False
    for op in planned.space.region.ops:
        names = fills.assumed(op)
        if names:
            some = True
            verb, them = ("is", "it") if len(names) == 1 else ("are", "them")
            yield f"{' and '.join(names)} {verb} finite where {op.output.value} skips {them}"
    if some:
        yield "--strict-nonfinite does without"


def _is_sparse(planned: Planned, operand: View, name: str) -> bool:
    """Return True if an operand has only some coordinates of a loop."""
    if name not in operand.binding:
        return False
    if operand.op is None:
        assert operand.format is not None
        level = operand.format.mode_order.index(operand.binding.index(name))
        return operand.format.levels[level].is_stored
    plan = planned.plan
    if (operand, name) in plan.domains.full:
        return False
    detached = plan.domains.detached(operand, name, plan.nests[operand])
    return detached and plan.domains.at[operand, name] != EVERYTHING


def _why_dense(planned: Planned, view: View, name: str) -> str:
    assert view.op is not None
    plan, fills = planned.plan, planned.space.fills
    if plan.domains.support.get((view, name)) != EVERYTHING:
        return "what reads it needs every coordinate"
    full = [v.value for v in view.operands if not _is_sparse(planned, v, name)]
    if full:
        return f"{view.op.fn} with {', '.join(full)}, which is everywhere"
    absent = ", ".join(f"{v.value} is {fills.value[v.value]:g}" for v in view.operands)
    return f"{view.op.fn} where {absent} is not nothing"


def _copies(planned: Planned) -> Iterator[str]:
    for leaf, name in planned.copies.items():
        tensor = planned.values[name].tensor
        entries = tensor.stored if tensor is not None else 0
        order = _in_order(leaf, planned.plan.order)
        yield f"{leaf.value} is read from {name}, stored by ({order}): {entries} entries"


def _reads(planned: Planned) -> Iterator[str]:
    yield ", ".join(planned.kernel.tensors_read())


def _writes(planned: Planned, barriers: Mapping[str, str]) -> Iterator[str]:
    for name in planned.kernel.tensors_written():
        reason = barriers.get(name)
        why = f": a barrier, {reason}" if reason else ""
        yield f"{name} as {str(planned.values[name].format) or 'a scalar'}{why}"
