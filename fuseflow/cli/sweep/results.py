# SPDX-License-Identifier: MIT
"""What a study found: one row per case, read from its report; compared, and as table and files."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuseflow.cli.sweep.steps import Step
from fuseflow.cli.sweep.study import Axis, Case
from fuseflow.errors import FuseflowError
from fuseflow.ir.report import KernelStats, SimulationReport
from fuseflow.report.tables import Table
from fuseflow.wire import read_report, replace_file

__all__ = ["Row", "compare", "is_final", "make_row", "make_table", "write_rows"]

PASSED, FAILED, UNCHECKED, DEADLOCK, STOPPED, ERROR = (
    "passed",
    "failed",
    "unchecked",
    "deadlock",
    "stopped",
    "error",
)
_RIGHT = ("kernels", "cycles", "speed-up", "FLOPs", "DRAM bytes", "error")


@dataclass(frozen=True, slots=True)
class Row:
    """One case: its options, what became of it, and its figures, which count if it `finished`.

    `speedup` is over the first finished case of its group: the same model, imported the same way.
    `front` says that no case of the group on the same `machine`, that is simulated by the same
    command, takes both fewer cycles and fewer bytes.
    """

    model: str
    labels: tuple[str, ...]
    group: str
    machine: str
    command: str
    report: Path
    status: str = ERROR
    reason: str = ""
    kernels: int = 0
    cycles: int = 0
    tokens: int = 0
    flops: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    max_rel_error: float | None = None
    bound: str = ""
    speedup: float | None = None
    front: bool = False

    @property
    def finished(self) -> bool:
        """Return True if the simulation came to its end."""
        return self.good or self.status == FAILED

    @property
    def good(self) -> bool:
        """Return True if the simulation came to its end and nothing was found to be wrong."""
        return self.status in (PASSED, UNCHECKED)

    @property
    def name(self) -> str:
        """Return the model with the choices that tell the case apart."""
        return " ".join((self.model, *self.labels))

    @property
    def bytes(self) -> int:
        """Return the bytes read from and written to DRAM."""
        return self.read_bytes + self.written_bytes


def is_final(path: Path, stage: str) -> bool:
    """Return True if a stored artifact need not be made again.

    Commands write whole files or none; only a report can be of a run that was stopped.
    """
    if stage != "sim":
        return True
    try:
        report = read_report(path)
    except (FuseflowError, OSError):
        return False
    return report.complete or report.deadlock is not None


def make_row(case: Case, chain: Sequence[Step], error: str | None) -> Row:
    """Return the row of a case from the report of its steps, or from why there is none."""
    first, last = chain[0], chain[-1]
    row = Row(case.model, case.labels, first.path.stem, last.command, last.pipe, last.path)
    if error or not last.path.exists():
        return replace(row, reason=error or "was not run")
    report = read_report(last.path)
    totals, check = report.totals, report.check
    status, reason = _verdict(report)
    return replace(
        row,
        status=status,
        reason=reason,
        kernels=totals.kernels,
        cycles=totals.cycles,
        tokens=totals.tokens,
        flops=totals.flops,
        read_bytes=totals.dram_read_bytes,
        written_bytes=totals.dram_write_bytes,
        max_rel_error=check.max_rel_error if check.performed else None,
        bound=_bound(report.kernels),
    )


def _verdict(report: SimulationReport) -> tuple[str, str]:
    if report.deadlock is not None:
        return DEADLOCK, f"{report.deadlock.kind} deadlock in kernel {report.deadlock.kernel}"
    if not report.complete:
        return STOPPED, report.stopped
    if not report.check.performed:
        return UNCHECKED, ""
    return (PASSED, "") if report.check.passed else (FAILED, "; ".join(report.check.failures))


def _bound(kernels: Sequence[KernelStats]) -> str:
    """Return what the longest kernel spends its cycles on."""
    if not kernels:
        return ""
    longest = max(kernels, key=lambda kernel: kernel.cycles)
    critical = longest.critical
    return f"{longest.name}: {critical.kind} {critical.name}" if critical else longest.name


def compare(rows: Iterable[Row]) -> list[Row]:
    """Return rows with speed-ups and the front of cycles against bytes, per group."""
    rows = list(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.finished:
            groups.setdefault(row.group, []).append(row)
    return [_compared(row, groups[row.group]) if row.finished else row for row in rows]


def _compared(row: Row, group: Sequence[Row]) -> Row:
    speedup = group[0].cycles / row.cycles if row.cycles else None
    rivals = [other for other in group if other.machine == row.machine]
    return replace(row, speedup=speedup, front=not any(_beats(other, row) for other in rivals))


def _beats(one: Row, other: Row) -> bool:
    ours, theirs = (one.cycles, one.bytes), (other.cycles, other.bytes)
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def make_table(rows: Sequence[Row], axes: Sequence[Axis]) -> Table:
    """Return rows as a table with a column for every axis that varies."""
    names = _titles(axes)
    columns = ("model", *names, *_RIGHT, "check", "front")
    cells = tuple(_cells(row) for row in rows)
    pairs = enumerate(itertools.pairwise(rows))
    breaks = frozenset(number for number, (row, after) in pairs if row.model != after.model)
    return Table("", columns, cells, frozenset(_RIGHT), breaks)


def _titles(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Return short names of axes, with their command where two are called the same."""
    options = [axis.option for axis in axes]
    return tuple(
        axis.option if options.count(axis.option) == 1 else f"{axis.stage} {axis.option}"
        for axis in axes
    )


def _cells(row: Row) -> tuple[str, ...]:
    if not row.finished:
        return (row.model, *row.labels, *("-",) * len(_RIGHT), row.status, "")
    return (
        row.model,
        *row.labels,
        f"{row.kernels}",
        f"{row.cycles:,}",
        f"{row.speedup:.2f}x" if row.speedup is not None else "-",
        f"{row.flops:,}",
        f"{row.bytes:,}",
        f"{row.max_rel_error:.1g}" if row.max_rel_error is not None else "-",
        row.status,
        "*" if row.front else "",
    )


def write_rows(rows: Sequence[Row], axes: Sequence[Axis], folder: Path) -> None:
    """Write `results.json` and `results.csv` to a folder, each whole or not at all."""
    records = [_record(row, axes, folder) for row in rows]
    replace_file(folder / "results.json", [(json.dumps(records, indent=1) + "\n").encode()])
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [])
    writer.writeheader()
    writer.writerows(records)
    replace_file(folder / "results.csv", [text.getvalue().encode()])


def _record(row: Row, axes: Sequence[Axis], folder: Path) -> dict[str, Any]:
    settings = dict(zip(_titles(axes), row.labels, strict=True))
    figures = {
        "status": row.status,
        "reason": row.reason,
        "kernels": row.kernels,
        "cycles": row.cycles,
        "tokens": row.tokens,
        "flops": row.flops,
        "dram_read_bytes": row.read_bytes,
        "dram_write_bytes": row.written_bytes,
        "max_rel_error": row.max_rel_error,
        "speedup": row.speedup,
        "on_front": row.front,
        "bound": row.bound,
        "command": row.command,
        "report": row.report.relative_to(folder).as_posix(),
    }
    return {"model": row.model, **settings, **figures}
