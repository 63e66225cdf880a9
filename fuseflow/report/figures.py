# SPDX-License-Identifier: MIT
"""A report as lines of figures: name, value, what it means, unit."""

from __future__ import annotations

from fuseflow.errors import UsageError
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.statistics import figures

__all__ = ["list_figures"]

BEGIN, END = "begin statistics", "end statistics"


def list_figures(root: object) -> str:
    """Return every figure of a report on a line of its own, between two lines that mark the ends.

    Raises:
        UsageError: U031 if this is no report.
    """
    if not isinstance(root, SimulationReport):
        message = "only a simulation report has statistics"
        raise UsageError("U031 no-report", message, fix="simulate the program: ff-sim")
    found = [(f.path, _number(f.value), f.statistic) for f in figures(root)]
    name_width = max(len(path) for path, _, _ in found)
    width = max(len(value) for _, value, _ in found)
    lines = [
        f"{path:<{name_width}}  {value:>{width}}  # {what.description} ({what.unit})"
        for path, value, what in found
    ]
    return "\n".join([f"---- {BEGIN} ----", *lines, f"---- {END} ----", ""])


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
