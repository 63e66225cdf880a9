# SPDX-License-Identifier: MIT
"""Run all units of a Machine until every one has finished or none can go on.

The order in which units run decides nothing: tokens and stamps are those of a network of queues
with local clocks. Units run in graph order, each for as long as it can.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from fuseflow.sim import faults
from fuseflow.sim.machine import Machine
from fuseflow.sim.memory import MemoryModel, first_clients, make_memory, owners_of
from fuseflow.sim.result import INTERRUPTED, Blocked, DeadlockInfo, MachineResult, UnitResult
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.ops import Discard, Emit, Peek, Take
from fuseflow.sim.twin.prefetch import Prefetcher
from fuseflow.sim.twin.process import Process, Shared
from fuseflow.sim.twin.rules import rule_of

__all__ = ["run_twin"]

WORD_BYTES = 4
PATIENCE = 1024
"""Operations of a unit between two looks at what the caller wants."""


def run_twin(
    machine: Machine,
    record: bool = False,
    *,
    max_cycles: int | None = None,
    watch: bool = False,
    progress: Callable[[int], str | None] | None = None,
    threads: int | Callable[[], int] = 1,
) -> MachineResult:
    """Simulate a kernel token by token.

    Args:
        machine: the kernel; every channel has one producer and one consumer.
        record: keep all tokens with their stamps.
        watch: keep, like `record`, also when tokens were removed, and waits by input.
        max_cycles: units whose clock has passed this do nothing more.
        progress: called now and then with the latest clock; a reason that it returns ends the run.
        threads: that could be used; this simulator is a single one.

    Returns:
        Figures, written arrays and, if wanted, streams. A deadlock is a result, not an error.

    Raises:
        GraphError: tokens do not fit each other or the data (rules of `fuseflow.sim.faults`).
    """
    fifos = _fifos(machine, record or watch)
    memory = make_memory(machine.memory)
    shared = Shared(machine.name, fifos, machine.memory, memory, max_cycles)
    clients = first_clients(machine)
    processes = [
        Process(unit, shared, client, rule_of(unit, machine.memory))
        for unit, client in zip(machine.units, clients, strict=True)
    ]
    with np.errstate(all="ignore"):
        stopped = _run_all(processes, memory, owners_of(machine), progress)
    _check_leftover(machine, processes, fifos)
    stuck = [process for process in processes if not process.finished]
    limited = any(process.over_limit for process in stuck)
    deadlock = _explain(processes, fifos) if stuck and not (limited or stopped) else None
    waits = _waits_for_room(processes)
    last_response = memory.figures.last_response if memory else 0
    return MachineResult(
        units=tuple(_unit_result(process, watch) for process in processes),
        channels=tuple(fifo.result(waits[i], watch) for i, fifo in enumerate(fifos)),
        elapsed=max([last_response, *(process.clock for process in processes)]),
        complete=not stuck,
        deadlock=deadlock,
        memory=memory.figures if memory else None,
        stopped=stopped,
    )


def _fifos(machine: Machine, record: bool) -> list[Fifo]:
    ends = zip(machine.channels, machine.producers(), machine.consumers(), strict=True)
    return [Fifo(machine.name, *end, record) for end in ends]


def _run_all(
    processes: list[Process],
    memory: MemoryModel | None,
    owners: list[int],
    progress: Callable[[int], str | None] | None,
) -> str | None:
    """Run whoever was woken, the first in graph order first; then let memory answer.

    Returns why somebody wanted the run to stop, None if nobody did.
    """
    ready = list(range(len(processes)))
    queued = set(ready)

    def wake(index: int) -> None:
        if index not in queued:
            queued.add(index)
            heapq.heappush(ready, index)

    latest = 0
    try:
        while ready:
            if progress:
                reason = progress(latest)
                if reason is not None:
                    return reason
            index = heapq.heappop(ready)
            queued.discard(index)
            process = processes[index]
            if not process.finished and process.run(wake, PATIENCE):
                wake(index)
            latest = max(latest, process.clock)
            for request in memory.serve() if memory and not ready else ():
                wake(owners[request.client])
    except KeyboardInterrupt:
        return INTERRUPTED
    return None


def _check_leftover(machine: Machine, processes: list[Process], fifos: list[Fifo]) -> None:
    """Refuse tokens that a unit which has finished did not read."""
    for channel, fifo in zip(machine.channels, fifos, strict=True):
        if fifo.occupied and processes[fifo.consumer].finished:
            name = processes[fifo.consumer].unit.name
            raise faults.leftover(machine.name, name, channel.name, fifo.removed, fifo.head)


def _waits_for_room(processes: list[Process]) -> dict[int, int]:
    """Return by channel how long its producer waited for room."""
    pairs = (zip(p.unit.outputs, p.waited_for_room, strict=True) for p in processes)
    return {channel: cycles for pair in pairs for channel, cycles in pair}


def _unit_result(process: Process, watch: bool) -> UnitResult:
    return UnitResult(
        clock=process.clock,
        busy=process.busy,
        flops=process.flops,
        read_bytes=WORD_BYTES * process.words_read,
        write_bytes=WORD_BYTES * process.words_written,
        waited_for_input=sum(process.waited_for_input),
        waited_for_room=sum(process.waited_for_room),
        waited_for_memory=process.waited_for_memory,
        waited_by_input=tuple(process.waited_for_input) if watch else None,
        level=process.level,
        values=process.values,
        clients=process.clients(),
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
    unit = process.unit
    fifo: Fifo | Prefetcher | None
    match process.waiting:
        case Peek(port) | Take(port) | Discard(port):
            waits_for, channel, fifo = "token", unit.inputs[port], process.inputs[port]
        case Emit(port):
            waits_for, channel, fifo = "slot", unit.outputs[port], process.outputs[port]
        case _:  # a copy: some output is full; memory always answers
            full = (i for i, out in enumerate(process.outputs) if out and not out.has_room)
            port = next(full)
            waits_for, channel, fifo = "slot", unit.outputs[port], process.outputs[port]
    assert fifo is not None
    held = fifo.held if isinstance(fifo, Fifo) else 0
    return Blocked(index, port, channel, waits_for, process.clock, fifo.sent, held)
