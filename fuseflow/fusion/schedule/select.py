# SPDX-License-Identifier: MIT
"""Selectors: which operations of a graph a part of a schedule speaks of."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Iterable

from fuseflow.errors import ScheduleError
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import (
    Glob,
    KindOf,
    Not,
    OpName,
    OpRange,
    ScopeOf,
    Selector,
)

__all__ = ["nearest", "select", "unknown"]


def select(selector: Selector, graph: EinsumGraph) -> list[Einsum]:
    """Return the operations that a selector matches, in evaluation order.

    Raises:
        ScheduleError: P011 if there are none, with the closest name.
    """
    ops = graph.einsums
    match selector:
        case OpName(name):
            return [_named(name, ops)]
        case Glob(pattern):
            return _some(
                (op for op in ops if fnmatch.fnmatchcase(op.name, pattern)), "operation", pattern
            )
        case ScopeOf(pattern):
            found = (op for op in ops if any(fnmatch.fnmatchcase(s, pattern) for s in _scopes(op)))
            return _some(found, "module", pattern, {s for op in ops for s in _scopes(op)})
        case KindOf(name):
            found = (op for op in ops if name in _kinds(op))
            return _some(found, "kind", name, {kind for op in ops for kind in _kinds(op)})
        case OpRange(first, last):
            start, stop = ops.index(_named(first, ops)), ops.index(_named(last, ops))
            return _some(
                ops[start : stop + 1], "range", f"{first} .. {last}", {f"{last} .. {first}"}
            )
        case Not(inner):
            excluded = {op.name for op in select(inner, graph)}
            return _some((op for op in ops if op.name not in excluded), "operation", "not ..")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ends in `name`, or else the one that is most like it."""
    names = sorted(set(known))
    ending = [other for other in names if other.endswith(f".{name}")]
    if ending:
        return ending[0]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(what: str, name: str, known: Collection[str]) -> ScheduleError:
    """Return the error P011 for a name that does not exist, with the closest one."""
    near = nearest(name, known)
    fix = f'did you mean "{near}"?' if near else f"there are {', '.join(sorted(known)[:8])}"
    return ScheduleError("P011", f'there is no {what} "{name}"', fix=fix if known else None)


def _named(name: str, ops: Iterable[Einsum]) -> Einsum:
    by_name = {op.name: op for op in ops}
    if name not in by_name:
        raise unknown("operation", name, by_name)
    return by_name[name]


def _some(
    found: Iterable[Einsum], what: str, name: str, known: Collection[str] | None = None
) -> list[Einsum]:
    ops = list(found)
    if ops:
        return ops
    if known is None:
        raise ScheduleError("P011", f'no {what} matches "{name}"')
    raise unknown(what, name, known)


def _scopes(op: Einsum) -> set[str]:
    return {path for source in op.sources for path, _ in source.scopes if path}


def _kinds(op: Einsum) -> set[str]:
    """Return the scalar function, the reduction, and the operator that an operation comes from."""
    kinds = {op.fn, op.reduce or "", re.sub(r"_\d+$", "", op.composite)}
    kinds |= {source.op.rpartition(".")[2] for source in op.sources}
    return kinds - {""}
