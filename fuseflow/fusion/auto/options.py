# SPDX-License-Identifier: MIT
"""What a search is after, and what it may do to find it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fuseflow.ir.dataflow import DataflowProgram

__all__ = ["Figures", "Measure", "Measured", "Objective", "SearchOptions", "cost_of"]

# What a cycle counts where something else is to be small: it tells only equals apart.
TIE = 1e-9


class Objective(enum.StrEnum):
    """What is to be small: the name of a figure of an estimate."""

    CYCLES = "cycles"
    BYTES = "bytes"
    FLOPS = "flops"
    TOKENS = "tokens"


class Figures(Protocol):
    """What a kernel or a program takes, expected or measured."""

    @property
    def cycles(self) -> float:
        """Return the cycles."""

    @property
    def flops(self) -> int:
        """Return the scalar operations."""

    @property
    def bytes(self) -> int:
        """Return the DRAM traffic in bytes."""

    @property
    def tokens(self) -> int:
        """Return the tokens on all streams."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a program took when it ran."""

    cycles: float
    flops: int
    bytes: int
    tokens: int


# Runs a program; None if it did not come to its end.
Measure = Callable[[DataflowProgram], Measured | None]


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search is after.

    `objective` is to be small. With `blocks` indices may be split into the tiles that stored
    tensors consist of. The `verify` most promising programs are run by `measure`, and the best of
    them is taken. With `pareto` programs for every other objective are looked for as well.
    `progress` hears what is going on.
    """

    objective: Objective = Objective.CYCLES
    blocks: bool = False
    verify: int = 0
    measure: Measure | None = None
    pareto: bool = False
    progress: Callable[[str], None] | None = None

    def tell(self, text: str) -> None:
        """Say what is going on, if anybody listens."""
        if self.progress is not None:
            self.progress(text)


def cost_of(figures: Figures, objective: Objective) -> float:
    """Return what is to be small; of equal ones, that with fewer cycles."""
    if objective is Objective.CYCLES:
        return figures.cycles
    return float(getattr(figures, objective)) + TIE * figures.cycles
