# SPDX-License-Identifier: MIT
"""Directives about the machine: lanes of an index, and the capacity of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fuseflow.fusion.plan.group import Planned
from fuseflow.fusion.schedule.region import UsedIndices, find_class
from fuseflow.ir.dataflow import DataflowGraph

__all__ = ["check_lanes", "lanes_of", "size_channels"]


def check_lanes(plans: Sequence[Planned]) -> None:
    """Raise P002 if the schedule names an index for lanes that no kernel has."""
    used = UsedIndices()
    for planned in plans:
        lanes_of(planned, used)
    used.check()


def lanes_of(planned: Planned, used: UsedIndices | None = None) -> dict[str, int]:
    """Return the number of lanes for each index class of a kernel that is dealt."""
    graph, order = planned.plan.graph, planned.plan.order
    lanes: dict[str, int] = {}
    for parallel, ops in planned.wishes.parallel:
        name = find_class(graph, parallel.index, ops, order)
        if used is not None:
            used.note(parallel.index, name, graph)
        if name is not None:
            lanes[name] = parallel.factor
    return lanes


def size_channels(planned: Planned) -> Planned:
    """Give every channel of a kernel the capacity that the schedule names, if it names one."""
    capacity = planned.wishes.capacity
    if capacity is None:
        return planned
    kernel = planned.kernel
    streams = {sid: replace(stream, capacity=capacity) for sid, stream in kernel.streams.items()}
    sized = DataflowGraph(kernel.name, kernel.nodes, streams, kernel.einsums, kernel.order)
    return replace(planned, kernel=sized)
