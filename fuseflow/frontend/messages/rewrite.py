# SPDX-License-Identifier: MIT
"""Message passing: gathers and scatters by constant lists become products with sparse matrices.

Where the edges of a region can be the entries of one matrix, everything between its gathers and
scatters is computed on that pattern: a weighted sum of messages is a product with the adjacency
matrix, a maximum is one over stored entries, a softmax over the edges of a node is a masked one.
Otherwise each gather and scatter is a product with an incidence matrix of its own. A note in the
graph says which form was taken, and why.

Not here: how the lists of edges were found to be constant (the readers do that).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import MapAttrs, OpGraph, OpKind, ScatterAttrs, TensorOp
from fuseflow.frontend.graph.rewrite import rewrite
from fuseflow.frontend.messages.incidence import IncidenceForm
from fuseflow.frontend.messages.pairs import Pairs, pair_up
from fuseflow.frontend.messages.pattern import PatternForm
from fuseflow.frontend.messages.regions import Region, Surroundings, find_regions

__all__ = ["rewrite_messages"]

GUARD = 1e-9
"""What is added to the sum of a softmax so that nothing is divided by 0 is at most this."""


def rewrite_messages(graph: OpGraph) -> OpGraph:
    """Return the graph without gathers and scatters; graphs that have none are not copied."""
    if not any(op.kind in (OpKind.GATHER, OpKind.SCATTER) for op in graph.ops):
        return graph
    around = Surroundings(graph, graph.producers())
    forms, notes = _choose_forms(around)

    def rule(b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str | None:
        if op.output in forms:
            return forms[op.output].rule(b, op, inputs)
        if isinstance(op.attrs, MapAttrs) and op.attrs.fn == "div":
            return _safe_quotient(around, b, op, inputs)
        return None

    result = rewrite(graph, rule)
    result.notes += notes
    return result


def _choose_forms(
    around: Surroundings,
) -> tuple[Mapping[str, PatternForm | IncidenceForm], list[str]]:
    """Return the form of every operator that belongs to a region, and a note on each region."""
    forms: dict[str, PatternForm | IncidenceForm] = {}
    notes: dict[str, None] = {}
    matrices: dict[bytes, str] = {}
    for region in find_regions(around):
        pairs = pair_up(around, region)
        form: PatternForm | IncidenceForm
        if isinstance(pairs, Pairs):
            softmaxes = _find_softmaxes(around, region)
            form = PatternForm(around, region, pairs, softmaxes, matrices)
        else:
            form = IncidenceForm(around, matrices)
        forms.update((op.output, form) for op in region.ops)
        if region.scatters():
            notes.setdefault(_describe(around, region, pairs))
    return forms, list(notes)


def _describe(around: Surroundings, region: Region, pairs: Pairs | str) -> str:
    label = around.label(region.scatters()[0].inputs[1])
    if isinstance(pairs, str):
        return f"{label}: each list of edges becomes an incidence matrix, because {pairs}"
    merged = f", {pairs.repeats} repetitions merged" if pairs.repeats else ""
    shape = f"{pairs.rows}x{pairs.columns}"
    return f"{label}: {len(pairs.targets)} edges become the entries of a {shape} matrix{merged}"


def _find_softmaxes(around: Surroundings, region: Region) -> dict[str, str]:
    """Return the scores of each softmax over the edges of a target, by the name of its result."""
    found = {}
    for op in region.ops:
        scores = _softmax_scores(around, op)
        if scores in region.axes:
            found[op.output] = scores
    return found


def _softmax_scores(around: Surroundings, op: TensorOp) -> str:
    """Match exp(s - max(s)) / sum(exp(s - max(s))), both per target; return s, or "".

    The maximum may be that of s and a number: a softmax is the same whatever is subtracted.
    """
    if not _is_map(op, "div"):
        return ""
    exponential = _producer(around, op.inputs[0])
    if exponential is None or not _is_map(exponential, "exp"):
        return ""
    shifted = _producer(around, exponential.inputs[0])
    if shifted is None or not _is_map(shifted, "sub"):
        return ""
    total = _gathered(around, op.inputs[1])
    if total is not None and _is_guard(total):
        total = _producer(around, total.inputs[0])
    largest = _gathered(around, shifted.inputs[1])
    if largest is not None and _is_map(largest, "max_scalar"):
        largest = _producer(around, largest.inputs[0])
    is_softmax = _scatters(total, "add", exponential.output) and _scatters(
        largest, "max", shifted.inputs[0]
    )
    return shifted.inputs[0] if is_softmax else ""


def _producer(around: Surroundings, name: str) -> TensorOp | None:
    return around.producers.get(name)


def _is_map(op: TensorOp | None, fn: str) -> bool:
    return op is not None and isinstance(op.attrs, MapAttrs) and op.attrs.fn == fn


def _gathered(around: Surroundings, name: str) -> TensorOp | None:
    """Return what computes the value that `name` was gathered from."""
    op = _producer(around, name)
    is_gather = op is not None and op.kind is OpKind.GATHER
    return _producer(around, op.inputs[0]) if op is not None and is_gather else None


def _is_guard(op: TensorOp) -> bool:
    is_sum = isinstance(op.attrs, MapAttrs) and op.attrs.fn == "add_scalar"
    return is_sum and isinstance(op.attrs, MapAttrs) and 0 <= op.attrs.parameters[0] <= GUARD


def _scatters(op: TensorOp | None, kind: str, name: str) -> bool:
    """True if `op` combines the values `name` of the edges of each target."""
    if op is None or not isinstance(op.attrs, ScatterAttrs):
        return False
    return op.attrs.op == kind and op.inputs[0] == name


def _safe_quotient(
    around: Surroundings, b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]
) -> str | None:
    """Divide by constants other than 0, such as degrees, so that nothing stored is added."""
    divisor = around.constant(op.inputs[1])
    if divisor is None or divisor.size == 1 or not divisor.all() or np.isnan(divisor).any():
        return None
    return b.map("safe_div", *inputs)
