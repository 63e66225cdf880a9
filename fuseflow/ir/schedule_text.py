# SPDX-License-Identifier: MIT
"""Prints schedules in the notation that users write; `schedule_parse` reads it back.

    strategy layer;
    fuse l1 = adj1 .. relu1 { order i -> k -> f -> h; value adj1 recompute; };
    for kind(relu) { fifo 64; };
    budget recompute=1.5;

A name is a bare word where that is unambiguous, else it stands in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fuseflow.ir.schedule import (
    Assoc,
    Block,
    Budget,
    Choice,
    Directive,
    Fifo,
    FuseGroup,
    Glob,
    IndexRef,
    Iterate,
    KindOf,
    Not,
    OpName,
    OpRange,
    Order,
    Parallel,
    Permute,
    Route,
    Schedule,
    Scoped,
    ScopeOf,
    Selector,
    Store,
)

__all__ = ["BUDGET_KEYS", "WORD", "format_schedule", "quote"]

# A single dot or hyphen is part of a word; "..", "->" and all other punctuation end it.
WORD = re.compile(r'(?:[^\s,;:{}()\[\]#"=.\\-]|\.(?!\.)|-(?!>))+')
BUDGET_KEYS = tuple(Budget.__dataclass_fields__)
LINE = 98
# Words that start something else where a name may stand.
_RESERVED = frozenset({"not", "only"})


def format_schedule(schedule: Schedule) -> str:
    """Return the text of a schedule; reading it gives an equal one."""
    return "".join(f"{statement};\n" for statement in _statements(schedule))


def quote(name: str) -> str:
    """Return a name as a bare word, or in quotes if it would be read as something else."""
    is_word = WORD.fullmatch(name) and not name.endswith(".") and name not in _RESERVED
    if is_word and "*" not in name and "?" not in name:
        return name
    return _string(name)


def _statements(schedule: Schedule) -> Iterable[str]:
    if schedule.strategy is not None:
        depth = f" scope_depth {schedule.scope_depth}" if schedule.scope_depth else ""
        yield f"strategy {schedule.strategy}{depth}"
    limits = [(key, getattr(schedule.budget, key)) for key in BUDGET_KEYS]
    if any(limit is not None for _, limit in limits):
        texts = [f"{key}={_number(limit)}" for key, limit in limits if limit is not None]
        yield f"budget {', '.join(texts)}"
    if schedule.reassociate:
        yield "reassociate on"
    if schedule.strict_nonfinite:
        yield "strict_nonfinite on"
    yield from map(_group, schedule.groups)
    yield from map(_scoped, schedule.scoped)


def _group(group: FuseGroup) -> str:
    members = _wrap(f"fuse {quote(group.name)} = ", list(map(_selector, group.members)))
    body = f" {_body(group.directives)}" if group.directives else ""
    return f"{members}{body}"


def _wrap(start: str, items: Sequence[str]) -> str:
    """Return a list of items in lines that are not longer than they need be."""
    lines = [start + items[0]]
    for item in items[1:]:
        if len(lines[-1]) + len(item) + 2 > LINE:
            lines[-1] += ","
            lines.append(f"    {item}")
        else:
            lines[-1] += f", {item}"
    return "\n".join(lines)


def _scoped(scoped: Scoped) -> str:
    return f"for {_selector(scoped.target)} {_body(scoped.directives)}"


def _body(directives: Iterable[Directive]) -> str:
    lines = [f"  {_choice(d.choice)}{_because(d.reason)};\n" for d in directives]
    return "{\n" + "".join(lines) + "}"


def _because(reason: str) -> str:
    return f" because {_string(reason)}" if reason else ""


def _selector(selector: Selector) -> str:
    match selector:
        case OpName(name):
            return quote(name)
        case Glob(pattern):
            return f"glob({_string(pattern)})" if not _is_bare_glob(pattern) else pattern
        case ScopeOf(pattern):
            return f"scope({_pattern(pattern)})"
        case KindOf(name):
            return f"kind({quote(name)})"
        case OpRange(first, last):
            return f"{quote(first)} .. {quote(last)}"
        case Not(inner):
            return f"not {_selector(inner)}"


def _choice(choice: Choice) -> str:
    match choice:
        case Order(chain, total):
            return f"order {'only ' if total else ''}{' -> '.join(map(_index, chain))}"
        case Iterate(mode):
            return f"iterate {mode}"
        case Assoc(expression):
            return f"assoc {expression}"
        case Store():
            return _store(choice)
        case Parallel(index, factor, join):
            return f"parallel {_index(index)} by {factor}{f' join {join}' if join else ''}"
        case Block(tiles):
            return "block " + ", ".join(f"{_index(tile.index)}:{tile.size}" for tile in tiles)
        case Route(value, route, use):
            return f"value {quote(value)} {route}{f' for {quote(use)}' if use else ''}"
        case Permute(tensor, order):
            return f"permute {quote(tensor)} to ({', '.join(map(_index, order))})"
        case Fifo(capacity):
            return f"fifo {'auto' if capacity is None else capacity}"


def _store(store: Store) -> str:
    levels: list[str] = list(map(str, store.levels))
    if store.tile:
        levels.append(f"block({', '.join(map(str, store.tile))})")
    modes = f" modes ({', '.join(map(_index, store.modes))})" if store.modes else ""
    fill = "" if store.fill is None else f" fill {_number(store.fill)}"
    return f"format {quote(store.tensor)} [{', '.join(levels)}]{modes}{fill}"


def _number(number: float) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def _index(ref: IndexRef) -> str:
    """Return an index; the last dot separates it from its operation, so its name has none."""
    return quote(str(ref))


def _pattern(pattern: str) -> str:
    return pattern if WORD.fullmatch(pattern) else _string(pattern)


def _is_bare_glob(pattern: str) -> bool:
    is_word = WORD.fullmatch(pattern) and not pattern.endswith(".")
    return bool(is_word) and ("*" in pattern or "?" in pattern)


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
