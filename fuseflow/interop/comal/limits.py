# SPDX-License-Identifier: MIT
"""What a dialect of ComalGraph cannot carry, and what is computed there differently or by luck.

A node is refused if no operator has its ports. What an operator exists for, but no simulator
computes, is written all the same, with a remark: our own reader restores it (`restore.py`). A
remark with the words "other values there" is one on which no other tool should build.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fuseflow.errors import Finding, InterchangeError, Location
from fuseflow.interop.comal.schema import LATEST, PUBLIC
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.drops import written_drops
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op

__all__ = ["ALU_OPS", "NEAREST", "check_nodes", "is_function", "remark_missing"]

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

NEAREST: Mapping[str, tuple[str, str]] = {
    "safe_sub": ("sub", "where both operands are -inf"),
    "safe_div": ("div", "where both operands are 0"),
    "masked": ("mul", "where the mask is not set"),
}
"""For functions of two operands that no dialect has: what comes close, and where it differs."""

_ABSENT = {
    Op.REPLAY: "a replay of lists",
    Op.MASK: "a mask",
    Op.CONCAT: "a concatenation",
}
_LATEST_ONLY = (Op.FORK, Op.GATHER)


def check_nodes(draft: Draft, dialect: str) -> None:
    """Refuse nodes of a kernel that no operator of the dialect has the ports for.

    Raises:
        InterchangeError: X004 with a finding for every such node.
    """
    drops = written_drops(draft)
    findings = [
        Finding(
            "X004",
            f"{dialect} cannot express it: {problem}",
            Location(graph=draft.name, node=node.name),
        )
        for node in draft.nodes
        for problem in _problems(node, dialect, drops)
    ]
    if findings:
        raise InterchangeError.from_findings(findings)


def remark_missing(draft: Draft) -> None:
    """Remark on nodes of an adapted kernel that compute something else there, or run by luck.

    The draft must be sorted.
    """
    missing = _may_miss(draft)
    for node in draft.nodes:
        wrong = _wrong_fill(node, missing)
        draft.remarks += [f"{node.name}: {why}: other values there" for why in wrong]
        draft.remarks += _risks(node, missing)


def is_function(node: DraftNode, dialect: str) -> bool:
    """Return whether a node becomes a function by its attributes; no simulator runs those."""
    match node.attrs:
        case df.AluAttrs(fn=fn, fills=fills):
            return len(fills) == 1 and dialect not in ALU_OPS.get(fn, ("", ()))[1]
        case df.ReduceAttrs(op=op, extent=extent, empty=empty):
            known = op == "add" or (op == "max" and dialect != PUBLIC)
            return not known or extent is not None or (op == "add" and bool(empty))
        case df.SpaccAttrs(op=op, order=order, extent=extent):
            most = 1 if dialect == PUBLIC else 2
            return order > most or op != "add" or extent is not None
    return node.op is Op.VALDROP


def _problems(node: DraftNode, dialect: str, drops: Collection[DraftNode]) -> Iterator[str]:
    if node.op in _ABSENT:
        yield _ABSENT[node.op]
    elif node.op in _LATEST_ONLY and dialect == PUBLIC:
        yield f"a {node.op}"
    match node.attrs:
        case df.AluAttrs(fn=fn, fills=fills):
            if len(fills) == 2 and fn not in ALU_OPS and fn not in NEAREST:
                yield f"the function {fn} of two operands"
        case df.ReduceAttrs(tile_axis=axis) if axis:
            yield "a reduction of tiles"
        case df.ValWriteAttrs() if node.inputs[1] is not None:
            yield "values written at references"
    if node.op is Op.DROP and node not in drops:
        yield "a drop whose inner coordinates are not written"


def _may_miss(draft: Draft) -> set[int]:
    """Return the wires on which a token may be missing; unions make them, copies pass them on."""
    missing: set[int] = set()
    for node in draft.nodes:
        if isinstance(node.attrs, df.JoinAttrs) and node.attrs.keep != "intersect":
            missing |= {wire for wire in node.outputs[1:] if wire is not None}
        missing |= {copy for source, copy in node.copied() if source in missing}
    return missing


def _wrong_fill(node: DraftNode, missing: set[int]) -> Iterator[str]:
    """Yield what a node takes for a missing token, which is 0 there, or stops a function."""
    arrives = [wire in missing for wire in node.inputs if wire is not None]
    match node.attrs:
        case df.AluAttrs(fn=fn, fills=fills):
            pairs = zip(fills, arrives, strict=False)
            wanted = (fill for fill, some in pairs if some and fill)
            yield from (f"it takes what is missing for {fill:g}" for fill in wanted)
            if len(fills) == 1 and any(arrives):
                yield f"{fn} of what is missing"
        case df.ArrayAttrs(fill=fill) | df.ReduceAttrs(fill=fill) | df.SpaccAttrs(fill=fill):
            if fill and any(arrives):
                yield f"it takes what is missing for {fill:g}"


def _risks(node: DraftNode, missing: set[int]) -> Iterator[str]:
    arriving = [wire for wire in node.inputs if wire in missing]
    if node.op is Op.SCAN and arriving:
        yield f"{node.name}: an absent fiber below a union has no stop of its own in Comal"
    if isinstance(node.attrs, df.ReduceAttrs) and node.attrs.op == "max":
        yield f"{node.name}: a maximum of nothing, or of negative numbers, may be 0 in Comal"
    if node.op in (Op.FORK, Op.GATHER):
        yield f"{node.name}: the length of every list must be a multiple of the lanes in Comal"
