# SPDX-License-Identifier: MIT
"""Eyes on a run: how far it is, how much memory it takes, whether anybody still listens."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from fuseflow.cli.console import Console

if TYPE_CHECKING:
    from fuseflow.sim.machine import Machine
    from fuseflow.sim.result import MachineResult

__all__ = [
    "INTERRUPTED",
    "MEMORY",
    "TERMINATED",
    "Progress",
    "catch_termination",
    "memory_in_use",
    "note_signals",
    "open_trace",
    "processors",
]

INTERRUPTED = "interrupted"
MEMORY = "of memory"
TERMINATED = 128 + signal.SIGTERM
"""Exit code of a run that was asked to end."""

LOOK_SECONDS = 0.05
TELL_SECONDS = 5.0


class Progress:
    """Called by the simulator now and then; returns a reason to stop, or None."""

    def __init__(self, console: Console, kernels: int, args: argparse.Namespace) -> None:
        self._console = console
        self._kernels = kernels
        self._limit: int | None = args.max_memory
        self._pipe = _reader_poll() if args.output == "-" else None
        self._speaks = sys.stderr.isatty() or args.verbose
        self._looked = self._told = time.monotonic()
        self._cycles = 0

    def __call__(self, number: int, kernel: str, cycles: int) -> str | None:
        """Look around, but not too often.

        Raises:
            BrokenPipeError: nobody reads standard output any more.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        if self._pipe is not None and self._pipe.poll(0):
            raise BrokenPipeError
        if self._speaks and now - self._told >= TELL_SECONDS:
            self._tell(number, kernel, cycles, now - self._told)
            self._told = now
        if self._limit is not None and memory_in_use() > self._limit:
            return f"the limit of {self._limit / 2**20:g} MiB {MEMORY}"
        return None

    def _tell(self, number: int, kernel: str, cycles: int, seconds: float) -> None:
        """Say where the run is, and how fast it got there since the last time."""
        speed = max(0, cycles - self._cycles) / seconds if seconds else 0.0
        self._cycles = cycles
        self._console.note(
            f"kernel {number} of {self._kernels} ({kernel}), cycle {cycles:,}, "
            f"{speed:,.0f} cycles per second"
        )


def _reader_poll() -> Any:
    """Return what polls whether the reader of standard output has gone; None if that is no pipe."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        return None
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported always, nothing else is of interest
    return poll


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def catch_termination() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM end a run like Ctrl-C, with its report; give what tells whether it came."""
    came = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def note_signals() -> Iterator[Callable[[], int | None]]:
    """Take Ctrl-C and SIGTERM without an exception; give what returns the one that came, or None.

    An exception can be raised anywhere, and is lost where Python ignores those of its own clean-up:
    code that waits for threads and processes had better ask.
    """
    came: list[int] = []
    asked = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = [signal.signal(each, lambda number, _: came.append(number)) for each in asked]
    try:
        yield lambda: came[0] if came else None
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)


def memory_in_use() -> int:
    """Return the resident memory of this process in bytes; its largest so far where need be."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def open_trace(
    args: argparse.Namespace,
) -> Iterator[Callable[[Machine, MachineResult, int], None] | None]:
    """Open the trace that the arguments ask for; give what takes in the kernels, or None."""
    if args.trace is None:
        yield None
        return
    from fuseflow.sim.trace import Trace

    with _open_text(Path(args.trace)) as file:
        first, last = args.trace_window or (0, None)
        trace = Trace(file, first, last, args.trace_limit)
        try:
            yield trace.add
        finally:
            trace.close()


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast("IO[str]", gzip.open(path, "wt", encoding="utf-8"))
    return path.open("w", encoding="utf-8")
