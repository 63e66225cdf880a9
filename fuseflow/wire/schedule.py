# SPDX-License-Identifier: MIT
"""Schedules <-> their messages, and the files that users write them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from fuseflow.errors import Location, WireError
from fuseflow.ir import schedule as ir
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.tensor import LevelFormat
from fuseflow.v1 import schedule_pb2 as pb
from fuseflow.v1 import tensor_pb2
from fuseflow.wire.enums import decode_enum, encode_enum, get_enum, set_enum
from fuseflow.wire.record import decode_record, encode_record
from fuseflow.wire.rules import malformed, within
from fuseflow.wire.text import is_text_view, parse_text, to_text

__all__ = [
    "decode_schedule",
    "encode_schedule",
    "read_schedule",
    "schedule_from_textproto",
    "schedule_to_textproto",
]

_TEXTPROTO_SUFFIXES = frozenset({".textproto", ".txtpb", ".pbtxt"})


def read_schedule(path: Path) -> ir.Schedule:
    """Read a schedule in its own notation, or as protobuf text.

    Protobuf text is recognized by the suffix (.textproto, .txtpb, .pbtxt), or by the first line
    that all text views start with.

    Raises:
        ScheduleError: P010 if the notation is wrong.
        WireError: W006 or W011 if the protobuf text is.
        OSError: if the file cannot be read.
    """
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        place = Location(file=str(path))
        raise WireError("W011", "this is no text file", where=place) from error
    if path.suffix in _TEXTPROTO_SUFFIXES or is_text_view(data):
        return schedule_from_textproto(text, str(path))
    return parse_schedule(text, str(path))


def schedule_from_textproto(text: str, name: str) -> ir.Schedule:
    """Read protobuf text; `name` is its file, for errors.

    Raises:
        WireError: W006 or W011, with the place.
    """
    with within(file=name):
        return decode_schedule(parse_text(text, pb.Schedule()))


def schedule_to_textproto(schedule: ir.Schedule) -> str:
    """Return a schedule as protobuf text."""
    message = pb.Schedule()
    encode_schedule(schedule, message)
    return to_text(message)


def encode_schedule(schedule: ir.Schedule, message: pb.Schedule) -> None:
    """Write a schedule into an empty message."""
    set_enum(message, "strategy", schedule.strategy or "")
    message.scope_depth = schedule.scope_depth
    message.reassociate = schedule.reassociate
    message.strict_nonfinite = schedule.strict_nonfinite
    if schedule.budget != ir.Budget():
        encode_record(schedule.budget, message.budget)
    for group in schedule.groups:
        child = message.groups.add(name=group.name)
        for member in group.members:
            _encode_selector(member, child.members.add())
        _encode_directives(group.directives, child.directives)
    for scoped in schedule.scoped:
        inner = message.scoped.add()
        _encode_selector(scoped.target, inner.target)
        _encode_directives(scoped.directives, inner.directives)


def decode_schedule(message: pb.Schedule) -> ir.Schedule:
    """Build a schedule.

    Raises:
        WireError: W006 if something required is missing, or a value is out of range.
    """
    strategy = decode_enum(pb.Strategy.DESCRIPTOR, message.strategy, "strategy")
    if strategy and strategy not in set(ir.Strategy):
        raise malformed(f"strategy {strategy} is not available", "strategy")
    return ir.Schedule(
        strategy=ir.Strategy(strategy) if strategy else None,
        scope_depth=message.scope_depth,
        groups=tuple(_decode_group(group) for group in message.groups),
        scoped=tuple(
            ir.Scoped(_decode_selector(scoped.target), _decode_directives(scoped.directives))
            for scoped in message.scoped
        ),
        budget=_decode_budget(message.budget),
        reassociate=message.reassociate,
        strict_nonfinite=message.strict_nonfinite,
    )


def _decode_group(message: pb.FuseGroup) -> ir.FuseGroup:
    if not message.name:
        raise malformed("a group needs a name", "groups.name")
    with within(node=message.name):
        if not message.members:
            raise malformed("a group needs members", "groups.members")
        members = tuple(map(_decode_selector, message.members))
        return ir.FuseGroup(message.name, members, _decode_directives(message.directives))


def _decode_budget(message: pb.Budget) -> ir.Budget:
    budget = decode_record(message, ir.Budget)
    if budget.recompute is not None and not budget.recompute >= 1:
        raise malformed("recompute is at least 1", "budget.recompute")
    return budget


def _encode_selector(selector: ir.Selector, message: pb.Selector) -> None:
    match selector:
        case ir.OpName(name):
            message.op = name
        case ir.Glob(pattern):
            message.glob = pattern
        case ir.ScopeOf(pattern):
            message.scope = pattern
        case ir.KindOf(name):
            message.op_kind = name
        case ir.OpRange(first, last):
            message.range.first = first
            message.range.last = last
        case ir.Not(inner):
            # The name of the field is a keyword of Python, so it has no attribute.
            _encode_selector(inner, getattr(message, "except"))


def _decode_selector(message: pb.Selector) -> ir.Selector:
    match message.WhichOneof("kind"):
        case "op":
            return ir.OpName(message.op)
        case "glob":
            return ir.Glob(message.glob)
        case "scope":
            return ir.ScopeOf(message.scope)
        case "op_kind":
            return ir.KindOf(message.op_kind)
        case "range":
            return ir.OpRange(message.range.first, message.range.last)
        case "except":
            return ir.Not(_decode_selector(getattr(message, "except")))
    raise malformed("a selector selects nothing", "selector")


def _encode_directives(directives: Iterable[ir.Directive], messages: object) -> None:
    for directive in directives:
        message: pb.Directive = messages.add()  # type: ignore[attr-defined]
        message.reason = directive.reason
        _encode_choice(directive.choice, message)


def _encode_choice(choice: ir.Choice, message: pb.Directive) -> None:
    match choice:
        case ir.Iterate(mode):
            set_enum(message, "iterate", mode)
        case ir.Assoc(expression):
            message.assoc = expression
        case ir.Store():
            _encode_store(choice, message.format)
        case _:
            child = getattr(message, _FIELDS[type(choice)])
            child.SetInParent()
            encode_record(choice, child)


def _encode_store(store: ir.Store, message: pb.FormatDirective) -> None:
    message.tensor = store.tensor
    levels = tensor_pb2.LevelFormat.DESCRIPTOR
    message.levels.extend(encode_enum(levels, level, "levels") for level in store.levels)  # type: ignore[misc]
    for mode in store.modes:
        encode_record(mode, message.modes.add())
    message.tile.extend(store.tile)
    if store.fill is not None:
        message.fill = store.fill


def _decode_directives(messages: Iterable[pb.Directive]) -> tuple[ir.Directive, ...]:
    return tuple(ir.Directive(_decode_choice(message), message.reason) for message in messages)


def _decode_choice(message: pb.Directive) -> ir.Choice:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise malformed("a directive says nothing", "directive")
    if kind == "iterate":
        return ir.Iterate(ir.Iteration(get_enum(message, "iterate")))
    if kind == "assoc":
        return ir.Assoc(message.assoc)
    if kind == "format":
        return _decode_store(message.format)
    choice = decode_record(getattr(message, kind), _RECORDS[kind])
    _check_range(choice)
    if isinstance(choice, ir.Parallel) and choice.join is not None:
        return replace(choice, join=ir.JoinPoint(choice.join))
    return choice


def _decode_store(message: pb.FormatDirective) -> ir.Store:
    levels = tensor_pb2.LevelFormat.DESCRIPTOR
    return ir.Store(
        message.tensor,
        tuple(LevelFormat(decode_enum(levels, level, "levels")) for level in message.levels),
        tuple(decode_record(mode, ir.IndexRef) for mode in message.modes),
        tuple(message.tile),
        message.fill if message.HasField("fill") else None,
    )


def _check_range(choice: ir.Choice) -> None:
    """Refuse numbers that the notation for users refuses."""
    if isinstance(choice, ir.Parallel) and choice.factor < 1:
        raise malformed("a factor is at least 1", "parallel.factor")
    if isinstance(choice, ir.Block) and any(tile.size < 1 for tile in choice.tiles):
        raise malformed("a tile size is at least 1", "block.tiles.size")
    if isinstance(choice, ir.Route) and choice.use and choice.route is not ir.ValueRoute.RECOMPUTE:
        raise malformed("only a recomputation is for one use", "value.use")
    if isinstance(choice, ir.Fifo) and choice.capacity == 0:
        raise malformed("a capacity is at least 1", "fifo.capacity")


_Record = ir.Order | ir.Parallel | ir.Block | ir.Route | ir.Permute | ir.Fifo
_RECORDS: Mapping[str, type[_Record]] = {
    "order": ir.Order,
    "parallel": ir.Parallel,
    "block": ir.Block,
    "value": ir.Route,
    "permute": ir.Permute,
    "fifo": ir.Fifo,
}
_FIELDS = {record: name for name, record in _RECORDS.items()}
