# SPDX-License-Identifier: MIT
"""Tables, made from stored rows only: as Markdown for people and as CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.figures.rows import Row, Status

__all__ = [
    "Table",
    "input_key",
    "number",
    "of_figure",
    "over_floor",
    "pair_with_unfused",
    "ratio",
    "speedup",
    "status",
    "to_csv",
    "to_markdown",
]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption; every line has a cell for every column. `notes` go below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def of_figure(rows: Iterable[Row], figure: str) -> list[Row]:
    """Return the rows that belong to a figure, in their order."""
    return [row for row in rows if figure in row.figures]


def number(value: float | None) -> str:
    """Write a count in full, nothing where there is none."""
    return "-" if value is None else f"{value:,}"


def ratio(value: float | None) -> str:
    """Write a quotient with three significant digits, nothing where there is none."""
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def pair_with_unfused(rows: Iterable[Row]) -> list[tuple[Row, Row | None]]:
    """Pair each row with the unfused run of the same input on the same machine, if there is one."""
    chosen = list(rows)
    unfused = {input_key(row): row for row in chosen if row.config == "unfused"}
    return [(row, unfused.get(input_key(row))) for row in chosen]


def input_key(row: Row) -> tuple[object, ...]:
    """Return what rows have in common that differ in their fusion only."""
    return row.model, row.input, row.scale, row.density, row.memory, row.timing


def over_floor(row: Row) -> str:
    """Write cycles over the floor with three decimals, nothing where cycles do not count."""
    return "-" if row.ratio is None else f"{row.ratio:.3f}"


def speedup(row: Row, base: Row | None) -> float | None:
    """Return cycles of `base` over those of `row`; None unless both count."""
    if base is None or {row.status, base.status} != {Status.OK} or not row.cycles:
        return None
    return base.cycles / row.cycles


def status(row: Row) -> str:
    """Return what became of a row, and why."""
    return f"{row.status}: {row.reason}" if row.reason else str(row.status)


def to_markdown(table: Table) -> str:
    """Return a table in Markdown, under a heading."""
    rule = tuple("---" if n == 0 else "---:" for n in range(len(table.columns)))
    lines = [_line(cells) for cells in (table.columns, rule, *table.lines)]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([f"### {table.title}\n", *lines, *notes]) + "\n"


def to_csv(table: Table) -> str:
    """Return a table as CSV, with a line of column names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([cell.replace(",", "") for cell in line] for line in table.lines)
    return text.getvalue()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
