# SPDX-License-Identifier: MIT
"""The fusion stage: EinsumGraph in, verified DataflowProgram out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fuseflow.fusion.auto.options import SearchOptions
from fuseflow.fusion.passes.sequence import Observer, State, run_passes
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import (
    Block,
    Choice,
    Directive,
    Glob,
    IndexRef,
    IndexTile,
    Iterate,
    Iteration,
    Order,
    Parallel,
    Schedule,
    Scoped,
    Strategy,
)

__all__ = ["FuseOptions", "Fused", "fuse", "make_schedule", "plan_graph"]


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """What the user chooses; everything else refines `schedule`, and wins over it.

    `strategy` None is that of the schedule, else unfused. `order` nests indices of every kernel in
    this order, outermost first; indices that a kernel lacks are left alone there. `recompute`
    overrides how often a value may be computed. `parallel` gives indices a number of lanes, `block`
    the extent of a tile; the name "*" stands for every index that is at least that long.
    `strict_nonfinite` takes no computed value as finite that is not proven to be. `seconds` limits
    how long strategy `AUTO` looks for something better than the presets. `lanes` and `nodes` are
    budgets of every kernel: how many lanes it may be dealt to, of how many nodes it may consist.
    `search` says what strategy `AUTO` is after.
    """

    strategy: Strategy | None = None
    order: tuple[str, ...] = ()
    recompute: float | None = None
    parallel: tuple[tuple[str, int], ...] = ()
    block: tuple[tuple[str, int], ...] = ()
    iteration: Iteration | None = None
    strict_nonfinite: bool = False
    schedule: Schedule | None = None
    seconds: float | None = None
    lanes: int | None = None
    nodes: int | None = None
    search: SearchOptions = field(default_factory=SearchOptions)


@dataclass(frozen=True, slots=True)
class Fused:
    """The program together with the plans it came from, for explanations."""

    program: DataflowProgram
    plans: tuple[Planned, ...]
    state: State


def fuse(graph: EinsumGraph, options: FuseOptions | None = None) -> DataflowProgram:
    """Compile a graph into a program of fused kernels.

    Args:
        graph: the model; every input and parameter has data.
        options: the strategy and its refinements; unfused by default.

    Returns:
        The program, verified; its notes list barriers, copies and densified values.

    Raises:
        GraphError: if the graph breaks a rule of the verifier.
        ScheduleError: if the options do not fit the graph, or ask for what is not possible.
    """
    return plan_graph(graph, options).program


def plan_graph(
    graph: EinsumGraph, options: FuseOptions | None = None, observe: Observer | None = None
) -> Fused:
    """Do the same as `fuse` and return the plans as well; `observe` is called after each pass.

    Raises:
        ValueError: if the observer stops before there is a program.
    """
    options = options or FuseOptions()
    state = State(graph, make_schedule(options), options=options.search)
    run_passes(state, observe=observe)
    if state.program is None:
        raise ValueError("stopped before the program was complete")
    return Fused(state.program, tuple(state.plans), state)


def make_schedule(options: FuseOptions) -> Schedule:
    """Write all options as one schedule."""
    schedule = options.schedule or Schedule()
    if options.strategy is not None:
        schedule = replace(schedule, strategy=options.strategy)
    asked = {key: getattr(options, key) for key in ("recompute", "seconds", "lanes", "nodes")}
    limits = {key: limit for key, limit in asked.items() if limit is not None}
    schedule = replace(schedule, budget=replace(schedule.budget, **limits))
    if options.strict_nonfinite:
        schedule = replace(schedule, strict_nonfinite=True)
    choices: list[Choice] = []
    if options.order:
        choices.append(Order(tuple(map(_reference, options.order))))
    if options.iteration is not None:
        choices.append(Iterate(options.iteration))
    choices += [Parallel(_reference(index), factor) for index, factor in options.parallel]
    if options.block:
        choices.append(Block(tuple(IndexTile(_reference(i), n) for i, n in options.block)))
    if not choices:
        return schedule
    everywhere = Scoped(Glob("*"), tuple(map(Directive, choices)))
    return replace(schedule, scoped=(*schedule.scoped, everywhere))


def _reference(text: str) -> IndexRef:
    op, _, name = text.rpartition(".")
    return IndexRef(name, op)
