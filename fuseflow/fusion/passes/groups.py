# SPDX-License-Identifier: MIT
"""Plans groups one after the other, so that each one knows how its operands were written.

A group that cannot be lowered, or would compute a value too often, is cut at that value; full
fusion merges each group into the one before it as long as that can be lowered. Every barrier is
remembered with its reason.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.analysis.tuples import IllegalOrderError
from fuseflow.fusion.plan.group import Context, Planned, plan_region
from fuseflow.fusion.regions import cut_region, is_connected, make_region
from fuseflow.fusion.schedule.bind import Bindings
from fuseflow.fusion.schedule.region import Wishes, wishes_for
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import Route, ValueRoute

__all__ = ["Planner", "Task"]

ASKED_FOR = "the schedule says so"


@dataclass(frozen=True, slots=True)
class Task:
    """Operations to plan as one kernel.

    `name` is that of a group of the schedule, which stays as it is; "" otherwise. `is_cut` marks
    what was cut from the task before it, so that it is not merged again.
    """

    ops: tuple[Einsum, ...]
    name: str = ""
    is_cut: bool = False


@dataclass(slots=True)
class Planner:
    """Turns tasks into plans. `barriers` gives the reason for every value written on the way."""

    graph: EinsumGraph
    context: Context
    bindings: Bindings
    merges: bool
    plans: list[Planned] = field(default_factory=list)
    barriers: dict[str, str] = field(default_factory=dict)
    _consumers: dict[str, list[Einsum]] = field(init=False)
    _position: dict[Einsum, int] = field(init=False)

    def __post_init__(self) -> None:
        self._consumers = self.graph.consumers()
        self._position = {op: n for n, op in enumerate(self.graph.einsums)}
        routes = [(b.choice, b.reason) for b in self.bindings.directives]
        last = {
            choice.value: (choice, why)
            for choice, why in routes
            if isinstance(choice, Route) and not choice.use
        }
        for value, (choice, reason) in last.items():
            if choice.route is ValueRoute.MATERIALISE:
                self.barriers[value] = reason or ASKED_FOR

    def run(self, tasks: list[Task]) -> list[Planned]:
        """Plan all tasks, in order.

        Raises:
            ScheduleError: P001 if a single operation cannot be lowered, P002 if no kernel has an
                index that the schedule names, P013 if what it asks for is not possible.
            StorageConflictError: if an intermediate must be stored in another way.
        """
        todo = deque(tasks)
        while todo:
            task = todo.popleft()
            planned = self._attempt(task)
            if isinstance(planned, Planned) or self._fits_without_orders(task):
                task, planned = self._grow(task, planned, todo)
            if isinstance(planned, Planned):
                self._accept(planned)
            else:
                todo.extendleft(reversed(self._cut(task, planned)))
        self.context.used.check()
        return self.plans

    def _grow(
        self, task: Task, planned: Planned | IllegalOrderError, todo: deque[Task]
    ) -> tuple[Task, Planned | IllegalOrderError]:
        """Merge the tasks that follow as long as the whole can be lowered."""
        while todo and self._may_merge(task, todo[0]):
            ops = sorted((*task.ops, *todo[0].ops), key=self._position.__getitem__)
            merged = replace(task, ops=tuple(ops))
            attempt = self._attempt(merged)
            if not isinstance(attempt, Planned) and not self._fits_without_orders(merged):
                last = task.ops[-1].output.value
                what = f"fused with what follows, {', '.join(attempt.values)} could not be lowered"
                self.barriers.setdefault(last, f"{what}: {attempt.reason}")
                break
            task, planned = merged, attempt
            todo.popleft()
        return task, planned

    def _may_merge(self, task: Task, following: Task) -> bool:
        unwanted = not self.merges or following.is_cut or task.name or following.name
        return not unwanted and is_connected(task.ops, following.ops)

    def _fits_without_orders(self, task: Task) -> bool:
        """Return True if only an order stands in the way: it may be meant for what is to come."""
        wishes = wishes_for(task.ops, self.bindings)
        if not (self.merges and wishes.orders) or task.name:
            return False
        return isinstance(self._attempt(task, wishes.without_orders()), Planned)

    def _attempt(self, task: Task, wishes: Wishes | None = None) -> Planned | IllegalOrderError:
        name = task.name or f"k{len(self.plans)}_{task.ops[-1].output.value}"
        wishes = wishes or wishes_for(task.ops, self.bindings)
        read = {access.value for op in task.ops for access in op.operands}
        made = [op.output.value for op in task.ops]
        ends = tuple(v for v in made if v in wishes.materialised and v in read)
        if ends:
            return IllegalOrderError(ends, self.barriers[ends[0]])
        try:
            region = make_region(self.graph, task.ops, name, self._consumers)
            return plan_region(region, self.context, wishes)
        except IllegalOrderError as error:
            return error

    def _cut(self, task: Task, error: IllegalOrderError) -> list[Task]:
        """Split a task at the values that stand in the way."""
        wishes = wishes_for(task.ops, self.bindings)
        kept = [value for value in error.values if value in wishes.streamed]
        if kept:
            raise self._not_streamed(kept[0], error.reason) from error
        if wishes.total is not None:
            raise self._not_in_order(task, error) from error
        if len(task.ops) == 1:
            raise self._refusal(task.ops[0], error) from error
        for value in error.values:
            self.barriers.setdefault(value, error.reason)
        first, rest = (tuple(ops) for ops in cut_region(task.ops, error.values))
        names = [
            f"{task.name}_{ops[-1].output.value}" if task.name else "" for ops in (first, rest)
        ]
        return [Task(first, names[0], task.is_cut), Task(rest, names[1], is_cut=True)]

    def _accept(self, planned: Planned) -> None:
        results = {output.value for output in self.graph.outputs}
        for value in planned.region.outputs:
            if value in planned.wishes.streamed and value not in results:
                raise self._not_streamed(value, self.barriers.get(value, "its kernel ends there"))
        self.context.accept(planned)
        self.plans.append(planned)

    def _refusal(self, op: Einsum, error: IllegalOrderError) -> ScheduleError:
        asked = any(op.name in bound.ops for bound in self.bindings.directives)
        return ScheduleError(
            "P001",
            f"{op} cannot be lowered: {error.reason}",
            where=Location(graph=self.graph.name, node=op.name),
            fix="leave the order to the compiler" if asked else None,
        )

    def _not_streamed(self, value: str, reason: str) -> ScheduleError:
        return ScheduleError(
            "P013",
            f'value "{value}" cannot be streamed: {reason}',
            where=Location(graph=self.graph.name, node=value),
            fix=f"write: value {value} recompute, or: value {value} materialise",
        )

    def _not_in_order(self, task: Task, error: IllegalOrderError) -> ScheduleError:
        return ScheduleError(
            "P013",
            f"the order of this kernel cannot be lowered: {error}",
            where=Location(graph=self.graph.name, node=task.name or task.ops[-1].name),
            fix="leave out the word only, so that the compiler may complete or split it",
        )
