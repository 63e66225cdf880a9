# SPDX-License-Identifier: MIT
"""What a dialect of ComalGraph cannot carry, and what runs there only with luck.

Nodes are checked before `adapt` rewrites a kernel, missing tokens afterwards. All findings of one
kind come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from fuseflow.errors import Finding, InterchangeError, Location
from fuseflow.interop.comal.schema import LATEST, PUBLIC
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.drops import written_drops
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op

__all__ = ["ALU_OPS", "check_missing", "check_nodes"]

ALU_OPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "add": ("ADD", (LATEST, PUBLIC)),
    "sub": ("SUB", (LATEST, PUBLIC)),
    "mul": ("MUL", (LATEST, PUBLIC)),
    "div": ("DIV", (LATEST, PUBLIC)),
    "exp": ("EXP", (LATEST, PUBLIC)),
    "sin": ("SIN", (LATEST,)),
    "cos": ("COS", (LATEST,)),
    "relu": ("MAX", (LATEST,)),
    "max_scalar": ("MAX", (LATEST,)),
    "add_scalar": ("SCALARADD", (LATEST,)),
    "mul_scalar": ("SCALARMUL", (LATEST,)),
    "div_scalar": ("SCALARDIV", (LATEST,)),
    "rsqrt": ("RSQRT", (LATEST,)),
    "sigmoid": ("SIGMOID", (LATEST,)),
}
"""Name in the format by our name, and the dialects whose simulator computes it."""

_ABSENT = {
    Op.REPLAY: "a replay of lists",
    Op.MASK: "a mask",
    Op.VALDROP: "a filter of values",
    Op.CONCAT: "a concatenation",
}
_LATEST_ONLY = (Op.FORK, Op.GATHER)


def check_nodes(draft: Draft, dialect: str) -> None:
    """Refuse nodes of a kernel that no rewriting puts into the dialect.

    Raises:
        InterchangeError: X004 with a finding for every such node.
    """
    drops = written_drops(draft)
    _raise_any(
        draft,
        dialect,
        (
            (node, f"cannot express it: {problem}")
            for node in draft.nodes
            for problem in _problems(node, dialect, drops)
        ),
    )


def check_missing(draft: Draft, dialect: str) -> None:
    """Refuse nodes of an adapted kernel that compute something else there where tokens are missing.

    Adds remarks on what runs there only with luck; the draft must be sorted.

    Raises:
        InterchangeError: X004 with a finding for every such node.
    """
    missing = _may_miss(draft)
    _raise_any(
        draft,
        dialect,
        (
            (node, f"takes what is missing for 0: {problem}")
            for node in draft.nodes
            for problem in _wrong_fill(node, missing)
        ),
    )
    draft.remarks += [remark for node in draft.nodes for remark in _risks(node, missing)]


def _raise_any(draft: Draft, dialect: str, problems: Iterable[tuple[DraftNode, str]]) -> None:
    findings = [
        Finding("X004", f"{dialect} {message}", Location(graph=draft.name, node=node.name))
        for node, message in problems
    ]
    if findings:
        raise InterchangeError.from_findings(findings)


def _problems(node: DraftNode, dialect: str, drops: Collection[DraftNode]) -> Iterator[str]:
    if node.op in _ABSENT:
        yield _ABSENT[node.op]
    elif node.op in _LATEST_ONLY and dialect == PUBLIC:
        yield f"a {node.op}"
    if node.op is Op.DROP and node not in drops:
        yield "a drop whose inner coordinates are not written"
    check = _CHECKS.get(node.op)
    if check is not None:
        yield from check(node, node.attrs, dialect)


def _alu(_node: DraftNode, attrs: Any, dialect: str) -> Iterator[str]:
    fn = "mul" if attrs.fn == "square" else attrs.fn
    _, dialects = ALU_OPS.get(fn, ("", ()))
    if dialect not in dialects:
        yield f"the function {attrs.fn}"


def _reduce(_node: DraftNode, attrs: Any, dialect: str) -> Iterator[str]:
    if attrs.op not in ("add", "max") or (attrs.op == "max" and dialect == PUBLIC):
        yield f"a reduction by {attrs.op}"
    if attrs.extent is not None or attrs.tile_axis:
        yield "a reduction that counts entries it does not see"
    if attrs.op == "add" and attrs.empty:
        yield f"an empty sum of {attrs.empty:g}"


def _spacc(_node: DraftNode, attrs: Any, dialect: str) -> Iterator[str]:
    most = 1 if dialect == PUBLIC else 2
    if attrs.order > most:
        yield f"an accumulator of order {attrs.order}"
    if attrs.op != "add":
        yield f"an accumulator by {attrs.op}"
    if any(attrs.full) and (attrs.order > 1 or attrs.missing or dialect == PUBLIC):
        yield "an accumulator that sends keys without values"
    if attrs.extent is not None:
        yield "an accumulator that counts entries it does not see"


def _val_write(node: DraftNode, _attrs: Any, _dialect: str) -> Iterator[str]:
    if node.inputs[1] is not None:
        yield "values written at references"


def _fork(node: DraftNode, _attrs: Any, _dialect: str) -> Iterator[str]:
    if node.outputs[-1] is not None:
        yield "a fork that tells its lanes"


def _gather(node: DraftNode, _attrs: Any, _dialect: str) -> Iterator[str]:
    if node.inputs[-1] is not None:
        yield "a gather that is told the lanes"


_CHECKS: Mapping[Op, Callable[[DraftNode, Any, str], Iterator[str]]] = {
    Op.ALU: _alu,
    Op.REDUCE: _reduce,
    Op.SPACC: _spacc,
    Op.VAL_WRITE: _val_write,
    Op.FORK: _fork,
    Op.GATHER: _gather,
}


def _may_miss(draft: Draft) -> set[int]:
    """Return the wires on which a token may be missing; unions make them, copies pass them on."""
    missing: set[int] = set()
    for node in draft.nodes:
        if isinstance(node.attrs, df.JoinAttrs) and node.attrs.keep != "intersect":
            missing |= {wire for wire in node.outputs[1:] if wire is not None}
        missing |= {copy for source, copy in node.copied() if source in missing}
    return missing


def _wrong_fill(node: DraftNode, missing: set[int]) -> Iterator[str]:
    """Yield why a node computes something else there where a token is missing.

    A missing reference or operand is 0, and a function of one operand stops the simulator.
    """
    arrives = [wire in missing for wire in node.inputs if wire is not None]
    match node.attrs:
        case df.AluAttrs(fn=fn, fills=fills):
            pairs = zip(fills, arrives, strict=False)
            yield from (f"{fn} wants {fill:g}" for fill, some in pairs if some and fill)
            if len(fills) == 1 and any(arrives):
                yield f"{fn} has no other operand"
        case df.ArrayAttrs(fill=fill) | df.ReduceAttrs(fill=fill) | df.SpaccAttrs(fill=fill):
            if fill and any(arrives):
                yield f"{node.op} wants {fill:g}"


def _risks(node: DraftNode, missing: set[int]) -> Iterator[str]:
    arriving = [wire for wire in node.inputs if wire in missing]
    if node.op is Op.SCAN and arriving:
        yield f"{node.name}: an absent fiber below a union has no stop of its own in Comal"
    if isinstance(node.attrs, df.ReduceAttrs) and node.attrs.op == "max":
        yield f"{node.name}: a maximum of nothing, or of negative numbers, may be 0 in Comal"
    if node.op in (Op.FORK, Op.GATHER):
        yield f"{node.name}: the length of every list must be a multiple of the lanes in Comal"
