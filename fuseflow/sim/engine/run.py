# SPDX-License-Identifier: MIT
"""Run a Machine in the engine, and put its faults and deadlocks into the words of the twin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fuseflow.errors import GraphError
from fuseflow.sim import faults
from fuseflow.sim.engine.core import Core
from fuseflow.sim.machine import Machine
from fuseflow.sim.ports import input_names
from fuseflow.sim.result import INTERRUPTED, Blocked, DeadlockInfo, MachineResult
from fuseflow.sim.tokens import (
    CTL_DONE,
    CTL_MISSING,
    CTL_VALUE,
    DONE,
    MISSING,
    Token,
    stop_of_ctl,
)

__all__ = ["run_engine"]

MISALIGNED, RANGE_CRD, RANGE_REF, OVERFULL, MALFORMED, SCRAMBLED, MEMORY = range(1, 8)
"""Fault codes of the compiled part, in the order of `pool.pxd`."""


def run_engine(
    machine: Machine,
    record: bool = False,
    *,
    max_cycles: int | None = None,
    watch: bool = False,
    progress: Callable[[int], str | None] | None = None,
    threads: int | Callable[[], int] = 1,
    eager: bool = False,
) -> MachineResult:
    """Simulate a kernel; the result equals that of the twin.

    Args:
        machine: the kernel; every channel has one producer and one consumer.
        record: keep all tokens with their stamps (memory grows with the streams).
        max_cycles: units whose clock has passed this do nothing more.
        watch: go token by token and keep, like `record`, also removals and waits by input.
        progress: called now and then with the latest clock; a reason that it returns ends the run.
        threads: that may work at the same time, if the kernel runs long enough to be worth it; a
            function is asked again and again. The result is the same for any number.
        eager: use threads as soon and as often as can be; slow, for tests.

    Returns:
        Figures, written arrays and, if wanted, streams. A deadlock is a result, not an error.

    Raises:
        GraphError: tokens do not fit each other or the data (rules of `fuseflow.sim.faults`).
        MemoryError: what must be kept does not fit into memory.
    """
    core = Core(machine, record, max_cycles, watch, eager)
    faulty, stopped = _run(core, progress, threads if callable(threads) else lambda: threads)
    if core.was_cut and not stopped and (faulty >= 0 or _is_limited(machine, core, max_cycles)):
        # What is done when a run breaks off depends on who went first: as on one thread.
        core = Core(machine, record, max_cycles, watch)
        faulty, stopped = _run(core, progress, lambda: 1)
    if faulty >= 0:
        raise _fault(machine, core, faulty)
    stuck = [i for i in range(len(machine.units)) if core.waiting(i) is not None]
    limited = _is_limited(machine, core, max_cycles)
    return MachineResult(
        units=core.unit_results(),
        channels=core.channel_results(),
        elapsed=core.elapsed(),
        complete=not stuck,
        deadlock=_explain(machine, core) if stuck and not (limited or stopped) else None,
        memory=core.memory_figures(),
        stopped=stopped,
    )


def _run(
    core: Core, progress: Callable[[int], str | None] | None, threads: Callable[[], int]
) -> tuple[int, str | None]:
    """Run to the end or until somebody wants it to stop; what was reached so far stays."""
    reason: str | None = None

    def ask(clock: int) -> bool:
        nonlocal reason
        core.threads = threads()
        reason = progress(clock) if progress else None
        return reason is not None

    try:
        faulty = core.run(ask)
    except KeyboardInterrupt:
        return -1, INTERRUPTED
    return faulty, reason


def _is_limited(machine: Machine, core: Core, max_cycles: int | None) -> bool:
    """Whether a unit has passed the limit and is not done."""
    if max_cycles is None:
        return False
    waiting = (core.waiting(index) for index in range(len(machine.units)))
    return any(found is not None and found[2] > max_cycles for found in waiting)


def _fault(machine: Machine, core: Core, index: int) -> GraphError | MemoryError:
    """Build the error for the rule that unit `index` broke."""
    code, a, b, c = core.fault()
    kernel, name = machine.name, machine.units[index].name
    if code == MISALIGNED:
        return faults.misaligned(kernel, name, _heads(machine, core, index, a))
    if code in (RANGE_CRD, RANGE_REF):
        what = "coordinate" if code == RANGE_CRD else "reference"
        return faults.out_of_range(kernel, name, what, a, b)
    if code == OVERFULL:
        return faults.overfull(kernel, name, a, b)
    if code == MALFORMED:
        channel = machine.channels[a]
        return faults.malformed(kernel, channel.name, c, _token(b, 0), channel.depth)
    if code == SCRAMBLED:
        return faults.scrambled(kernel, name, a, b)
    return MemoryError(f"the simulator needs {a} more bytes than there are")


def _heads(machine: Machine, core: Core, index: int, ports: int) -> dict[str, tuple[int, Token]]:
    """Return position and token at the head of the ports in a bit mask, by name."""
    unit = machine.units[index]
    heads: dict[str, tuple[int, Token]] = {}
    for port, name in enumerate(input_names(unit)):
        channel = unit.inputs[port]
        head = core.head(channel) if channel >= 0 and ports >> port & 1 else None
        if head is not None:
            position, ctl, value = head
            heads[name] = (position, _token(ctl, value))
    return heads


def _token(ctl: int, value: Token) -> Token:
    if ctl == CTL_VALUE:
        return value[0] if isinstance(value, np.ndarray) and len(value) == 1 else value
    if ctl == CTL_MISSING:
        return MISSING
    return DONE if ctl == CTL_DONE else stop_of_ctl(ctl)


def _explain(machine: Machine, core: Core) -> DeadlockInfo:
    """Follow from the first stuck unit whom each waits for, until the chain bites its tail."""
    producers, consumers = machine.producers(), machine.consumers()
    index = next(i for i in range(len(machine.units)) if core.waiting(i) is not None)
    chain: list[Blocked] = []
    visited: dict[int, int] = {}
    while index not in visited:
        waiting = core.waiting(index)
        if waiting is None or waiting[0] is None:
            break
        visited[index] = len(chain)
        blocked = _blocked(machine, core, index, waiting[0], waiting[1], waiting[2])
        chain.append(blocked)
        ends = consumers if blocked.waits_for == "slot" else producers
        index = ends[blocked.channel]
    cycle = tuple(chain[visited.get(index, 0) :])
    kind = "capacity" if any(b.waits_for == "slot" for b in cycle) else "starvation"
    return DeadlockInfo(kind, cycle)


def _blocked(
    machine: Machine, core: Core, index: int, waits_for: str, port: int, clock: int
) -> Blocked:
    unit = machine.units[index]
    channel = (unit.outputs if waits_for == "slot" else unit.inputs)[port]
    held = core.held(channel)
    return Blocked(index, port, channel, waits_for, clock, core.sent(channel), held)
