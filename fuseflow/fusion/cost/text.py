# SPDX-License-Identifier: MIT
"""The estimate of a program as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from fuseflow.fusion.cost.figures import Words
from fuseflow.fusion.cost.program import KernelEstimate, ProgramEstimate

__all__ = ["describe_estimate"]

LABEL = 11


def describe_estimate(estimate: ProgramEstimate) -> Iterator[str]:
    """Yield a page: every kernel, then the sums over the program."""
    for kernel in estimate.kernels:
        yield f"kernel {kernel.name}: {_headline(kernel)}"
        for label, line in _details(kernel):
            yield f"  {label:{LABEL}}{line}"
    exact = "exact" if estimate.is_exact else "estimated in part"
    yield (
        f"program: about {estimate.cycles:,.0f} cycles; {exact}: {estimate.flops:,} operations, "
        f"{estimate.bytes:,} bytes of DRAM traffic, {estimate.tokens:,} tokens"
    )
    yield f"  {'operations':{LABEL}}{_functions(_all_functions(estimate))}"


def _headline(kernel: KernelEstimate) -> str:
    if kernel.reason:
        return f"about {kernel.cycles:,.0f} cycles; estimated, because {kernel.reason}"
    return f"about {kernel.cycles:,.0f} cycles; counts are exact"


def _details(kernel: KernelEstimate) -> Iterator[tuple[str, str]]:
    yield "operations", f"{kernel.flops:,}: {_functions(kernel.functions)}"
    yield "reads", _words(kernel.read)
    yield "writes", _words(kernel.written)
    yield "tokens", f"{kernel.tokens:,}"
    if kernel.bottleneck:
        yield "busiest", kernel.bottleneck
    for value, factor in kernel.recompute.items():
        about = "" if kernel.is_recount else "about "
        yield "recomputed", f"{value}, {about}{factor:.3g} times over"
    for name, size in kernel.copies.items():
        yield "copy", f"{name}, {size:,} bytes, stored when compiled and not counted above"


def _functions(functions: Mapping[str, int]) -> str:
    return ", ".join(f"{fn} {count:,}" for fn, count in sorted(functions.items())) or "none"


def _all_functions(estimate: ProgramEstimate) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for kernel in estimate.kernels:
        sums.update(kernel.functions)
    return sums


def _words(words: Words) -> str:
    return (
        f"{words.bytes:,} bytes: {words.segments:,} segments, "
        f"{words.coordinates:,} coordinates, {words.values:,} values"
    )
