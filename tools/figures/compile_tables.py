# SPDX-License-Identifier: MIT
"""Tables 3 and 4: what the compiler expects of a program, and how many loop orders it has."""

from __future__ import annotations

from collections.abc import Sequence

from tools.figures.paper import TABLE_3_ERRORS, TABLE_4_ORDERS
from tools.figures.rows import Row, Status
from tools.figures.tables import Table, of_figure, status

__all__ = ["mean_errors", "table_3", "table_4"]

_ESTIMATED = ("flops", "bytes", "cycles")


def table_3(rows: Sequence[Row]) -> Table:
    """Return the error of the estimator against the simulation."""
    chosen = of_figure(rows, "table3")
    lines = [
        (row.model, row.input, row.kind, row.scale or "full size", row.config,
         *(_percent(_error(row, field)) for field in _ESTIMATED), "-", "-", status(row))
        for row in chosen
    ]  # fmt: skip
    for model, (flops, moved) in TABLE_3_ERRORS.items():
        means = mean_errors(chosen, model)
        if means:
            lines.append(
                (model, "all", "-", "-", "mean", *map(_percent, means), f"{flops:g} %",
                 f"{moved:g} %", "-")
            )  # fmt: skip
    columns = (
        "model", "input", "kind", "scale", "fusion", "error in FLOPs", "in bytes", "in cycles",
        "paper FLOPs", "paper bytes", "status",
    )  # fmt: skip
    note = (
        "Absolute error relative to the simulation. The paper estimates from dimensions, "
        "sparsities and rates of intersection; here the structure of the operands is counted, and "
        "exact, unless that takes too long. A comparison with its errors says little."
    )
    return Table("table3", "Table 3: errors of the estimator", columns, tuple(lines), (note,))


def mean_errors(rows: Sequence[Row], model: str) -> tuple[float, ...]:
    """Return the mean errors in FLOPs, bytes and cycles of a model, () if nothing was run."""
    good = [row for row in rows if row.model == model and _error(row, "flops") is not None]
    return tuple(
        sum(abs(_error(row, field) or 0.0) for row in good) / len(good) for field in _ESTIMATED
    ) if good else ()  # fmt: skip


def _error(row: Row, field: str) -> float | None:
    """Return the error of an estimate in percent."""
    measured: int = getattr(row, field)
    if row.estimate is None or row.status is not Status.OK or not measured:
        return None
    return 100 * abs(row.estimate[field] / measured - 1)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g} %"


def table_4(rows: Sequence[Row]) -> Table:
    """Return how many loop orders a fully fused model has, by two rules of counting."""
    lines = []
    for row in of_figure(rows, "table4"):
        counts = row.orders or {}
        theirs = TABLE_4_ORDERS[row.model]
        for rule in dict.fromkeys(key.partition(": ")[0] for key in counts):
            found = [count for key, count in counts.items() if key.startswith(f"{rule}: ")]
            lines.append((row.model, rule, *found, *map("{:.3g}".format, theirs), status(row)))
    columns = (
        "model", "views", "indices", "orders", "as stored", "row-wise", "both", "paper, without",
        "paper, with", "status",
    )  # fmt: skip
    note = (
        "Shared: uses of a value with the same indices are one view. Per use: every use has "
        "indices of its own. The paper does not say how it counts; its number for GCN without "
        "constraints is capped, and estimated at 1e15."
    )
    return Table("table4", "Table 4: loop orders", columns, tuple(lines), (note,))
