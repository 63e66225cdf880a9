# SPDX-License-Identifier: MIT
"""Traces in the Chrome JSON format, which https://ui.perfetto.dev opens.

A process is a kernel, a thread is a unit, a slice is a list that passed through the unit, a counter
is what a channel holds. One cycle is one nanosecond. Kernels are traced when they have finished,
from what a watched run recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

import numpy as np

from fuseflow.sim.machine import Machine, Unit
from fuseflow.sim.occupancy import occupancy
from fuseflow.sim.params import Ints
from fuseflow.sim.result import ChannelResult, MachineResult
from fuseflow.sim.tokens import CTL_DONE, CTL_MISSING

__all__ = ["Trace"]


class Trace:
    """Writes events of the cycles `first` .. `last` (None: to the end), at most `limit` of them."""

    def __init__(self, file: IO[str], first: int, last: int | None, limit: int) -> None:
        self._file = file
        self._first = first
        self._last = last
        self._limit = limit
        self._count = 0
        self._kernels = 0
        self._is_full = False
        file.write('{"displayTimeUnit": "ns", "traceEvents": [')

    def add(self, machine: Machine, result: MachineResult, start: int) -> None:
        """Trace a kernel that started in cycle `start` of the program."""
        self._kernels += 1
        process = self._kernels
        self._name("process_name", process, 0, machine.name)
        for place, unit in enumerate(machine.units):
            self._name("thread_name", process, place + 1, unit.name)
            for event in self._slices(unit, result, start):
                self._write("X", process, place + 1, event)
        for place, channel in enumerate(machine.channels):
            # Names may occur twice; the id keeps their counters apart.
            name = f'"name": {json.dumps(channel.name)}, "id": {place}'
            for cycle, held in self._levels(result.channels[place], start):
                body = f'{name}, "ts": {_time(cycle)}'
                self._write("C", process, 0, f'{body}, "args": {{"tokens": {held}}}')

    def close(self) -> None:
        """End the file; nothing can be added after that."""
        self._file.write("\n]}\n")

    def _slices(self, unit: Unit, result: MachineResult, start: int) -> Iterator[str]:
        """Yield a slice for each innermost list, on the stream that stands for the unit.

        Stamps may fall where latencies mix; a slice begins when the one before has ended.
        """
        times, ctl = _lists_of(unit, result)
        borders = np.flatnonzero(ctl > CTL_MISSING)
        end = 0
        for begin, border in zip([0, *(borders[:-1] + 1)], borders, strict=False):
            if ctl[border] == CTL_DONE:
                continue
            span = times[begin : border + 1]
            earliest, end = max(end, int(span.min())), max(end, int(span.max()))
            window = self._clip(start + earliest, start + end)
            if window is not None:
                name = json.dumps(f"list of {border - begin}")
                dur = _time(window[1] - window[0])
                yield f'"name": {name}, "ts": {_time(window[0])}, "dur": {dur}'

    def _clip(self, begin: int, end: int) -> tuple[int, int] | None:
        """Return the part of a span that lies in the window, None if there is none."""
        last = end if self._last is None else min(end, self._last)
        begin = max(begin, self._first)
        return (begin, last) if begin <= last else None

    def _levels(self, figures: ChannelResult, start: int) -> Iterator[tuple[int, int]]:
        """Yield when a channel holds how much, beginning with what it holds at the first cycle."""
        if figures.recorded is None or figures.removals is None:
            return
        cycles, held = occupancy(figures.recorded.stamps, figures.removals)
        cycles = cycles + start
        before = int(np.searchsorted(cycles, self._first, side="right"))
        if before and self._last != self._first:
            yield self._first, int(held[before - 1])
        after = len(cycles) if self._last is None else int(np.searchsorted(cycles, self._last))
        yield from zip(cycles[before:after].tolist(), held[before:after].tolist(), strict=True)

    def _name(self, kind: str, process: int, thread: int, name: str) -> None:
        body = f'"name": "{kind}", "args": {{"name": {json.dumps(name)}}}'
        self._put(f'{{"ph": "M", "pid": {process}, "tid": {thread}, {body}}}')

    def _write(self, phase: str, process: int, thread: int, body: str) -> None:
        """Write an event, or once that events are missing from here on."""
        if self._is_full:
            return
        place = f'"pid": {process}, "tid": {thread}'
        if self._count < self._limit:
            self._put(f'{{"ph": "{phase}", {place}, {body}}}')
            return
        self._is_full = True
        note = json.dumps(f"truncated after {self._limit} events")
        self._put(f'{{"ph": "I", "s": "g", {place}, "ts": {_time(self._first)}, "name": {note}}}')

    def _put(self, event: str) -> None:
        self._file.write(",\n" if self._count else "\n")
        self._file.write(event)
        self._count += 1


def _lists_of(unit: Unit, result: MachineResult) -> tuple[Ints, Ints]:
    """Return times and control bytes of the first stream that a unit sends, else reads."""
    for channels, is_sent in ((unit.outputs, True), (unit.inputs, False)):
        for channel in channels:
            figures = result.channels[channel] if channel >= 0 else None
            if figures and figures.recorded is not None and figures.removals is not None:
                times = figures.recorded.stamps if is_sent else figures.removals
                return times, figures.recorded.ctl[: len(times)].astype(np.int64)
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def _time(cycle: int) -> str:
    """Write nanoseconds as microseconds, exactly."""
    return f"{cycle // 1000}.{cycle % 1000:03d}"
