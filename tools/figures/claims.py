# SPDX-License-Identifier: MIT
"""What the paper claims, item by item, and what the stored rows say about it.

A number is compared only where the input is the paper's; elsewhere it is said whether the direction
and the order of configurations are the same. Nothing is typed: both sides come from data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tools.figures.compile_tables import mean_errors
from tools.figures.paper import (
    FIGURE_4B_SPEEDUPS,
    FIGURE_16_CYCLES,
    FIGURE_18_SPREAD,
    TABLE_3_ERRORS,
    TABLE_4_ORDERS,
)
from tools.figures.rows import Row, Status
from tools.figures.speedups import published, verdict
from tools.figures.tables import of_figure, pair_with_unfused, speedup

__all__ = ["Claim", "contradictions", "make_claims"]

_MODELS = {"gcn": "GCN", "graphsage": "GraphSAGE", "sae": "SAE", "gpt": "GPT-3"}
_CLAIMED = {
    "gcn": "partial fusion is faster, full fusion slower than none",
    "graphsage": "partial fusion is faster, full fusion slower than none",
    "sae": "1.94 times as fast fully fused, about 1.01 partially",
    "gpt": "faster partially fused, about 2.7 times as fast fully",
}
# The paper says that each of its programs compiles in less than this.
_COMPILE_MS = 750
# Speed-ups of patterns within this factor are the same.
_LEVEL = 1.02


@dataclass(frozen=True, slots=True)
class Claim:
    """An item of the paper, what it says, what was found, and whether that is the same."""

    item: str
    published: str
    found: str
    verdict: str


def make_claims(rows: Sequence[Row]) -> list[Claim]:
    """Return one line per item; one that did not run says so."""
    good = [row for row in rows if row.status is Status.OK]
    makers: tuple[Callable[[Sequence[Row]], Claim], ...] = (
        _figure_4b,
        *(lambda rows, model=model: _figure_12(rows, model) for model in _MODELS),
        _figure_14,
        _figure_15,
        _figure_16,
        _figure_17,
        _figure_18,
        _table_3,
        _table_4,
        _compile_time,
    )
    return [make(good) for make in makers]


def contradictions(rows: Sequence[Row]) -> list[str]:
    """Return the rows of figure 12 that point the other way, or differ in number."""
    found = []
    for row, base in pair_with_unfused(of_figure(rows, "fig12")):
        words = verdict(row, speedup(row, base))
        if words.startswith(("different", "differs")):
            ours, theirs = speedup(row, base), published(row)
            machine = "" if row.timing == "comal" else f", accumulators {row.timing}"
            found.append(
                f"{_MODELS[row.model]} on {row.input} (d {row.density:g}{machine}), {row.config}: "
                f"{ours:.3g} here, {theirs:.3g} published; {words}"
            )
    return found


def _figure_4b(rows: Sequence[Row]) -> Claim:
    theirs = ", ".join(f"{name} {value:g}" for name, value in FIGURE_4B_SPEEDUPS.items())
    texts, same = [], True
    for name, group in _by_input(of_figure(rows, "fig4b")).items():
        ours = {
            row.config: quotient
            for row, base in pair_with_unfused(group)
            if (quotient := speedup(row, base)) is not None
        }
        if {"CS-factored", "CS-global", "partial"} <= ours.keys():
            same = same and 1 < ours["CS-factored"] < ours["partial"]
            parts = ", ".join(f"{k} {ours[k]:.2f}" for k in ("CS-factored", "CS-global", "partial"))
            texts.append(f"{name}: {parts}")
    claim = f"over unfused: {theirs}"
    return _claim("Figure 4b", claim, texts, "same order" if same else "different order")


def _figure_12(rows: Sequence[Row], model: str) -> Claim:
    mine = [row for row in of_figure(rows, "fig12") if row.model == model]
    words = [verdict(row, speedup(row, base)) for row, base in pair_with_unfused(mine)]
    same, other = words.count("same direction"), words.count("different direction")
    ratios = sorted(float(each.rpartition(" ")[2]) for each in words if "paper, ratio" in each)
    agree = sum(each.startswith("agrees") for each in words)
    texts = []
    if same + other:
        texts.append(f"{same} of {same + other} other inputs in the same direction")
    if ratios:
        texts.append(
            f"{agree} of {len(ratios)} speed-ups on the paper's inputs agree "
            f"(ratios {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    passed = not other and (agree == len(ratios))
    return _claim(
        f"Figure 12, {_MODELS[model]}", _CLAIMED[model], texts,
        "reproduced" if passed else "in part: see the exceptions below",
    )  # fmt: skip


def _figure_14(rows: Sequence[Row]) -> Claim:
    texts, passed = [], True
    for name, group in _by_input(of_figure(rows, "fig14")).items():
        by = {row.config: row for row in group}
        if not {"unfused", "layer 1", "full"} <= by.keys():
            continue
        base, first, full = by["unfused"], by["layer 1"], by["full"]
        moved = first.bytes_artifact / base.bytes_artifact
        flops = full.flops / base.flops
        intensity = flops / (full.bytes_artifact / base.bytes_artifact)
        passed = passed and moved < 1 < intensity and flops > 1
        texts.append(
            f"{name}: bytes x {moved:.2f}; FLOPs x {flops:.1f}, intensity x {intensity:.2f}"
        )
    return _claim(
        "Figure 14", "fusing layer 1 cuts bytes; full fusion recomputes, and raises intensity",
        texts, "same direction" if passed else "different direction",
    )  # fmt: skip


def _figure_15(rows: Sequence[Row]) -> Claim:
    chosen = of_figure(rows, "fig15")
    texts, passed, apart = [], True, 1.0
    for scale in dict.fromkeys(row.scale for row in chosen):
        lines: dict[str, dict[int, float]] = {}
        full = []
        for row, base in pair_with_unfused(row for row in chosen if row.scale == scale):
            quotient = speedup(row, base)
            pattern, percent, *_ = row.input.split(", ")
            if quotient is not None and row.config == "partial":
                lines.setdefault(pattern, {})[int(percent.split()[0])] = quotient
            elif quotient is not None and row.config == "full":
                full.append(quotient)
        curves = [[line[key] for key in sorted(line)] for line in lines.values()]
        rising = all(curve == sorted(curve) and curve[0] > 1 for curve in curves)
        passed = passed and rising
        every = [value for curve in curves for value in curve]
        apart = max(
            apart,
            *(
                max(line[key] for line in lines.values() if key in line)
                / min(line[key] for line in lines.values() if key in line)
                for key in {key for line in lines.values() for key in line}
            ),
        )
        texts.append(
            f"{scale or 'full size'}: partial {min(every):.2f} to {max(every):.2f}, "
            f"{'rising' if rising else 'not rising'}, patterns within {100 * (apart - 1):.1f} %; "
            f"full {min(full):.2g} to {max(full):.2g}"
        )
    return _claim(
        "Figure 15",
        "partial > 1, rising with sparsity, better with structure than uniform; full can lose",
        texts,
        "in part: structure makes no difference to partial fusion"
        if passed and apart < _LEVEL else "in part",
    )  # fmt: skip


def _figure_16(rows: Sequence[Row]) -> Claim:
    texts, passed = [], True
    chosen = [row for row in rows if {"fig16a", "fig16b"} & set(row.figures)]
    ideal = [row for row in chosen if row.memory == "ideal"]
    for name, group in _by_input(ideal).items():
        base = next((row for row in group if row.lanes == "1 x 1"), None)
        found = []
        for row in group:
            first, second = (int(count) for count in row.lanes.split(" x "))
            quotient = speedup(row, base)
            if quotient is None or (first, second) not in ((1, 64), (4, 4)):
                continue
            passed = passed and quotient > 0.5 * first * second
            theirs = FIGURE_16_CYCLES.get((first, second))
            full = not row.scale and theirs is not None
            against = (
                f" ({row.cycles / theirs:.3f} x the published cycles)" if full and theirs else ""
            )
            found.append(f"{quotient:.1f} on {row.lanes} lanes{against}")
        if found:
            texts.append(f"{name}: {', '.join(found)}")
    return _claim(
        "Figure 16", "lanes scale well; 15.9 on 4 x 4 lanes", texts,
        "same direction" if passed else "different direction",
    )  # fmt: skip


def _figure_17(rows: Sequence[Row]) -> Claim:
    chosen = of_figure(rows, "fig17")
    scalar = {row.input: row for row in chosen if row.config == "scalar"}
    shares = []
    for row in chosen:
        quotient = speedup(row, scalar.get(row.input.partition(", tiles")[0]))
        if quotient is not None and row.config != "scalar":
            shares.append(quotient / int(row.config.rpartition(" ")[2]) ** 2)
    texts = [f"speed-ups are {min(shares):.2f} to {max(shares):.2f} times b x b"] if shares else []
    return _claim(
        "Figure 17", 'tiles are faster "proportional to the block size"', texts,
        "agrees if the size is the area",
    )  # fmt: skip


def _figure_18(rows: Sequence[Row]) -> Claim:
    cycles = [row.cycles for row in of_figure(rows, "fig18")]
    spread = max(cycles) / min(cycles) if cycles else 0.0
    texts = [f"{spread:.1f} over {len(cycles)} orders that can be lowered"] if cycles else []
    quotient = spread / FIGURE_18_SPREAD
    agrees = 0.8 <= quotient <= 1.25
    word = "agrees with" if agrees else "differs from"
    return _claim(
        "Figure 18", f"about {FIGURE_18_SPREAD:g} between the best and the worst loop order", texts,
        f"{word} the paper, ratio {quotient:.2f}",
    )  # fmt: skip


def _table_3(rows: Sequence[Row]) -> Claim:
    chosen = of_figure(rows, "table3")
    means = {model: mean_errors(chosen, model) for model in TABLE_3_ERRORS}
    texts = [
        f"{_MODELS[model]} {flops:.2g} %, {moved:.2g} %; cycles {cycles:.2g} %"
        for model, found in means.items()
        if found
        for flops, moved, cycles in [found]
    ]
    theirs = "; ".join(f"{_MODELS[m]} {a:g} %, {b:g} %" for m, (a, b) in TABLE_3_ERRORS.items())
    return _claim(
        "Table 3", f"errors of estimated FLOPs, bytes: {theirs}", texts,
        "not comparable: structures are counted here, where that is quick",
    )  # fmt: skip


def _table_4(rows: Sequence[Row]) -> Claim:
    texts, passed = [], True
    for row in of_figure(rows, "table4"):
        counts = row.orders or {}
        constrained = counts.get("per use: with every operation row-wise", "0").replace(",", "")
        theirs = TABLE_4_ORDERS[row.model][1]
        passed = passed and constrained.isdigit() and abs(int(constrained) / theirs - 1) < 0.05
        texts.append(
            f"{_MODELS[row.model]}: {counts.get('per use: without constraints')} without, "
            f"{int(constrained):,} with"
        )
    theirs_text = "; ".join(
        f"{_MODELS[m]} {a:.2g}, {b:.2g}" for m, (a, b) in TABLE_4_ORDERS.items()
    )
    return _claim(
        "Table 4", f"loop orders without, with constraints: {theirs_text}", texts,
        "agrees if indices are counted per use, and the constraint is row-wise"
        if passed else "differs from the paper",
    )  # fmt: skip


def _compile_time(rows: Sequence[Row]) -> Claim:
    slowest = max(rows, key=lambda row: row.compile_ms, default=None)
    texts = []
    if slowest is not None:
        texts.append(
            f"{len(rows)} programs, the slowest {slowest.compile_ms:.0f} ms ({slowest.case})"
        )
    within = slowest is not None and slowest.compile_ms < _COMPILE_MS
    return _claim(
        "Compile time", f"each program in less than {_COMPILE_MS} ms", texts,
        "the same, on another machine" if within else "slower, on another and a busy machine",
    )  # fmt: skip


def _claim(item: str, published: str, texts: Sequence[str], words: str) -> Claim:
    return Claim(item, published, "; ".join(texts) or "-", words if texts else "not run")


def _by_input(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.input, []).append(row)
    return groups
