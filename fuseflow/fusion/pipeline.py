# SPDX-License-Identifier: MIT
"""The fusion stage: EinsumGraph in, verified DataflowProgram out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.estimate import measure_levels
from fuseflow.fusion.plan import Context, Planned, StorageConflictError, plan_region
from fuseflow.fusion.regions import (
    Strategy,
    cut_region,
    is_connected,
    live_einsums,
    make_region,
    partition,
)
from fuseflow.fusion.support import compute_fills
from fuseflow.fusion.tuples import IllegalOrderError
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import Einsum, EinsumGraph, Role, Value
from fuseflow.ir.tensor import dense_format
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.ir.verify_einsum import verify_einsum_graph

__all__ = ["FuseOptions", "Fused", "fuse", "plan_graph"]

# How many times over a value may be computed before it is written to memory instead. Full fusion
# of graph networks recomputes a layer about once per neighbour (FuseFlow, ASPLOS'26, section 8.3),
# which is meant; recomputing a projection for every query of an attention is not.
RECOMPUTE_BUDGET = {Strategy.UNFUSED: 1.0, Strategy.LAYER: 1.0, Strategy.FULL: 16.0}


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """What the user chooses.

    `order` nests index classes of every kernel in this order, outermost first; names that a
    kernel lacks are left alone there. `recompute` overrides the budget of the strategy.
    """

    strategy: Strategy = Strategy.UNFUSED
    order: tuple[str, ...] = ()
    recompute: float | None = None


@dataclass(frozen=True, slots=True)
class Fused:
    """The program together with the plans it came from, for explanations."""

    program: DataflowProgram
    plans: tuple[Planned, ...]


def fuse(graph: EinsumGraph, options: FuseOptions | None = None) -> DataflowProgram:
    """Compile a graph into a program of fused kernels.

    Args:
        graph: the model; every input and parameter has data.
        options: the strategy and its refinements; unfused by default.

    Returns:
        The program, verified; its notes list barriers, copies and densified values.

    Raises:
        GraphError: if the graph breaks a rule of the verifier.
        ScheduleError: if the options ask for an order that does not exist.
    """
    return plan_graph(graph, options).program


def plan_graph(graph: EinsumGraph, options: FuseOptions | None = None) -> Fused:
    """Do the same as `fuse` and return the plans as well."""
    options = options or FuseOptions()
    verify_einsum_graph(graph)
    dense: set[str] = set()
    while True:
        try:
            fused = _Compiler(graph, options, dense).run()
        except StorageConflictError as conflict:
            dense.add(conflict.value)
        else:
            break
    verify_program(fused.program)
    return fused


class _Compiler:
    """Plans region after region, so that each one knows how its operands were written."""

    def __init__(self, graph: EinsumGraph, options: FuseOptions, dense: set[str]) -> None:
        self.graph = graph
        self.options = options
        budget = options.recompute
        self.context = Context(
            values=_resolved_values(graph),
            fills=compute_fills(graph),
            occupancies={
                name: measure_levels(value.tensor)
                for name, value in graph.values.items()
                if value.tensor is not None
            },
            recompute=RECOMPUTE_BUDGET[options.strategy] if budget is None else budget,
            chain=options.order,
            dense=dense,
        )
        self.notes = [
            f"{name} is stored dense, so that later kernels can read it" for name in dense
        ]
        self.notes.sort()
        self.plans: list[Planned] = []

    def run(self) -> Fused:
        groups = partition(live_einsums(self.graph), self.options.strategy)
        self._plan_all(deque((group, False) for group in groups))
        self._check_order()
        kernels = [planned.kernel for planned in self.plans]
        for planned in self.plans:
            self.notes += planned.notes
        touched = {n for k in kernels for n in (*k.tensors_read(), *k.tensors_written())}
        touched |= {output.value for output in self.graph.outputs}
        program = DataflowProgram(
            name=self.graph.name,
            tensors={n: v for n, v in self.context.values.items() if n in touched},
            kernels=kernels,
            outputs=list(self.graph.outputs),
            schedule=self._schedule(),
            notes=self.notes,
        )
        return Fused(program, tuple(self.plans))

    def _plan_all(self, groups: deque[tuple[list[Einsum], bool]]) -> None:
        """Plan groups in order; the flag marks a group that was cut from the one before it.

        Full fusion merges each group into the one before it as long as that can be lowered.
        """
        last: tuple[list[Einsum], Planned] | None = None
        while groups:
            group, is_cut = groups.popleft()
            if last is not None:
                merged = None if is_cut else self._merge(last[0], group)
                if merged is not None:
                    last = merged
                    continue
                self._accept(last[1])
                last = None
            planned = self._attempt(group)
            if isinstance(planned, Planned):
                last = group, planned
                continue
            if len(group) == 1:
                raise self._refusal(group[0], planned) from planned
            self.notes.append(f"barrier after {', '.join(planned.values)}: {planned.reason}")
            first, rest = cut_region(group, planned.values)
            groups.extendleft([(rest, True), (first, is_cut)])
        if last is not None:
            self._accept(last[1])

    def _merge(
        self, before: list[Einsum], group: list[Einsum]
    ) -> tuple[list[Einsum], Planned] | None:
        """Return both groups planned as one, or None if that is not wanted or not possible."""
        if self.options.strategy is not Strategy.FULL or not is_connected(before, group):
            return None
        ops = before + group
        planned = self._attempt(ops)
        if isinstance(planned, Planned):
            return ops, planned
        last = before[-1].output.value
        self.notes.append(
            f"barrier after {last}: fused with what follows, {', '.join(planned.values)} "
            f"could not be lowered: {planned.reason}"
        )
        return None

    def _attempt(self, group: list[Einsum]) -> Planned | IllegalOrderError:
        name = f"k{len(self.plans)}_{group[-1].output.value}"
        try:
            return plan_region(make_region(self.graph, group, name), self.context)
        except IllegalOrderError as error:
            return error

    def _accept(self, planned: Planned) -> None:
        self.context.accept(planned)
        self.plans.append(planned)

    def _refusal(self, op: Einsum, error: IllegalOrderError) -> ScheduleError:
        return ScheduleError(
            "P001",
            f"{op} cannot be lowered: {error.reason}",
            where=Location(graph=self.graph.name, node=op.name),
            fix="leave the order to the compiler" if self.options.order else None,
        )

    def _check_order(self) -> None:
        """Refuse an order that names an index which no kernel has."""
        known = {name for planned in self.plans for name in planned.plan.graph.classes}
        for name in self.options.order:
            if name not in known:
                raise ScheduleError(
                    "P002",
                    f'order names index "{name}", which no kernel has',
                    fix=f"the indices are {', '.join(sorted(known))}",
                )

    def _schedule(self) -> str:
        lines = [f"strategy {self.options.strategy};"]
        lines += [
            f"fuse {planned.kernel.name} = {', '.join(planned.kernel.einsums)} "
            f"{{ order only {' -> '.join(planned.plan.order)}; }};"
            for planned in self.plans
        ]
        return "\n".join(lines) + "\n"


def _resolved_values(graph: EinsumGraph) -> dict[str, Value]:
    """Return all values; a tensor without a declared format has that of its data."""
    return dict(_resolve(graph))


def _resolve(graph: EinsumGraph) -> Iterator[tuple[str, Value]]:
    for name, value in graph.values.items():
        if value.role is Role.INTERMEDIATE or value.format is not None:
            yield name, value
        elif value.tensor is not None:
            yield name, replace(value, format=value.tensor.format)
        else:
            yield name, replace(value, format=dense_format(len(value.shape)))
