# SPDX-License-Identifier: MIT
"""Cost profiles: what each kind of unit and each channel costs, with the user's overrides.

`comal` charges as the simulator Comal does (without its memory); `native` charges what a machine
with one token per channel and cycle can do. The tables are in docs/streams.md, section 3.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from fuseflow.errors import Location, UsageError
from fuseflow.ir.dataflow import AluAttrs, Node, NodeAttrs, Op, ReduceAttrs, SpaccAttrs, TileOp
from fuseflow.ir.hardware import HardwareConfig, MemoryConfig, NodeCost
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.sim.machine import Cost
from fuseflow.sim.memory.mapping import FIELDS

__all__ = [
    "PROFILES",
    "Profile",
    "check_hardware",
    "check_windows",
    "cost_of",
    "function_of",
    "require_known",
    "signal_cost",
]

MEMORY_MODELS = ("ideal", "comal-hbm", "hbm2")
POLICIES = ("frfcfs", "fcfs")
ACCUMULATORS = ("f32", "f64")
WORD_BYTES = 4
LEAST = {
    "channels": 1,
    "banks": 1,
    "row_bytes": 4,
    "line_bytes": 4,
    "batch": 1,
    "t_burst": 1,
    "window": 1,
    "prefetch_tokens": 2,
    "client_window": 2,
    "t_refi": 1,
}
"""Least values of figures of memories, 0 for others.

The two segment words of a reference may lie in two lines; a scan looks at the token behind it.
"""
MOST_CYCLES = 1 << 20
MOST_BYTES = 1 << 40
MOST = {
    "channels": 1 << 10,
    "banks": 1 << 10,
    "row_bytes": MOST_BYTES,
    "line_bytes": MOST_BYTES,
    "batch": 1 << 16,
    "window": 1 << 16,
    "prefetch_tokens": 1 << 16,
    "client_window": 1 << 16,
}
"""Largest values of figures of memories, `MOST_CYCLES` for others: what they count is simulated."""
CLIENTS = (Op.SCAN, Op.ARRAY, Op.LEVEL_WRITE, Op.VAL_WRITE)
"""Kinds of nodes whose arrays are clients of a memory."""
SIGNAL = "repsig"
FUNCTIONS: Mapping[str, Iterable[str]] = {
    Op.ALU: SCALAR_FUNCTIONS,
    Op.REDUCE: REDUCTIONS,
    Op.SPACC: REDUCTIONS,
}
LATENT = (Op.ARRAY, Op.ALU, Op.REDUCE)
"""Kinds whose values may take several cycles; all others emit in the next cycle."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile decides beyond single nodes.

    `capacity`: tokens per channel unless said otherwise. `signals`: a signal generator stands
    before every repeat. `lookahead`: a repeat peeks behind every element. `channel_words`: words
    per cycle and channel (0: any number). `lanes`: words of a tile that arithmetic takes per cycle
    (0: all). The rest are defaults of `Cost`.
    """

    capacity: int | None
    signals: bool
    lookahead: bool
    channel_words: int
    lanes: int
    flush_ii: int
    inner: int
    done: int

    def interval(self, tile: tuple[int, ...]) -> int:
        """Return the cycles that one token occupies a channel."""
        return math.ceil(math.prod(tile) / self.channel_words) if self.channel_words else 0


PROFILES = {
    "comal": Profile(None, True, True, 0, 0, flush_ii=0, inner=0, done=1),
    "native": Profile(1024, False, False, 16, 16, flush_ii=1, inner=1, done=0),
}


def check_hardware(hardware: HardwareConfig) -> Profile:
    """Return the profile that the hardware names.

    Raises:
        UsageError: an unknown profile, memory model, node kind or function, or an impossible
            figure.
    """
    timing, memory = hardware.timing, hardware.memory.model
    require_known("U301 unknown-profile", "profile", timing.profile, PROFILES)
    require_known("U302 unknown-memory", "memory model", memory, MEMORY_MODELS)
    require_known("U315 unknown-precision", "accumulator", hardware.accumulate, ACCUMULATORS)
    _check_memory(hardware.memory)
    if timing.capacity is not None:
        _check_figure("timing.capacity", timing.capacity, 1, MOST_BYTES)
    for override in timing.costs:
        _check_override(override)
    return PROFILES[timing.profile]


def _check_memory(memory: MemoryConfig) -> None:
    """Refuse figures with which no memory can work, whichever model is chosen."""
    for name, config in (("comal_hbm", memory.comal_hbm), ("hbm2", memory.hbm2)):
        for field in fields(config):
            value = getattr(config, field.name)
            if isinstance(value, int):
                least, most = LEAST.get(field.name, 0), MOST.get(field.name, MOST_CYCLES)
                _check_figure(f"memory.{name}.{field.name}", value, least, most)
    for name in ("align", "arena_bytes"):
        _check_bytes(f"memory.{name}", getattr(memory, name))
    require_known("U303 unknown-policy", "memory policy", memory.hbm2.policy, POLICIES)
    if memory.hbm2.line_bytes % WORD_BYTES or memory.hbm2.row_bytes % memory.hbm2.line_bytes:
        raise UsageError(
            "U308 bad-lines",
            f"lines of {memory.hbm2.line_bytes} bytes do not fill rows of "
            f"{memory.hbm2.row_bytes} bytes with whole words of {WORD_BYTES}",
            where=Location(field="memory.hbm2.line_bytes"),
        )
    _check_map(memory.hbm2.map)
    if memory.hbm2.refresh and memory.hbm2.t_rfc >= memory.hbm2.t_refi:
        raise UsageError(
            "U312 bad-refresh",
            f"a refresh of {memory.hbm2.t_rfc} cycles every {memory.hbm2.t_refi} cycles leaves no "
            "time for anything else",
            where=Location(field="memory.hbm2.t_rfc"),
        )
    for window in memory.hbm2.windows:
        least, most = LEAST["client_window"], MOST["client_window"]
        _check_figure("memory.hbm2.windows.lines", window.lines, least, most)


def _check_map(order: str) -> None:
    """Refuse an order of address fields that is not one of all of them, the row first."""
    names = order.split(":")
    if sorted(names) != sorted(FIELDS) or names[0] != FIELDS[0]:
        raise UsageError(
            "U313 bad-map",
            f'"{order}" does not order the fields of an address',
            where=Location(field="memory.hbm2.map"),
            fix=f"name row, which has no bound, first, then bank, col and chan: {':'.join(FIELDS)}",
        )


def check_windows(memory: MemoryConfig, tensors: Iterable[str]) -> None:
    """Refuse a window of something that no program with these tensors has (UsageError)."""
    for window in memory.hbm2.windows:
        known = [*CLIENTS, *tensors]
        require_known("U314 unknown-client", "node kind or tensor", window.of, known)


def _check_override(override: NodeCost) -> None:
    require_known("U304 unknown-kind", "node kind", override.kind, [*Op, SIGNAL])
    if override.fn:
        known = FUNCTIONS.get(override.kind, ())
        require_known("U305 unknown-function", "function", override.fn, known)
    for name in ("ii", "latency", "n_cost", "flush_ii", "startup"):
        value = getattr(override, name)
        if value is not None:
            _check_figure(f"timing.costs.{name}", value, 0, MOST_CYCLES)
    if override.latency is not None and override.kind not in LATENT:
        raise UsageError(
            "U306 no-latency",
            f'a node of kind "{override.kind}" emits in the next cycle and has no latency',
            where=Location(field="timing.costs.latency"),
            fix=f"only {', '.join(LATENT)} have one",
        )


def _check_figure(field: str, value: int, least: int, most: int) -> None:
    """Refuse a figure that is no use (UsageError)."""
    if not least <= value <= most:
        bound = f"less than {least}" if value < least else f"more than {most}"
        where = Location(field=field)
        raise UsageError("U307 bad-figure", f"{value} is {bound}", where=where)


def _check_bytes(field: str, value: int | None) -> None:
    """Refuse a distance of arrays with which words would not lie in lines (UsageError)."""
    if value is None:
        return
    _check_figure(field, value, 1, MOST_BYTES)
    if value % WORD_BYTES:
        message = f"{value} bytes are no whole number of words of {WORD_BYTES} bytes"
        raise UsageError("U309 bad-bytes", message, where=Location(field=field))


def require_known(rule: str, what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not known, with the nearest one that is (UsageError)."""
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    fix = f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(names) or 'none'}"
    raise UsageError(rule, f'unknown {what} "{name}"', fix=fix)


def cost_of(
    node: Node, profile: Profile, overrides: Iterable[NodeCost], tile: tuple[int, ...]
) -> Cost:
    """Return the cost of a node whose values are of shape `tile` (() for numbers)."""
    base = _tile_cost(node, profile, tile) if tile else Cost()
    base = replace(base, done=_done_ticks(node, profile))
    if node.op is Op.SPACC:
        base = replace(base, flush_ii=profile.flush_ii)
    if node.op is Op.DROP:
        base = replace(base, inner=profile.inner)
    return _overridden(base, node.op, function_of(node.attrs), overrides)


def signal_cost(overrides: Iterable[NodeCost]) -> Cost:
    """Return the cost of the hidden signal generator before a repeat."""
    return _overridden(Cost(), SIGNAL, "", overrides)


def _tile_cost(node: Node, profile: Profile, tile: tuple[int, ...]) -> Cost:
    words = math.prod(tile)
    share = math.ceil(words / profile.lanes) if profile.lanes else 1
    if node.op is Op.ARRAY:
        return Cost(latency=words)
    if isinstance(node.attrs, AluAttrs):
        if node.attrs.tile_op is not None and node.attrs.tile_op.fold:
            return _folding_cost(node.attrs.tile_op)
        return Cost(ii=share, latency=words if len(node.attrs.fills) == 2 else tile[0])
    if node.op is Op.REDUCE:
        return Cost(ii=share, latency=words)
    return Cost(ii=share) if node.op is Op.SPACC else Cost()


def _folding_cost(op: TileOp) -> Cost:
    """Return the cost of a product of tiles on a systolic array, or of a fold of one tile."""
    return Cost(ii=op.folded, latency=max(sum(op.shape) - len(op.shape) + 1, 1))


def _done_ticks(node: Node, profile: Profile) -> int:
    if node.op is Op.GATHER:
        lanes = len(node.inputs) - 1
        return lanes - 1 if profile.done else min(1, lanes - 1)
    return profile.done if node.op in (Op.FORK, Op.VAL_WRITE) else 0


def function_of(attrs: NodeAttrs) -> str:
    """Return the function of an alu, reduce or spacc; "" for any other node."""
    if isinstance(attrs, AluAttrs):
        return attrs.fn
    return attrs.op if isinstance(attrs, ReduceAttrs | SpaccAttrs) else ""


def _overridden(base: Cost, kind: str, fn: str, overrides: Iterable[NodeCost]) -> Cost:
    """Apply the overrides of a kind, then those of its function; a later one wins."""
    fitting = [o for o in overrides if o.kind == kind and o.fn in ("", fn)]
    for override in sorted(fitting, key=lambda o: o.fn != ""):
        figures = {
            name: getattr(override, name)
            for name in ("ii", "latency", "n_cost", "flush_ii", "startup")
            if getattr(override, name) is not None
        }
        base = replace(base, **figures)
    return base
