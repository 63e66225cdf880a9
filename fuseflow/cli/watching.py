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
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from fuseflow.cli.console import Console

if TYPE_CHECKING:
    from fuseflow.sim.machine import Machine
    from fuseflow.sim.result import MachineResult

__all__ = ["INTERRUPTED", "MEMORY", "Progress", "memory_in_use", "open_trace"]

INTERRUPTED = "interrupted"
MEMORY = "of memory"
LOOK_SECONDS = 0.05
TELL_SECONDS = 5.0


class Progress:
    """Called by the simulator now and then; returns a reason to stop, or None."""

    def __init__(self, console: Console, kernels: int, args: argparse.Namespace) -> None:
        self._console = console
        self._kernels = kernels
        self._limit: int | None = args.max_memory
        self._pipe = _reader_poll() if args.output == "-" else None
        self._looked = self._told = time.monotonic()

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
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._console.note(f"kernel {number} of {self._kernels} ({kernel}), cycle {cycles:,}")
        if self._limit is not None and memory_in_use() > self._limit:
            return f"the limit of {self._limit / 2**20:g} MiB {MEMORY}"
        return None


def _reader_poll() -> Any:
    """Return what polls whether the reader of standard output has gone; None if that is no pipe."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        return None
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported always, nothing else is of interest
    return poll


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
