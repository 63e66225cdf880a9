# SPDX-License-Identifier: MIT
"""Names of the ports of a unit, in positional order, for reports and for tests."""

from __future__ import annotations

from fuseflow.sim.machine import Unit, UnitKind
from fuseflow.sim.params import (
    AluParams,
    ConcatParams,
    GatherParams,
    JoinParams,
    SpaccParams,
)

__all__ = ["input_names", "output_names"]

_INPUTS: dict[UnitKind, tuple[str, ...]] = {
    UnitKind.SINK: ("in",),
    UnitKind.REPSIG: ("in",),
    UnitKind.SCAN: ("ref",),
    UnitKind.FULL: ("in",),
    UnitKind.LOCATE: ("crd", "parent"),
    UnitKind.REPEAT: ("in", "sig"),
    UnitKind.REPLAY: ("in", "sig"),
    UnitKind.HOLD: ("outer", "inner"),
    UnitKind.DROP: ("outer", "inner"),
    UnitKind.MASK: ("outer", "inner"),
    UnitKind.VALDROP: ("crd", "val"),
    UnitKind.ARRAY: ("ref",),
    UnitKind.REDUCE: ("val", "shape"),
    UnitKind.FORK: ("in",),
    UnitKind.BROADCAST: ("in",),
    UnitKind.LEVEL_WRITE: ("crd",),
    UnitKind.VAL_WRITE: ("val", "ref"),
}

_OUTPUTS: dict[UnitKind, tuple[str, ...]] = {
    UnitKind.SOURCE: ("out",),
    UnitKind.REPSIG: ("sig",),
    UnitKind.ROOT: ("ref",),
    UnitKind.SCAN: ("crd", "ref"),
    UnitKind.FULL: ("crd",),
    UnitKind.LOCATE: ("crd", "loc"),
    UnitKind.REPEAT: ("out",),
    UnitKind.REPLAY: ("out",),
    UnitKind.HOLD: ("outer", "inner"),
    UnitKind.DROP: ("outer", "inner"),
    UnitKind.MASK: ("inner",),
    UnitKind.VALDROP: ("crd", "val"),
    UnitKind.ARRAY: ("val",),
    UnitKind.ALU: ("val",),
    UnitKind.REDUCE: ("val",),
    UnitKind.GATHER: ("out",),
}


def input_names(unit: Unit) -> tuple[str, ...]:
    """Return a name for each input port of a unit; payloads beyond the fixed ports are pay0, .."""
    names = _inputs_by_params(unit) or _INPUTS.get(unit.kind, ())
    return _with_payloads(names, len(unit.inputs))


def output_names(unit: Unit) -> tuple[str, ...]:
    """Return a name for each output port of a unit."""
    names = _outputs_by_params(unit) or _OUTPUTS.get(unit.kind, ())
    return _with_payloads(names, len(unit.outputs))


def _with_payloads(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    extra = tuple(f"pay{i}" for i in range(count - len(names)))
    return (*names, *extra)[:count]


def _inputs_by_params(unit: Unit) -> tuple[str, ...]:
    match unit.params:
        case JoinParams(payloads=payloads):
            ports = [[f"crd{j}", *_join_payloads(j, n)] for j, n in enumerate(payloads)]
            return tuple(name for group in ports for name in group)
        case AluParams(fills=fills):
            return ("a", "b")[: len(fills)]
        case SpaccParams(order=order):
            return (*(f"crd{order - j}" for j in range(order + 1)), "val", "shape")
        case GatherParams(lanes=lanes):
            return (*(f"in{j}" for j in range(lanes)), "sel")
        case ConcatParams(mode="mix", offsets=offsets):
            return tuple(f"in{j}" for j in range(len(offsets)))
        case ConcatParams(offsets=offsets):
            return tuple(f"{kind}{j}" for j in range(len(offsets)) for kind in ("crd", "pay"))
        case _:
            return ()


def _outputs_by_params(unit: Unit) -> tuple[str, ...]:
    match unit.params:
        case JoinParams(payloads=payloads):
            ports = [_join_payloads(j, n) for j, n in enumerate(payloads)]
            return ("crd", *(name for group in ports for name in group))
        case SpaccParams(order=order):
            return (*(f"crd{order - 1 - j}" for j in range(order)), "val")
        case ConcatParams(mode="mix"):
            return ("out",)
        case ConcatParams(offsets=offsets):
            return ("crd", *(f"pay{j}" for j in range(len(offsets))))
        case _:
            return _lanes(unit)


def _lanes(unit: Unit) -> tuple[str, ...]:
    count = len(unit.outputs)
    if unit.kind is UnitKind.FORK:
        return (*(f"out{j}" for j in range(count - 1)), "sel")
    if unit.kind is UnitKind.BROADCAST:
        return tuple(f"out{j}" for j in range(count))
    return ()


def _join_payloads(j: int, count: int) -> list[str]:
    return [f"pay{j}_{p}" for p in range(count)]
