# SPDX-License-Identifier: MIT
"""How many cycles a kernel takes, from the counts of its nodes.

Every node works at most one token per cycle, so a kernel takes at least as long as its busiest
node. It takes longer where a node has to wait for a whole list: what follows an accumulator starts
when it flushes, and has the last flush still to work off when everything before it has ended.
Costs are those of the default profile with an ideal memory (docs/streams.md, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from fuseflow.fusion.cost.figures import KernelCounts, NodeCounts
from fuseflow.ir.dataflow import GatherAttrs, Op

__all__ = ["Timing", "busy_cycles", "time_kernel"]

# These read a whole list before they send what they make of it.
WAITING = (Op.REDUCE, Op.SPACC)


@dataclass(frozen=True, slots=True)
class Timing:
    """Expected cycles of a kernel, and the node that works longest."""

    cycles: float
    bottleneck: NodeCounts

    @property
    def busy(self) -> int:
        """Return the cycles in which the bottleneck works."""
        return busy_cycles(self.bottleneck)


# When a stream brings the last of so many equal portions, by their number: with one portion that is
# its first token, with as many portions as tokens its last one.
_Arrivals = dict[int, float]


def time_kernel(counts: KernelCounts) -> Timing:
    """Return how long a kernel takes: when the last of its nodes ends."""
    arrivals: dict[int, _Arrivals] = {}
    cycles = 0.0
    for node in counts.nodes:
        busy = busy_cycles(node)
        known: _Arrivals = {}
        for sid in node.node.inputs:
            for portions, time in arrivals[sid].items() if sid is not None else ():
                known[portions] = max(time, known.get(portions, 0.0))
        known.setdefault(1, 0.0)
        # What comes last keeps the node busy for its share of the work.
        end = max(time + busy / portions for portions, time in known.items())
        cycles = max(cycles, end)
        waits = node.node.op in WAITING
        delay = busy / max(node.groups, 1) if waits else 1.0
        delay += node.latency - 1
        sent = {n: time + delay for n, time in known.items() if not waits or n < node.groups}
        for sid in node.node.outputs:
            if sid is not None:
                portions = node.groups if node.node.op is Op.SPACC else sum(counts.tokens[sid])
                arrivals[sid] = sent | {max(portions, 1): end + node.latency - 1}
    return Timing(cycles, max(counts.nodes, key=busy_cycles))


def busy_cycles(counts: NodeCounts) -> int:
    """Return the cycles in which a node works; exact for the default profile."""
    match counts.node.op:
        case Op.BROADCAST:
            return 0
        case Op.ROOT:
            return 2
        case Op.JOIN:
            return counts.walked + counts.stops
        case Op.SPACC:
            return counts.values + counts.walked + counts.groups
        case Op.LEVEL_WRITE:
            return counts.values + counts.groups
        case Op.VAL_WRITE:
            return counts.values + 1
        case Op.FORK:
            return counts.values + counts.stops + 1
        case Op.GATHER:
            assert isinstance(counts.node.attrs, GatherAttrs)
            return counts.values + counts.stops + counts.node.attrs.lanes - 1
    return counts.ticks * (counts.values + counts.stops)
