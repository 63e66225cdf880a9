# SPDX-License-Identifier: MIT
"""Plots, made from stored rows only. What was published is hollow, what was measured is solid.

matplotlib is imported here and nowhere else; the same rows give the same SVG.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.figures.paper import FIGURE_14_COUNTS, FIGURE_16_CYCLES
from tools.figures.rows import Row, Status
from tools.figures.speedups import published
from tools.figures.tables import of_figure, pair_with_unfused, speedup

__all__ = ["PLOTS", "draw_plots", "is_available"]

_COLORS = {"unfused": "0.6", "partial": "tab:blue", "full": "tab:orange"}
_MARKERS = {"uniform": "o", "power-law": "s", "block-diagonal": "^"}


def is_available() -> bool:
    """Return True if matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write an SVG for every figure that has good rows; return the files."""
    mpl: Any = importlib.import_module("matplotlib")
    mpl.use("svg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    written = []
    with mpl.rc_context({"svg.hashsalt": "fuseflow", "font.size": 8, "svg.fonttype": "none"}):
        for name, draw in PLOTS.items():
            good = [row for row in of_figure(rows, name) if row.status is Status.OK]
            if not good:
                continue
            figure = draw(pyplot, good)
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            pyplot.close(figure)
            written.append(path)
    return written


def _figure_12(pyplot: Any, rows: Sequence[Row]) -> Any:
    models = list(dict.fromkeys(row.model for row in rows))
    figure, panels = pyplot.subplots(1, len(models), figsize=(4 * len(models), 3), squeeze=False)
    for panel, model in zip(panels[0], models, strict=True):
        mine = [row for row in rows if row.model == model and row.timing == "comal"]
        inputs = list(dict.fromkeys((row.input, row.density) for row in mine))
        for row, base in pair_with_unfused(mine):
            quotient = speedup(row, base)
            if quotient is None or row.config not in _COLORS:
                continue
            place = inputs.index((row.input, row.density)) + 0.27 * (
                list(_COLORS).index(row.config) - 1
            )
            panel.bar(place, quotient, 0.25, color=_COLORS[row.config], label=row.config)
            theirs = published(row)
            if theirs is not None:
                panel.plot(place, theirs, "o", mfc="none", mec="k", ms=4, label="paper")
        labels = [f"{name}, d {density:g}" for name, density in inputs]
        panel.set_xticks(range(len(inputs)), labels, rotation=60, ha="right")
        panel.set(title=model, yscale="log", ylabel="speed-up over unfused")
        panel.axhline(1, color="k", lw=0.5)
        _legend(panel)
    return figure


def _figure_14(pyplot: Any, rows: Sequence[Row]) -> Any:
    inputs = list(dict.fromkeys(row.input for row in rows))
    figure, panels = pyplot.subplots(1, len(inputs), figsize=(3 * len(inputs), 3), squeeze=False)
    for panel, name in zip(panels[0], inputs, strict=True):
        mine = {row.config: row for row in rows if row.input == name}
        base = mine.get("unfused")
        for config, row in mine.items():
            if base is not None:
                panel.plot(
                    row.bytes_artifact / base.bytes_artifact, row.flops / base.flops, "o",
                    label=config,
                )  # fmt: skip
        counts = FIGURE_14_COUNTS.get(re.split(r"-like|, ", name)[0], {})
        for flops, moved in counts.values():
            first, second = counts["unfused"]
            panel.plot(moved / second, flops / first, "o", mfc="none", mec="k", label="paper")
        panel.set(
            title=name, xscale="log", yscale="log", xlabel="bytes (artifact) / unfused",
            ylabel="FLOPs / unfused",
        )  # fmt: skip
        _legend(panel)
    return figure


def _figure_15(pyplot: Any, rows: Sequence[Row]) -> Any:
    figure, panel = pyplot.subplots(figsize=(4, 3))
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row, base in pair_with_unfused(rows):
        quotient = speedup(row, base)
        pattern, percent, *_ = row.input.split(", ")
        if row.config != "unfused" and quotient is not None:
            point = (int(percent.removesuffix(" %")), quotient)
            lines.setdefault((pattern, row.config), []).append(point)
    for (pattern, config), points in lines.items():
        panel.plot(
            *zip(*sorted(points), strict=True), marker=_MARKERS[pattern], color=_COLORS[config],
            label=f"{config}, {pattern}",
        )  # fmt: skip
    panel.axhline(1, color="k", lw=0.5)
    scale = rows[0].scale or "full size"
    panel.set(title=scale, yscale="log", xlabel="empty cells, %", ylabel="speed-up over unfused")
    _legend(panel)
    return figure


def _lanes(pyplot: Any, rows: Sequence[Row]) -> Any:
    figure, panel = pyplot.subplots(figsize=(4, 3))
    counts = {row.case: tuple(int(lane) for lane in row.lanes.split(" x ")) for row in rows}
    for memory in dict.fromkeys(row.memory for row in rows):
        mine = [row for row in rows if row.memory == memory]
        base = next((row for row in mine if row.lanes == "1 x 1"), None)
        points = [(counts[r.case][0] * counts[r.case][1], speedup(r, base)) for r in mine]
        panel.plot(*zip(*points, strict=True), "o", label=f"{rows[0].input}, {memory}")
    wide = [first * second for first, second in counts.values()]
    panel.plot([1, max(wide)], [1, max(wide)], ":", color="0.5", label="ideal")
    for (first, second), cycles in FIGURE_16_CYCLES.items():
        quotient = FIGURE_16_CYCLES[1, 1] / cycles
        panel.plot(first * second, quotient, "s", mfc="none", mec="k", label="paper (S1024, b64)")
    panel.set(xlabel="lanes", ylabel="speed-up")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log", base=2)
    _legend(panel)
    return figure


def _figure_17(pyplot: Any, rows: Sequence[Row]) -> Any:
    figure, panel = pyplot.subplots(figsize=(4, 3))
    scalar = {row.input: row for row in rows if row.config == "scalar"}
    for row in rows:
        base = scalar.get(row.input.partition(", tiles")[0])
        quotient = speedup(row, base)
        if row.config != "scalar" and quotient is not None:
            edge = int(row.config.rpartition(" ")[2])
            panel.plot(edge, quotient, "o", color="tab:blue", label=row.scale or "full size")
            panel.plot(edge, edge**2, "_", color="0.5", ms=12, label="b x b")
    panel.set(xlabel="edge of a tile, b", ylabel="cycles, numbers / tiles", yscale="log")
    panel.set_xscale("log", base=2)
    _legend(panel)
    return figure


def _figure_18(pyplot: Any, rows: Sequence[Row]) -> Any:
    figure, panel = pyplot.subplots(figsize=(5, 3))
    worst = max(rows, key=lambda row: row.cycles)
    ordered = sorted(rows, key=lambda row: row.cycles)
    names = [row.config for row in ordered]
    panel.bar(names, [worst.cycles / row.cycles for row in ordered], color="tab:blue")
    panel.tick_params(axis="x", rotation=90)
    panel.set(xlabel="order", ylabel="worst / order", title=rows[0].input)
    return figure


PLOTS: Mapping[str, Callable[[Any, Sequence[Row]], Any]] = {
    "fig12": _figure_12,
    "fig14": _figure_14,
    "fig15": _figure_15,
    "fig16a": _lanes,
    "fig16b": _lanes,
    "fig17": _figure_17,
    "fig18": _figure_18,
}


def _legend(panel: Any) -> None:
    """Give each label one entry."""
    handles, labels = panel.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    panel.legend(unique.values(), unique.keys(), fontsize=6)
