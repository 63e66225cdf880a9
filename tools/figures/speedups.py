# SPDX-License-Identifier: MIT
"""Figure 12: speed-ups of fusion over the unfused run, with how far they agree with the paper.

A published ratio is compared only where the input is what the paper ran; elsewhere it is said
whether fusion helps or hurts in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tools.figures.graphs import Kind
from tools.figures.paper import figure_12_speedups
from tools.figures.rows import Row, Status
from tools.figures.tables import (
    Table,
    input_key,
    number,
    of_figure,
    over_floor,
    pair_with_unfused,
    ratio,
    speedup,
    status,
)

__all__ = ["figure_12", "published", "verdict"]

_AGREES = 1.25
# Speed-ups this close to 1 have no direction.
_LEVEL = 0.02

_COLUMNS = (
    "model", "input", "kind", "scale", "density", "accumulators", "fusion", "kernels", "cycles",
    "floor", "cycles / floor", "speed-up", "paper", "verdict", "FLOPs", "bytes",
    "bytes (artifact)", "largest error", "status",
)  # fmt: skip
_NOTES = (
    "Speed-up: cycles of the unfused run over those of this one. Floor: the closed form of the "
    "same kernels, one token per cycle, accumulators emptied token by token in the unfused run. "
    "Accumulators: emptying one is free, as in the simulator of the artifact, or takes a cycle "
    'per entry. Memory is ideal. "-like" is a seeded stand-in, not the data set. Paper: quotients '
    "of the constants in the artifact's scripts; for SAE, the paper's text.",
    "GPT: one decoder is simulated and counted twelve times; three projections run one after the "
    "other. Counted with one projection, as in the shipped artifact: {single}.",
    "GraphSAGE as the artifact ships it, from the kernels of GCN, those of linear maps twice, and "
    "one addition over n x F: {shipped}.",
    "Of Cora-ML and DBLP the number of two-edge paths was itself solved from the artifact's "
    "constants: how far their full fusion agrees is calibration, not evidence.",
)


def figure_12(rows: Sequence[Row]) -> Table:
    """Return the table of figure 12; a configuration that did not run has a line as well."""
    chosen = of_figure(rows, "fig12")
    lines = tuple(_line(row, base) for row, base in pair_with_unfused(chosen))
    derived = {"single": _one_projection(chosen), "shipped": _as_shipped(chosen)}
    notes = [note.format(**derived) for note in _NOTES]
    return Table("fig12", "Figure 12: fusion granularity", _COLUMNS, lines, tuple(notes))


def published(row: Row) -> float | None:
    """Return the speed-up over unfused that was published for this configuration."""
    if row.config not in ("partial", "full"):
        return None
    found = figure_12_speedups(row.model, _published_name(row))
    return None if found is None else found[row.config == "full"]


def verdict(row: Row, ours: float | None) -> str:
    """Say how a speed-up compares with the published one."""
    theirs = published(row)
    if ours is None or theirs is None:
        return "-"
    if _is_comparable(row):
        quotient = ours / theirs
        word = "agrees with" if 1 / _AGREES <= quotient <= _AGREES else "differs from"
        return f"{word} the paper, ratio {quotient:.2f}"
    return f"{'same' if _direction(ours) * _direction(theirs) >= 0 else 'different'} direction"


def _direction(quotient: float) -> int:
    if abs(quotient - 1) <= _LEVEL:
        return 0
    return 1 if quotient > 1 else -1


def _is_comparable(row: Row) -> bool:
    """Return True where the input is what the paper ran, in size and storage."""
    return row.kind in (Kind.REAL, Kind.EXACT_SYNTHETIC) and ", X (D,C)" not in row.input


def _published_name(row: Row) -> str:
    if row.model == "gpt":
        match = re.match(r"b(\d+) of S(\d+)", row.input)
        assert match is not None
        return str(int(match[1]) * 1024 // int(match[2]))
    return re.split(r"-like|, ", row.input)[0]


def _line(row: Row, base: Row | None) -> tuple[str, ...]:
    ours = speedup(row, base)
    return (
        row.model, row.input, row.kind, row.scale or "full size", f"{row.density:g}",
        _accumulators(row), row.config,
        f"{len(row.kernels)}", number(row.cycles), number(row.floor), over_floor(row),
        ratio(ours), ratio(published(row)), verdict(row, ours), number(row.flops),
        number(row.bytes), number(row.bytes_artifact),
        "-" if row.max_rel_error is None else f"{row.max_rel_error:.1g}", status(row),
    )  # fmt: skip


def _as_shipped(rows: Sequence[Row]) -> str:
    """Return the cycles of GraphSAGE, unfused, that the artifact would sum up."""
    partial = {input_key(row): row.cycles for row in rows if row.config == "partial"}
    texts = []
    for row in rows:
        if (row.model, row.config) != ("gcn", "unfused") or not row.kernels or not row.nodes:
            continue
        cycles = row.nodes * ((row.features or 0) + 1)
        for kernel in row.kernels:
            if "softmax" not in kernel.name:
                cycles += kernel.cycles * (2 if ".linear." in kernel.name else 1)
        name = f"{row.input}, d {row.density:g}, accumulators {_accumulators(row)}"
        if partial.get(input_key(row)):
            quotient = cycles / partial[input_key(row)]
            texts.append(f"{name}: {cycles:,} cycles, {quotient:.2f} times those of partial fusion")
    return "; ".join(texts) or "not run"


def _accumulators(row: Row) -> str:
    return "drained" if row.timing == "drained" else "free"


def _one_projection(rows: Sequence[Row]) -> str:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.one_projection and row.status is Status.OK:
            found.setdefault(row.input, {})[row.config] = row
    return "; ".join(_quotients(name, group) for name, group in found.items()) or "not run"


def _quotients(name: str, group: Mapping[str, Row]) -> str:
    base = group.get("unfused")
    if base is None or not base.one_projection:
        return f"{name} not run unfused"
    parts = [
        f"{config} {base.one_projection / row.one_projection:.2f}"
        for config, row in group.items()
        if config != "unfused" and row.one_projection
    ]
    return f"{name}: {', '.join(parts)}"
