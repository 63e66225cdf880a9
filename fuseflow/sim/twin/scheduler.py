# SPDX-License-Identifier: MIT
"""Run all units of a Machine until every one has finished or none can go on.

The order in which units run decides nothing: tokens and stamps are those of a network of queues
with local clocks. Units run in graph order, each for as long as it can.
"""

from __future__ import annotations

import heapq

import numpy as np

from fuseflow.sim import faults
from fuseflow.sim.machine import Machine
from fuseflow.sim.result import Blocked, DeadlockInfo, MachineResult, UnitResult
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.ops import Discard, Emit, Peek, Take
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.rules import RULES

__all__ = ["run_twin"]

WORD_BYTES = 4


def run_twin(
    machine: Machine, record: bool = False, *, max_cycles: int | None = None
) -> MachineResult:
    """Simulate a kernel token by token.

    Args:
        machine: the kernel; every channel has one producer and one consumer.
        record: keep all tokens with their stamps.
        max_cycles: units whose clock has passed this do nothing more.

    Returns:
        Figures, written arrays and, if wanted, streams. A deadlock is a result, not an error.

    Raises:
        GraphError: tokens do not fit each other or the data (rules of `fuseflow.sim.faults`).
    """
    fifos = _fifos(machine, record)
    processes = [
        Process(machine.name, unit, fifos, RULES[unit.kind], max_cycles) for unit in machine.units
    ]
    with np.errstate(all="ignore"):
        _run_all(processes)
    _check_leftover(machine, processes, fifos)
    stuck = [process for process in processes if not process.finished]
    limited = any(process.over_limit for process in stuck)
    deadlock = _explain(processes, fifos) if stuck and not limited else None
    return MachineResult(
        units=tuple(_unit_result(process) for process in processes),
        channels=tuple(fifo.result() for fifo in fifos),
        elapsed=max((process.clock for process in processes), default=0),
        complete=not stuck,
        deadlock=deadlock,
    )


def _fifos(machine: Machine, record: bool) -> list[Fifo]:
    ends = zip(machine.channels, machine.producers(), machine.consumers(), strict=True)
    return [Fifo(machine.name, *end, record) for end in ends]


def _run_all(processes: list[Process]) -> None:
    """Run whoever was woken, the first in graph order first."""
    ready = list(range(len(processes)))
    queued = set(ready)

    def wake(index: int) -> None:
        if index not in queued:
            queued.add(index)
            heapq.heappush(ready, index)

    while ready:
        index = heapq.heappop(ready)
        queued.discard(index)
        if not processes[index].finished:
            processes[index].run(wake)


def _check_leftover(machine: Machine, processes: list[Process], fifos: list[Fifo]) -> None:
    """Refuse tokens that a unit which has finished did not read."""
    for channel, fifo in zip(machine.channels, fifos, strict=True):
        if fifo.occupied and processes[fifo.consumer].finished:
            name = processes[fifo.consumer].unit.name
            raise faults.leftover(machine.name, name, channel.name, fifo.removed, fifo.head)


def _unit_result(process: Process) -> UnitResult:
    return UnitResult(
        clock=process.clock,
        busy=process.busy,
        flops=process.flops,
        read_bytes=WORD_BYTES * process.words_read,
        write_bytes=WORD_BYTES * process.words_written,
        level=process.level,
        values=process.values,
    )


def _explain(processes: list[Process], fifos: list[Fifo]) -> DeadlockInfo:
    """Follow from the first stuck unit whom each waits for, until the chain bites its tail."""
    index = next(i for i, process in enumerate(processes) if not process.finished)
    chain: list[Blocked] = []
    visited: dict[int, int] = {}
    while index not in visited and not processes[index].finished:
        visited[index] = len(chain)
        blocked = _blocked(processes[index], index)
        chain.append(blocked)
        fifo = fifos[blocked.channel]
        index = fifo.consumer if blocked.waits_for == "slot" else fifo.producer
    cycle = tuple(chain[visited.get(index, 0) :])
    kind = "capacity" if any(b.waits_for == "slot" for b in cycle) else "starvation"
    return DeadlockInfo(kind, cycle)


def _blocked(process: Process, index: int) -> Blocked:
    """Describe what a stuck unit waits for."""
    match process.waiting:
        case Peek(port) | Take(port) | Discard(port):
            ends, channels, waits_for = process.inputs, process.unit.inputs, "token"
        case Emit(port):
            ends, channels, waits_for = process.outputs, process.unit.outputs, "slot"
        case _:  # a copy: some output is full
            ends, channels, waits_for = process.outputs, process.unit.outputs, "slot"
            port = next(i for i, fifo in enumerate(ends) if fifo and not fifo.has_room)
    fifo = ends[port]
    assert fifo is not None
    return Blocked(index, port, channels[port], waits_for, process.clock, fifo.sent)
