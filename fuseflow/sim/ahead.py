# SPDX-License-Identifier: MIT
"""Kernels that wait for nothing, simulated at the same time on threads of their own.

A program says in which order its kernels run, and a report goes by that order. But what a kernel
does depends only on the tensors that it reads, so it can be simulated before its turn. Whoever
asks for outcomes in order gets the same ones as without.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from fuseflow.ir.dataflow import DataflowGraph
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import Tensor
from fuseflow.sim.machine import Machine
from fuseflow.sim.result import INTERRUPTED, MachineResult

__all__ = ["Ahead", "Asker", "Outcome", "Share", "is_chain"]

Asker = Callable[[int], str | None]
"""Told the latest clock of a kernel now and then; a reason that it returns ends the run."""

Share = Callable[[], int]
"""How many threads a kernel may use by now."""

LOOK_SECONDS = 0.05


class Outcome(NamedTuple):
    """A kernel that was simulated, and the tensors that it wrote if it finished."""

    machine: Machine
    result: MachineResult
    made: dict[str, Tensor]


Simulate = Callable[[DataflowGraph, Mapping[str, Value], Asker, Share], Outcome]


def is_chain(kernels: Sequence[DataflowGraph]) -> bool:
    """Return whether every kernel reads what the one before it wrote."""
    return all(
        set(before.tensors_written()) & set(after.tensors_read())
        for before, after in pairwise(kernels)
    )


@dataclass(slots=True, eq=False)
class _Job:
    kernel: DataflowGraph
    missing: set[str]  # tensors that an earlier kernel has yet to write
    future: Future[Outcome] | None = None
    clock: int = 0


class Ahead:
    """Simulates kernels as soon as what they read is there.

    Args:
        kernels: of a verified program, in order.
        tensors: all of its tensors; those that are inputs have data.
        simulate: runs one kernel, on any thread.
        threads: that may work at the same time. A kernel that runs alone gets them all.
    """

    def __init__(
        self,
        kernels: Sequence[DataflowGraph],
        tensors: Mapping[str, Value],
        simulate: Simulate,
        threads: int,
    ) -> None:
        written = {name for kernel in kernels for name in kernel.tensors_written()}
        self._jobs = [_Job(kernel, written & set(kernel.tensors_read())) for kernel in kernels]
        self._tensors = dict(tensors)
        self._simulate = simulate
        self._threads = threads
        self._running = 0
        self._stop: str | None = None
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kernel")
        self._start_ready()

    def outcome(self, number: int, ask: Asker) -> Outcome:
        """Wait for kernel `number`, all kernels before which were asked for and had finished.

        `ask` is called on this thread. Ctrl-C and a reason that it returns stop all kernels; what
        this one has done by then is its outcome.

        Raises:
            Exception: what the simulator or `ask` raised.
        """
        job = self._jobs[number]
        assert job.future is not None
        try:
            while True:
                try:
                    return job.future.result(LOOK_SECONDS)
                except TimeoutError:
                    self._stop = self._stop or ask(job.clock)
        except KeyboardInterrupt:
            self._stop = INTERRUPTED
            return job.future.result()

    def close(self) -> None:
        """Stop what nobody will ask for."""
        self._stop = self._stop or "not needed"
        self._pool.shutdown(cancel_futures=True)

    def _start_ready(self) -> None:
        for job in self._jobs:
            if job.future is None and not job.missing:
                job.future = self._pool.submit(self._run, job)

    def _run(self, job: _Job) -> Outcome:
        def ask(clock: int) -> str | None:
            job.clock = clock
            return self._stop

        with self._lock:
            self._running += 1
            tensors = dict(self._tensors)
        try:
            outcome = self._simulate(job.kernel, tensors, ask, self._share)
        finally:
            with self._lock:
                self._running -= 1
        with self._lock:
            for name, tensor in outcome.made.items():
                self._tensors[name] = replace(self._tensors[name], tensor=tensor)
            for other in self._jobs:
                other.missing -= outcome.made.keys()
            if self._stop is None:
                self._start_ready()
        return outcome

    def _share(self) -> int:
        return max(1, self._threads // max(1, self._running))
