# SPDX-License-Identifier: MIT
"""What `ff-fuse --explain` prints: the decisions for every kernel and what they should cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuseflow.fusion import Fused
    from fuseflow.fusion.plan import Planned

__all__ = ["explain"]

# Values computed at most this much more often than needed are not worth a line.
_NOTABLE_RECOMPUTE = 1.005


def explain(fused: Fused) -> Iterator[str]:
    """Yield the lines for all kernels, in execution order."""
    for planned in fused.plans:
        yield from _explain_kernel(planned)


def _explain_kernel(planned: Planned) -> Iterator[str]:
    kernel, classes = planned.kernel, planned.plan.graph.classes
    yield f"kernel {kernel.name}: {len(kernel.einsums)} einsums, {len(kernel.nodes)} nodes"
    for op in planned.region.ops:
        yield f"  {op.name}: {op}"
    nest = " -> ".join(f"{name}:{classes[name]}" for name in planned.plan.order)
    yield f"  order   {nest or '(scalar)'}"
    yield f"  reads   {', '.join(kernel.tensors_read())}"
    yield f"  writes  {', '.join(kernel.tensors_written())}"
    yield f"  expected cost {planned.expected.cost:.4g} tokens, reads and entries"
    for value, factor in sorted(planned.expected.recompute.items()):
        if factor > _NOTABLE_RECOMPUTE:
            yield f"  {value} is computed {factor:.3g} times over"
