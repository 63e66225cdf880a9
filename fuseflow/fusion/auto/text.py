# SPDX-License-Identifier: MIT
"""What the search for a schedule compared, in words."""

from __future__ import annotations

from collections.abc import Iterator

from fuseflow.fusion.auto.search import Considered, Search

__all__ = ["describe_search", "undominated"]


def describe_search(search: Search) -> Iterator[str]:
    """Yield a line per schedule that was compared, the best one first, and what else to know."""
    front = undominated(search)
    labels = [each.label for each in search.ranked] + list(search.failed)
    width = max(10, *map(len, labels))
    for number, each in enumerate(search.ranked):
        mark = "chosen" if number == 0 else "      "
        found, kernels = each.estimate, len(each.estimate.kernels)
        count = "1 kernel" if kernels == 1 else f"{kernels} kernels"
        yield (
            f"{mark} {each.label:{width}} {count:10} {found.cycles:14,.0f} cycles expected"
            f"{_measured(each)} {found.flops:14,} operations {found.bytes:14,} bytes"
            f"{' *' if each in front else ''}"
        )
    yield "       * none of the others is better in one of the three and worse in none"
    for label, reason in search.failed.items():
        yield f"       {label:{width}} is not possible: {reason}"
    if search.is_cut_short:
        yield f"       not all groups were tried: the search ended after {search.plans} kernels"


def undominated(search: Search) -> list[Considered]:
    """Return the schedules that no other one equals or betters in cycles, operations and bytes."""

    def figures(each: Considered) -> tuple[float, int, int]:
        found = each.estimate
        return found.cycles, found.flops, found.bytes

    kept: list[Considered] = []
    for each in sorted(search.ranked, key=figures):
        if not any(
            all(a <= b for a, b in zip(figures(k), figures(each), strict=True)) for k in kept
        ):
            kept.append(each)
    return kept


def _measured(each: Considered) -> str:
    if each.measured is None:
        return ""
    off = 100 * (each.estimate.cycles / each.measured.cycles - 1)
    return f", {each.measured.cycles:,.0f} simulated ({off:+.1f} %)"
