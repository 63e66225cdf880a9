# SPDX-License-Identifier: MIT
"""Watches the passes of `ff-fuse`: prints what they left behind, stops, and takes the time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuseflow.fusion.passes.sequence import Pass, State

__all__ = ["PassWatch"]


class PassWatch:
    """Called behind every pass; returns False behind the one to stop after."""

    def __init__(self, shown: Sequence[str], last: str | None) -> None:
        """Watch for the passes named.

        Raises:
            ScheduleError: P011 if there is no pass of that name.
        """
        from fuseflow.fusion.passes.sequence import pass_named

        for name in (*shown, *([last] if last else [])):
            pass_named(name)
        self._shown = frozenset(shown)
        self._last = last
        self._times: list[tuple[str, float]] = []
        self._started = 0.0
        self.stopped_with: list[str] = []

    def start(self) -> None:
        """Start the clock of the first pass."""
        self._started = time.perf_counter()

    def __call__(self, done: Pass, state: State) -> bool:
        """Note the time, print the state if that is wanted, and say whether to go on."""
        self._times.append((done.name, time.perf_counter() - self._started))
        if done.name in self._shown:
            print(f"after {done.name}:", file=sys.stderr)
            print("\n".join(f"  {line}" for line in done.show(state)), file=sys.stderr)
        if done.name == self._last:
            self.stopped_with = list(done.show(state))
            return False
        self.start()
        return True

    def times(self) -> Iterator[str]:
        """Yield a line per pass that ran, and their sum."""
        for name, seconds in (*self._times, ("total", sum(s for _, s in self._times))):
            yield f"{seconds * 1e3:9.2f} ms  {name}"
