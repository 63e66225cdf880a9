# SPDX-License-Identifier: MIT
"""Every table of the suite, in the order of the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.figures.compile_tables import table_3, table_4
from tools.figures.rows import Row
from tools.figures.speedups import figure_12
from tools.figures.sweeps import (
    figure_4b,
    figure_14,
    figure_15,
    figure_16a,
    figure_16b,
    figure_17,
    figure_18,
)
from tools.figures.tables import Table

__all__ = ["make_tables"]

_MAKERS: tuple[Callable[[Sequence[Row]], Table], ...] = (
    figure_4b,
    figure_12,
    figure_14,
    figure_15,
    figure_16a,
    figure_16b,
    figure_17,
    figure_18,
    table_3,
    table_4,
)


def make_tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables that have lines."""
    return [table for make in _MAKERS if (table := make(rows)).lines]
