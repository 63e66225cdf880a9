# SPDX-License-Identifier: MIT
"""Figures 4b and 14 to 18 as tables: every row beside its floor, and beside what was published."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.figures.paper import (
    FIGURE_4B_SPEEDUPS,
    FIGURE_14_COUNTS,
    FIGURE_16_CYCLES,
    FIGURE_17_FACTORS,
    FIGURE_18_SPREAD,
)
from tools.figures.rows import Row, Status
from tools.figures.tables import (
    Table,
    number,
    of_figure,
    over_floor,
    pair_with_unfused,
    ratio,
    speedup,
    status,
)

__all__ = [
    "figure_4b",
    "figure_14",
    "figure_15",
    "figure_16a",
    "figure_16b",
    "figure_17",
    "figure_18",
]

_LABELS = ("input", "kind", "scale")
_CYCLES = ("cycles", "floor", "cycles / floor")


def figure_4b(rows: Sequence[Row]) -> Table:
    """GCN on Collab: what a compiler of single expressions reaches, and fusion across them."""
    theirs = {
        "CS-factored": FIGURE_4B_SPEEDUPS["C+S"],
        "CS-global": FIGURE_4B_SPEEDUPS["C+S"],
        "partial": FIGURE_4B_SPEEDUPS["FuseFlow"],
    }
    lines = tuple(
        (row.config, *_labels(row), *_cycles(row), ratio(speedup(row, base)),
         ratio(theirs.get(row.config)), status(row))
        for row, base in pair_with_unfused(of_figure(rows, "fig4b"))
    )  # fmt: skip
    columns = ("fusion", *_LABELS, *_CYCLES, "speed-up", "paper", "status")
    note = (
        "The rewritten expressions of the paper are not published. CS-factored and CS-global are "
        "two readings: aggregation, product and bias of a layer in one kernel, with a loop nest "
        "per operation or one for all."
    )
    return Table("fig4b", "Figure 4b: rewriting by hand", columns, lines, (note,))


def figure_14(rows: Sequence[Row]) -> Table:
    """FLOPs and bytes of GCN under partial fusion, relative to unfused."""
    chosen = of_figure(rows, "fig14")
    lines = []
    for row, base in pair_with_unfused(chosen):
        theirs = _published_counts(row)
        lines.append(
            (row.input, row.kind, row.scale or "full size", row.config, number(row.flops),
             number(row.bytes), number(row.bytes_artifact), _relative(row.flops, base, "flops"),
             _relative(row.bytes, base, "bytes"),
             _relative(row.bytes_artifact, base, "bytes_artifact"), *theirs, status(row))
        )  # fmt: skip
    columns = (
        *_LABELS, "fusion", "FLOPs", "bytes", "bytes (artifact)", "FLOPs / unfused",
        "bytes / unfused", "bytes (artifact) / unfused", "paper FLOPs / unfused",
        "paper bytes / unfused", "status",
    )  # fmt: skip
    note = (
        "Bytes (artifact): values read and written and coordinates written, which is what the "
        "artifact sums up; the paper's quotients are of its constants."
    )
    return Table("fig14", "Figure 14: work and traffic of GCN", columns, tuple(lines), (note,))


def figure_15(rows: Sequence[Row]) -> Table:
    """Speed-ups of GCN over the sparsity and the pattern of the adjacency matrix."""
    chosen = of_figure(rows, "fig15")
    lines = []
    for row, base in pair_with_unfused(chosen):
        floor = base.floor / row.floor if base is not None and row.floor else None
        lines.append(
            (row.input, row.kind, row.scale or "full size", row.config, *_cycles(row),
             ratio(speedup(row, base)), ratio(floor), status(row))
        )  # fmt: skip
    columns = (*_LABELS, "fusion", *_CYCLES, "speed-up", "of floors", "status")
    note = (
        "Classes, hidden width, weight density and symmetry are not stated in the paper; here 7, "
        "16, 0.4 and not symmetric. Without a cache, partial fusion depends on the number of "
        "entries only: that structure helps by locality cannot be tested here."
    )
    return Table("fig15", "Figure 15: sparsity and structure", columns, tuple(lines), (note,))


def figure_16a(rows: Sequence[Row]) -> Table:
    """Attention over lanes on the queries, with ideal memory and a queue server."""
    return _lanes(rows, "fig16a", "Figure 16a: lanes on level 2", ())


def figure_16b(rows: Sequence[Row]) -> Table:
    """Attention over lanes on heads (level 1), queries (level 2), and both."""
    note = "Paper: cycles of its plotting script, at S 1024 with b 64 and memory off."
    return _lanes(rows, "fig16b", "Figure 16b: lanes on two levels", (note,))


def _lanes(rows: Sequence[Row], figure: str, title: str, notes: tuple[str, ...]) -> Table:
    chosen = of_figure(rows, figure)
    one_lane = {row.memory: row for row in chosen if row.lanes == "1 x 1"}
    lines = []
    for row in chosen:
        base = one_lane.get(row.memory)
        level1, level2 = (int(count) for count in row.lanes.split(" x "))
        theirs = FIGURE_16_CYCLES.get((level1, level2))
        their_speedup = FIGURE_16_CYCLES[1, 1] / theirs if theirs else None
        lines.append(
            (*_labels(row), row.memory, f"{level1}", f"{level2}", *_cycles(row),
             ratio(speedup(row, base)), f"{level1 * level2}", ratio(their_speedup),
             number(theirs), status(row))
        )  # fmt: skip
    columns = (
        *_LABELS, "memory", "level 1", "level 2", *_CYCLES, "speed-up", "ideal",
        "paper speed-up", "paper cycles", "status",
    )  # fmt: skip
    return Table(figure, title, columns, tuple(lines), notes)


def figure_17(rows: Sequence[Row]) -> Table:
    """Attention in tiles against numbers, with ideal memory on both sides."""
    chosen = of_figure(rows, "fig17")
    scalar = {row.input: row for row in chosen if row.config == "scalar"}
    edge, area = (
        dict(zip((16, 32, 64), FIGURE_17_FACTORS[k], strict=True)) for k in ("edge", "area")
    )
    lines = []
    for row in chosen:
        tiles = re.search(r", tiles of (\d+)", row.input)
        size = int(tiles[1]) if tiles else 1
        base = scalar.get(row.input.partition(", tiles")[0])
        ours = speedup(row, base) if tiles else None
        lines.append(
            (*_labels(row), row.config, *_cycles(row), ratio(ours), f"{size**2}",
             number(edge.get(size)), number(area.get(size)), status(row))
        )  # fmt: skip
    columns = (
        *_LABELS, "mode", *_CYCLES, "scalar / tiles", "b x b", "paper, by edge", "paper, by area",
        "status",
    )  # fmt: skip
    note = (
        'The paper says "proportional to the block size", which may mean the edge or the area of a '
        "block. A product of tiles starts every b cycles; moving a tile takes no time."
    )
    return Table("fig17", "Figure 17: tiles", columns, tuple(lines), (note,))


def figure_18(rows: Sequence[Row]) -> Table:
    """Cycles of (A B) C under every loop order."""
    chosen = of_figure(rows, "fig18")
    good = [row for row in chosen if row.status is Status.OK]
    worst = max(good, key=lambda row: row.cycles, default=None)
    best = min(good, key=lambda row: row.cycles, default=None)
    lines = tuple(
        (row.config, *_labels(row), *_cycles(row), ratio(speedup(row, worst)), status(row))
        for row in chosen
    )
    columns = ("order", *_LABELS, *_CYCLES, "worst / order", "status")
    spread = ratio(speedup(best, worst)) if best is not None else "-"
    note = (
        f"The worst order takes {spread} times as long as the best; the paper says about "
        f"{FIGURE_18_SPREAD:g}, over 15 orders. Floors are without stops and without any "
        "recomputation, so a quotient near 16 is A B computed anew for each of 16 columns."
    )
    return Table("fig18", "Figure 18: loop orders of (A B) C", columns, lines, (note,))


def _labels(row: Row) -> tuple[str, ...]:
    return row.input, row.kind, row.scale or "full size"


def _cycles(row: Row) -> tuple[str, ...]:
    return number(row.cycles), number(row.floor), over_floor(row)


def _relative(count: int, base: Row | None, field: str) -> str:
    whole = getattr(base, field) if base is not None else 0
    return ratio(count / whole) if whole else "-"


def _published_counts(row: Row) -> tuple[str, str]:
    """Return FLOPs and memory of the constants, relative to their unfused run."""
    counts = FIGURE_14_COUNTS.get(re.split(r"-like|, ", row.input)[0])
    if counts is None or row.config not in counts:
        return "-", "-"
    first, second = (
        ours / base for ours, base in zip(counts[row.config], counts["unfused"], strict=True)
    )
    return ratio(first), ratio(second)
