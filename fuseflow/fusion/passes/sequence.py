# SPDX-License-Identifier: MIT
"""The passes of the fusion stage, in the order in which they run.

A pass is a name, a line that says what it does, a function that takes the state one step further,
and one that shows what it left behind. `run_passes` runs them; between two passes the state is
plain data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.analysis.estimate import measure_levels
from fuseflow.fusion.analysis.support import compute_fills
from fuseflow.fusion.auto.dealing import deal_all
from fuseflow.fusion.auto.options import SearchOptions
from fuseflow.fusion.auto.partition import Atom
from fuseflow.fusion.auto.search import Bench, Prepared, Search, Trial, search_schedule
from fuseflow.fusion.passes.groups import Planner, Task
from fuseflow.fusion.passes.show import (
    show_bindings,
    show_graph,
    show_groups,
    show_plans,
    show_program,
    show_search,
)
from fuseflow.fusion.plan.group import Context, Planned, StorageConflictError
from fuseflow.fusion.regions import live_einsums, partition
from fuseflow.fusion.schedule.assoc import apply_associations, cheapest_associations
from fuseflow.fusion.schedule.bind import Bindings, Bound, bind_rewrites, bind_schedule
from fuseflow.fusion.schedule.block import apply_blocks
from fuseflow.fusion.schedule.machine import check_lanes, size_channels
from fuseflow.fusion.schedule.resolved import Decisions, notes_of, resolve
from fuseflow.fusion.schedule.select import unknown
from fuseflow.fusion.schedule.store import apply_formats
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph, Role, Value
from fuseflow.ir.schedule import Assoc, Block, Schedule, Strategy
from fuseflow.ir.schedule_text import format_schedule
from fuseflow.ir.tensor import dense_format
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.ir.verify_einsum import verify_einsum_graph

__all__ = ["PASSES", "Observer", "Pass", "State", "pass_named", "run_passes"]

# How many times over a value may be computed before it is written to memory instead. Full fusion
# of graph networks recomputes a layer about once per neighbour (FuseFlow, ASPLOS'26, section 8.3),
# which is meant; recomputing a projection for every query of an attention is not.
RECOMPUTE_BUDGET = {Strategy.UNFUSED: 1.0, Strategy.LAYER: 1.0, Strategy.FULL: 16.0}


@dataclass(slots=True)
class State:
    """What passes work on; each fills in its part.

    `graph` and `schedule` are given; `rewrites` were applied to the graph, and `added` operations
    to it, each with the one it belongs to; `bindings` is the schedule in terms of the graph;
    `tasks` are the groups; `plans` the kernels with the decisions behind them; `program` the
    result; `search` what was compared, if the schedule left the choice to the compiler, with
    `options`.
    """

    graph: EinsumGraph
    schedule: Schedule
    rewrites: tuple[Bound, ...] = ()
    added: dict[str, str] = field(default_factory=dict)
    bindings: Bindings = field(default_factory=Bindings)
    tasks: list[Task] = field(default_factory=list)
    plans: list[Planned] = field(default_factory=list)
    decisions: Decisions | None = None
    context: Context | None = None
    program: DataflowProgram | None = None
    search: Search | None = None
    options: SearchOptions = field(default_factory=SearchOptions)

    @property
    def strategy(self) -> Strategy:
        """Return the preset."""
        return self.schedule.strategy or Strategy.UNFUSED


@dataclass(frozen=True, slots=True)
class Pass:
    """One step: `run` changes the state, `show` yields lines about what it made."""

    name: str
    about: str
    run: Callable[[State], None]
    show: Callable[[State], Iterator[str]]


# Called behind every pass; returns False to stop there.
Observer = Callable[[Pass, State], bool]


def run_passes(state: State, passes: Sequence[Pass] = (), observe: Observer | None = None) -> None:
    """Run passes (all by default) until one is the last or the observer says stop.

    Raises:
        GraphError: if the graph breaks a rule of the verifier.
        ScheduleError: if the schedule does not fit the graph, or asks for what is not possible.
    """
    for each in passes or PASSES:
        each.run(state)
        if observe is not None and not observe(each, state):
            return


def pass_named(name: str) -> Pass:
    """Return a pass; ScheduleError P011 with the closest name if there is none."""
    known = {each.name: each for each in PASSES}
    if name not in known:
        raise unknown("pass", name, known)
    return known[name]


# Passes ------------------------------------------------------------------------------------------


def _verify_graph(state: State) -> None:
    verify_einsum_graph(state.graph)


def _search(state: State) -> None:
    """Replace `auto` by the choices that are expected to take the fewest cycles."""
    if state.strategy is not Strategy.AUTO:
        return
    graph = state.graph

    def prepare(schedule: Schedule) -> Prepared:
        trial = _run_until("group", State(graph, schedule))
        atoms = [Atom(task.ops, task.name) for task in trial.tasks]
        context = replace(_context(trial, set()), recompute=schedule.budget.recompute or math.inf)
        return Prepared(trial.graph, trial.bindings, context, atoms)

    def plan(schedule: Schedule) -> Trial:
        trial = _run_until("parallelize", State(graph, schedule))
        assert trial.context is not None
        return Trial(trial.plans, trial.context.values)

    def finish(schedule: Schedule) -> DataflowProgram:
        trial = _run_until(PASSES[-1].name, State(graph, schedule))
        assert trial.program is not None
        return trial.program

    bench = Bench(graph, prepare, plan, finish)
    state.search = search_schedule(state.schedule, bench, state.options)
    state.schedule = state.search.schedule


def _run_until(last: str, state: State) -> State:
    """Run the passes up to one, and return the state that it left behind."""
    names = [each.name for each in PASSES]
    run_passes(state, PASSES[: names.index(last) + 1])
    return state


def _associate(state: State) -> None:
    state.rewrites = bind_rewrites(state.schedule, state.graph)
    wanted = tuple(bound for bound in state.rewrites if isinstance(bound.choice, Assoc))
    if state.schedule.reassociate:
        asked = {name for bound in wanted for name in bound.ops}
        cheapest = cheapest_associations(state.graph)
        wanted += tuple(bound for bound in cheapest if not bound.ops & asked)
    state.graph, applied = apply_associations(state.graph, wanted)
    blocks = (bound for bound in state.rewrites if isinstance(bound.choice, Block))
    state.rewrites = (*applied, *blocks)


def _block(state: State) -> None:
    state.graph, state.rewrites, state.added = apply_blocks(state.graph, state.rewrites)


def _bind(state: State) -> None:
    state.bindings = bind_schedule(state.schedule, state.graph, state.rewrites, state.added)


def _store(state: State) -> None:
    state.graph = apply_formats(state.graph, state.bindings)


def _group(state: State) -> None:
    ops = live_einsums(state.graph)
    given = []
    for group in state.bindings.groups:
        members = set(group.ops)
        given.append((group.name, [op for op in ops if op.name in members]))
    given = [(name, members) for name, members in given if members]
    names = {members[0].name: name for name, members in given}
    parts = partition(
        ops, state.strategy, [members for _, members in given], state.schedule.scope_depth
    )
    position = {op: n for n, op in enumerate(state.graph.einsums)}
    in_order = (tuple(sorted(part, key=position.__getitem__)) for part in parts)
    state.tasks = [Task(part, names.get(part[0].name, "")) for part in in_order]


def _plan(state: State) -> None:
    """Plan all kernels, anew whenever the storage of an intermediate turns out to fit no reader."""
    dense: set[str] = set()
    while True:
        state.context = _context(state, dense)
        merges = state.strategy is Strategy.FULL
        planner = Planner(state.graph, state.context, state.bindings, merges)
        try:
            state.plans = planner.run(state.tasks)
        except StorageConflictError as conflict:
            if conflict.value in dense:
                raise _stuck(conflict.value) from conflict
            dense.add(conflict.value)
        else:
            break
    state.decisions = Decisions(
        graph=state.graph,
        bindings=state.bindings,
        barriers=planner.barriers,
        dense=frozenset(dense),
        recompute=state.context.recompute,
    )


def _stuck(value: str) -> ScheduleError:
    return ScheduleError("P013", f"no order of its readers fits how {value} is stored")


def _context(state: State, dense: set[str]) -> Context:
    budget = state.schedule.budget.recompute
    return Context(
        values=dict(_resolved_values(state.graph)),
        fills=compute_fills(state.graph, strict=state.schedule.strict_nonfinite),
        occupancies={
            name: measure_levels(value.tensor)
            for name, value in state.graph.values.items()
            if value.tensor is not None
        },
        recompute=RECOMPUTE_BUDGET[state.strategy] if budget is None else budget,
        dense=dense,
    )


def _resolved_values(graph: EinsumGraph) -> Iterator[tuple[str, Value]]:
    """Yield all values; a tensor without a declared format has that of its data."""
    for name, value in graph.values.items():
        if value.role is Role.INTERMEDIATE or value.format is not None:
            yield name, value
        elif value.tensor is not None:
            yield name, replace(value, format=value.tensor.format)
        else:
            yield name, replace(value, format=dense_format(len(value.shape)))


def _parallelize(state: State) -> None:
    assert state.context is not None
    check_lanes(state.plans)
    state.plans = deal_all(state.plans, state.context.values, state.schedule.budget)


def _size_channels(state: State) -> None:
    state.plans = [size_channels(planned) for planned in state.plans]


def _assemble(state: State) -> None:
    assert state.context is not None
    assert state.decisions is not None
    kernels = [planned.kernel for planned in state.plans]
    touched = {n for k in kernels for n in (*k.tensors_read(), *k.tensors_written())}
    touched |= {output.value for output in state.graph.outputs}
    asked = replace(state.schedule, strategy=state.strategy)
    schedule = resolve(asked, state.plans, state.decisions)
    state.program = DataflowProgram(
        name=state.graph.name,
        tensors={n: v for n, v in state.context.values.items() if n in touched},
        kernels=kernels,
        outputs=list(state.graph.outputs),
        schedule=format_schedule(schedule),
        notes=notes_of(schedule, state.plans),
    )


def _verify_program(state: State) -> None:
    assert state.program is not None
    verify_program(state.program)


PASSES: tuple[Pass, ...] = (
    Pass("verify-graph", "check the rules of einsum graphs", _verify_graph, show_graph),
    Pass("search", "choose what to fuse and how, if asked to", _search, show_search),
    Pass("associate", "regroup chains of products, if asked to", _associate, show_graph),
    Pass("block", "split indices into tiles, if asked to", _block, show_graph),
    Pass("bind-schedule", "find what the schedule names", _bind, show_bindings),
    Pass("store", "store tensors in the formats asked for", _store, show_graph),
    Pass("group", "decide which operations are fused", _group, show_groups),
    Pass("plan", "choose an order for every kernel and lower it", _plan, show_plans),
    Pass("parallelize", "deal indices to parallel lanes", _parallelize, show_plans),
    Pass("size-channels", "set the capacity of channels", _size_channels, show_plans),
    Pass("assemble", "put kernels and tensors into a program", _assemble, show_program),
    Pass("verify-program", "check the rules of dataflow programs", _verify_program, show_program),
)
