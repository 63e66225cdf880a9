# SPDX-License-Identifier: MIT
"""Which capacities would have let a kernel finish that ran into a deadlock: found by trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fuseflow.sim.machine import Machine
from fuseflow.sim.result import DeadlockInfo, MachineResult

__all__ = ["sufficient_capacities"]

MAX_RUNS = 32
"""Runs after which the search takes what it has: a kernel that finishes late takes long to try."""


def sufficient_capacities(
    machine: Machine, deadlock: DeadlockInfo, run: Callable[[Machine], MachineResult]
) -> dict[int, int] | None:
    """Return the least capacities of some channels with which the machine finishes.

    The smallest full channel of the wait cycle grows until the machine finishes; then each channel
    that grew shrinks as far as it can. Other sets of channels may do as well.

    Args:
        machine: the machine as it was.
        deadlock: why it stopped.
        run: a simulator; it is called up to `MAX_RUNS` times.

    Returns:
        Capacities by channel; None if more room does not help, or nothing was found in time.
    """
    search = _Search(machine, run)
    info: DeadlockInfo | None = deadlock
    while info is not None:
        full = {b.channel for b in info.blocked if b.waits_for == "slot"}
        if not full or search.is_exhausted:
            return None
        index = min(full, key=lambda channel: (search.capacity(channel), channel))
        search.grown[index] = 2 * search.capacity(index)
        result = search.try_with(search.grown)
        if not result.complete and result.deadlock is None:
            return None
        info = result.deadlock
    for index in sorted(search.grown):
        search.shrink(index)
    return dict(sorted(search.grown.items()))


class _Search:
    """The capacities found so far, and how many runs that took."""

    def __init__(self, machine: Machine, run: Callable[[Machine], MachineResult]) -> None:
        self.grown: dict[int, int] = {}
        self._machine = machine
        self._run = run
        self._runs = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether no more runs are allowed."""
        return self._runs >= MAX_RUNS

    def capacity(self, channel: int) -> int:
        """Return the capacity of a channel by now."""
        given = self._machine.channels[channel].capacity
        assert given is not None
        return self.grown.get(channel, given)

    def try_with(self, capacities: Mapping[int, int]) -> MachineResult:
        """Run the machine with some channels enlarged."""
        self._runs += 1
        channels = tuple(
            replace(channel, capacity=capacities.get(index, channel.capacity))
            for index, channel in enumerate(self._machine.channels)
        )
        return self._run(replace(self._machine, channels=channels))

    def shrink(self, index: int) -> None:
        """Halve the gap between a capacity that is too small and one that is enough."""
        too_small = self._machine.channels[index].capacity or 0
        while self.grown[index] - too_small > 1 and not self.is_exhausted:
            middle = (self.grown[index] + too_small) // 2
            if self.try_with({**self.grown, index: middle}).complete:
                self.grown[index] = middle
            else:
                too_small = middle
        if self.grown[index] == self._machine.channels[index].capacity:
            del self.grown[index]
