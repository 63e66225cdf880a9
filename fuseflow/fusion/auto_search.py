# SPDX-License-Identifier: MIT
"""The search for a schedule: what `strategy auto` stands for.

Every candidate is a schedule of its own. It is planned as if the user had written it, and priced by
its estimate, so that what wins can be printed, edited and replayed, and is never worse than a
preset by that estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.cost_program import ProgramEstimate, estimate_program
from fuseflow.fusion.plan import Planned
from fuseflow.ir.einsum import Value
from fuseflow.ir.schedule import Schedule, Strategy

__all__ = ["Considered", "Search", "Trial", "search_schedule"]

PRESETS = (Strategy.UNFUSED, Strategy.LAYER, Strategy.FULL)


@dataclass(frozen=True, slots=True)
class Trial:
    """A schedule carried out as far as its kernels; `values` has all tensors with formats."""

    plans: Sequence[Planned]
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Considered:
    """A schedule that was compared, and what it is expected to take."""

    label: str
    schedule: Schedule
    estimate: ProgramEstimate


@dataclass(frozen=True, slots=True)
class Search:
    """What was compared, cheapest first, and why other schedules are not possible."""

    ranked: tuple[Considered, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def schedule(self) -> Schedule:
        """Return the schedule that was chosen."""
        return self.ranked[0].schedule


def search_schedule(asked: Schedule, plan: Callable[[Schedule], Trial]) -> Search:
    """Return the schedules that refine the one asked for, cheapest first.

    Raises:
        ScheduleError: the first reason found, if none of them is possible.
    """
    found: list[Considered] = []
    failed: dict[str, ScheduleError] = {}
    for preset in PRESETS:
        schedule = replace(asked, strategy=preset)
        try:
            trial = plan(schedule)
        except ScheduleError as error:
            failed[preset] = error
            continue
        found.append(Considered(preset, schedule, estimate_program(trial.plans, trial.values)))
    if not found:
        raise next(iter(failed.values()))
    ranked = sorted(found, key=lambda each: (each.estimate.cycles, len(each.estimate.kernels)))
    return Search(tuple(ranked), {label: str(error) for label, error in failed.items()})
