# SPDX-License-Identifier: MIT
"""What the search for a schedule compared, in words."""

from __future__ import annotations

from collections.abc import Iterator

from fuseflow.fusion.auto.search import Search

__all__ = ["describe_search"]


def describe_search(search: Search) -> Iterator[str]:
    """Yield a line per schedule that was compared, cheapest first, and what else to know."""
    for number, each in enumerate(search.ranked):
        mark = "chosen" if number == 0 else "      "
        kernels = len(each.estimate.kernels)
        count = "1 kernel" if kernels == 1 else f"{kernels} kernels"
        yield (
            f"{mark} {each.label:10} {count:10} {each.estimate.cycles:14,.0f} cycles "
            f"{each.estimate.flops:14,} operations {each.estimate.bytes:14,} bytes expected"
        )
    for label, reason in search.failed.items():
        yield f"       {label:10} is not possible: {reason}"
    if search.is_cut_short:
        yield f"       not all groups were tried: the budget ended after {search.plans} kernels"
