# SPDX-License-Identifier: MIT
"""Reads the text form of schedules: one function per rule of the grammar in `docs/schedules.md`.

Only the notation is checked here (rule P010, with line and column): names are checked where the
schedule meets a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from fuseflow.ir.schedule import (
    Assoc,
    Block,
    Choice,
    Directive,
    Fifo,
    FuseGroup,
    Glob,
    IndexRef,
    IndexTile,
    Iterate,
    Iteration,
    JoinPoint,
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
    Strategy,
    ValueRoute,
)
from fuseflow.ir.schedule_text import BUDGET_KEYS
from fuseflow.ir.schedule_tokens import TokenStream
from fuseflow.ir.tensor import LevelFormat

__all__ = ["parse_schedule"]

T = TypeVar("T")


def parse_schedule(text: str, name: str = "schedule") -> Schedule:
    """Read a schedule; `name` is its file, for errors.

    Raises:
        ScheduleError: P010 with line and column if the text does not follow the grammar.
    """
    tokens = TokenStream(text, name)
    schedule = Schedule()
    while not tokens.at_end():
        word = tokens.keyword(_STATEMENTS, "a statement")
        schedule = _STATEMENTS[word](tokens, schedule)
        tokens.expect(";")
    return schedule


# Statements --------------------------------------------------------------------------------------


def _strategy(tokens: TokenStream, schedule: Schedule) -> Schedule:
    preset = Strategy(tokens.keyword(list(Strategy), "a strategy"))
    depth = tokens.integer(0) if tokens.accept("scope_depth") else 0
    return replace(schedule, strategy=preset, scope_depth=depth)


def _fuse(tokens: TokenStream, schedule: Schedule) -> Schedule:
    token = tokens.peek()
    name = tokens.name("the name of a group")
    if any(group.name == name for group in schedule.groups):
        raise tokens.error(token, f'a group named "{name}" exists already')
    tokens.expect("=")
    members = _list(tokens, _selector)
    body = _body(tokens) if tokens.next_is("{") else ()
    return replace(schedule, groups=(*schedule.groups, FuseGroup(name, members, body)))


def _for(tokens: TokenStream, schedule: Schedule) -> Schedule:
    scoped = Scoped(_selector(tokens), _body(tokens))
    return replace(schedule, scoped=(*schedule.scoped, scoped))


def _budget(tokens: TokenStream, schedule: Schedule) -> Schedule:
    def limit(tokens: TokenStream) -> tuple[str, float]:
        key = tokens.keyword(BUDGET_KEYS, "a limit")
        tokens.expect("=")
        token = tokens.peek()
        value = tokens.number()
        least = 1 if key == "recompute" else 0
        if not value >= least:
            raise tokens.error(token, f"{key} is at least {least}")
        if key in ("recompute", "seconds"):
            return key, value
        if not float(value).is_integer():
            raise tokens.error(token, f"{key} is a whole number")
        return key, int(value)

    limits = dict(_list(tokens, limit))
    return replace(schedule, budget=replace(schedule.budget, **limits))  # type: ignore[arg-type]


def _strict_nonfinite(tokens: TokenStream, schedule: Schedule) -> Schedule:
    return replace(schedule, strict_nonfinite=tokens.keyword(("on", "off"), "a switch") == "on")


def _reassociate(tokens: TokenStream, schedule: Schedule) -> Schedule:
    return replace(schedule, reassociate=tokens.keyword(("on", "off"), "a switch") == "on")


_STATEMENTS: Mapping[str, Callable[[TokenStream, Schedule], Schedule]] = {
    "strategy": _strategy,
    "fuse": _fuse,
    "for": _for,
    "budget": _budget,
    "reassociate": _reassociate,
    "strict_nonfinite": _strict_nonfinite,
}


# Selectors ---------------------------------------------------------------------------------------


def _selector(tokens: TokenStream) -> Selector:
    if tokens.accept("not"):
        return Not(_selector(tokens))
    for word, kind in (("scope", ScopeOf), ("kind", KindOf), ("glob", Glob)):
        if tokens.accept_call(word):
            selector = kind(tokens.name("a pattern" if word != "kind" else "a kind"))
            tokens.expect(")")
            return selector
    token = tokens.peek()
    first = tokens.name("an operation")
    if tokens.accept(".."):
        return OpRange(first, tokens.name("an operation"))
    is_glob = not token.quoted and ("*" in first or "?" in first)
    return Glob(first) if is_glob else OpName(first)


# Directives --------------------------------------------------------------------------------------


def _body(tokens: TokenStream) -> tuple[Directive, ...]:
    tokens.expect("{")
    directives: list[Directive] = []
    while not tokens.accept("}"):
        word = tokens.keyword(_DIRECTIVES, "a directive")
        choice = _DIRECTIVES[word](tokens)
        reason = tokens.string("a reason") if tokens.accept("because") else ""
        tokens.expect(";")
        directives.append(Directive(choice, reason))
    return tuple(directives)


def _order(tokens: TokenStream) -> Choice:
    total = tokens.accept("only")
    chain = [_index(tokens)]
    while tokens.accept("->"):
        chain.append(_index(tokens))
    return Order(tuple(chain), total)


def _iterate(tokens: TokenStream) -> Choice:
    return Iterate(Iteration(tokens.keyword(list(Iteration), "a way to iterate")))


def _assoc(tokens: TokenStream) -> Choice:
    return Assoc(_product(tokens))


def _product(tokens: TokenStream) -> str:
    """Read factors side by side; a group in parentheses is multiplied first."""
    factors: list[str] = []
    while not (tokens.next_is(";") or tokens.next_is(")") or tokens.next_is("because")):
        if tokens.accept("("):
            factors.append(f"({_product(tokens)})")
            tokens.expect(")")
        else:
            factors.append(tokens.quoted_name("a tensor"))
    if not factors:
        raise tokens.error(tokens.peek(), "expected a tensor")
    return " ".join(factors)


def _format(tokens: TokenStream) -> Choice:
    tensor = tokens.name("a value")
    tokens.expect("[")
    levels: list[LevelFormat] = []
    tile: tuple[int, ...] = ()
    while not tokens.accept("]"):
        if tokens.accept_call("block"):
            tile = _list(tokens, lambda t: t.integer(1))
            tokens.expect(")")
        else:
            levels.append(LevelFormat(tokens.keyword(list(LevelFormat), "a level format")))
        if not tokens.next_is("]"):
            tokens.expect(",")
    modes = _indices(tokens) if tokens.accept("modes") else ()
    fill = tokens.number() if tokens.accept("fill") else None
    return Store(tensor, tuple(levels), modes, tile, fill)


def _parallel(tokens: TokenStream) -> Choice:
    index = _index(tokens)
    tokens.expect("by")
    factor = tokens.integer(1)
    join = None
    if tokens.accept("join"):
        join = JoinPoint(tokens.keyword(list(JoinPoint), "a place to join"))
    return Parallel(index, factor, join)


def _block(tokens: TokenStream) -> Choice:
    def tile(tokens: TokenStream) -> IndexTile:
        index = _index(tokens)
        tokens.expect(":")
        return IndexTile(index, tokens.integer(1))

    return Block(_list(tokens, tile))


def _value(tokens: TokenStream) -> Choice:
    value = tokens.name("a value")
    route = ValueRoute(tokens.keyword(list(ValueRoute), "a route"))
    if route is ValueRoute.RECOMPUTE and tokens.accept("for"):
        return Route(value, route, tokens.name("an operation"))
    return Route(value, route)


def _permute(tokens: TokenStream) -> Choice:
    tensor = tokens.name("a value")
    tokens.expect("to")
    return Permute(tensor, _indices(tokens))


def _fifo(tokens: TokenStream) -> Choice:
    return Fifo(None if tokens.accept("auto") else tokens.integer(1))


_DIRECTIVES: Mapping[str, Callable[[TokenStream], Choice]] = {
    "order": _order,
    "iterate": _iterate,
    "assoc": _assoc,
    "format": _format,
    "parallel": _parallel,
    "block": _block,
    "value": _value,
    "permute": _permute,
    "fifo": _fifo,
}


def _index(tokens: TokenStream) -> IndexRef:
    token = tokens.peek()
    op, _, name = tokens.name("an index").rpartition(".")
    if not name:
        raise tokens.error(token, "expected an index, alone or as OPERATION.INDEX")
    return IndexRef(name, op)


def _indices(tokens: TokenStream) -> tuple[IndexRef, ...]:
    tokens.expect("(")
    indices = () if tokens.next_is(")") else _list(tokens, _index)
    tokens.expect(")")
    return indices


def _list(tokens: TokenStream, item: Callable[[TokenStream], T]) -> tuple[T, ...]:
    items = [item(tokens)]
    while tokens.accept(","):
        items.append(item(tokens))
    return tuple(items)
