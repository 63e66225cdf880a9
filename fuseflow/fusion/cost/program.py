# SPDX-License-Identifier: MIT
"""The estimate of a program: its kernels one after the other, each from the data it will read.

Counts are exact wherever the structure of all operands is known, which it is unless a kernel has
nodes that choose by value. Where it is not, the densities that rank loop orders stand in, and the
estimate says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fuseflow.fusion.cost.count import Structure, count_kernel
from fuseflow.fusion.cost.cycles import time_kernel
from fuseflow.fusion.cost.figures import KernelCounts, Words, data_levels
from fuseflow.fusion.cost.repeats import repeat_factors
from fuseflow.fusion.cost.spaces import PointLimitError, UncountedError
from fuseflow.fusion.explain.orders import recomputed
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.dataflow import AluAttrs, ReduceAttrs, SpaccAttrs
from fuseflow.ir.einsum import Value
from fuseflow.ir.scalar import SCALAR_FUNCTIONS
from fuseflow.ir.tensor import Level, Tensor

__all__ = ["KernelEstimate", "Pricer", "ProgramEstimate", "estimate_program"]


@dataclass(frozen=True, slots=True)
class KernelEstimate:
    """What a kernel is expected to do.

    `reason` says why figures are not exact, "" if they are; cycles are an estimate in any case.
    `functions` are the operations by scalar function or reduction, `bottleneck` the node that works
    most. `recompute` is how many times over values are computed, where that is more than once:
    counted if `is_recount`, else from mean densities. `copies` are the bytes of constants that are
    stored anew for this kernel when it is compiled, which neither an estimate nor a simulation
    counts as traffic.
    """

    name: str
    cycles: float
    flops: int
    read: Words
    written: Words
    tokens: int
    bottleneck: str = ""
    functions: Mapping[str, int] = field(default_factory=dict)
    recompute: Mapping[str, float] = field(default_factory=dict)
    is_recount: bool = False
    copies: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def bytes(self) -> int:
        """Return the DRAM traffic in bytes."""
        return self.read.bytes + self.written.bytes


@dataclass(frozen=True, slots=True)
class ProgramEstimate:
    """The estimates of all kernels, which run one after the other."""

    kernels: tuple[KernelEstimate, ...]

    @property
    def cycles(self) -> float:
        """Return the expected cycles."""
        return sum(kernel.cycles for kernel in self.kernels)

    @property
    def flops(self) -> int:
        """Return the scalar operations."""
        return sum(kernel.flops for kernel in self.kernels)

    @property
    def bytes(self) -> int:
        """Return the DRAM traffic in bytes."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def tokens(self) -> int:
        """Return the tokens on all streams."""
        return sum(kernel.tokens for kernel in self.kernels)

    @property
    def is_exact(self) -> bool:
        """Return True if all counts are exact."""
        return not any(kernel.reason for kernel in self.kernels)


def estimate_program(
    plans: Sequence[Planned], values: Mapping[str, Value], *, repeats: bool = False
) -> ProgramEstimate:
    """Estimate kernels that run in this order.

    Args:
        plans: the kernels.
        values: every tensor that they touch, with its format.
        repeats: count also how many times over values are computed.
    """
    pricer = Pricer(repeats=repeats)
    return ProgramEstimate(tuple(pricer.price(planned, values) for planned in plans))


@dataclass(slots=True)
class Pricer:
    """Estimates kernels one by one; `levels` has the structure of what they have written.

    With `repeats` it counts how many times over values are computed; else it tells the expected
    factors. `rows` is the work that it took so far, in rows of tables.
    """

    levels: dict[str, tuple[Level, ...]] = field(default_factory=dict)
    repeats: bool = False
    rows: int = 0
    _structures: dict[str, Structure] = field(default_factory=dict)

    def structure(self, planned: Planned, values: Mapping[str, Value]) -> Structure:
        """Return what is known of the data of a kernel that is to be priced.

        Raises:
            UncountedError: if it reads what could not be counted.
        """
        name = planned.kernel.name
        if name not in self._structures:
            read = planned.kernel.tensors_read()
            found = {n: self.levels.get(n) or data_levels(values[n]) for n in read}
            known = {n: levels for n, levels in found.items() if levels is not None}
            if len(known) < len(found):
                raise UncountedError("it reads what could not be counted")
            self._structures[name] = Structure(values, known)
        return self._structures[name]

    def price(self, planned: Planned, values: Mapping[str, Value]) -> KernelEstimate:
        """Estimate one kernel, and remember what it writes."""
        try:
            structure = self.structure(planned, values)
        except UncountedError as error:
            return _from_densities(planned, str(error))
        try:
            counts = count_kernel(planned.kernel, structure)
            repeats = self._repeats(planned, counts, structure)
        except UncountedError as error:
            return _from_densities(planned, str(error))
        except (PointLimitError, OverflowError):
            return _from_densities(planned, "counting it would take too long")
        finally:
            del self._structures[planned.kernel.name]
            self.rows += structure.spaces.total
        self.levels |= counts.results
        return _from_counts(planned, counts, repeats)

    def _repeats(
        self, planned: Planned, counts: KernelCounts, structure: Structure
    ) -> dict[str, float] | None:
        """Count how many times over values are computed, if that is asked for and can be done."""
        if not self.repeats:
            return None
        try:
            return repeat_factors(planned, counts, structure)
        except PointLimitError:
            return None


def _from_counts(
    planned: Planned, counts: KernelCounts, repeats: Mapping[str, float] | None
) -> KernelEstimate:
    timing = time_kernel(counts)
    functions: Counter[str] = Counter()
    for node in counts.nodes:
        attrs = node.node.attrs
        if node.flops and isinstance(attrs, AluAttrs | ReduceAttrs | SpaccAttrs):
            functions[attrs.fn if isinstance(attrs, AluAttrs) else attrs.op] += node.flops
    return KernelEstimate(
        name=counts.kernel.name,
        cycles=timing.cycles,
        flops=counts.flops,
        read=counts.read,
        written=counts.written,
        tokens=counts.stream_tokens,
        bottleneck=timing.bottleneck.node.name,
        functions=functions,
        recompute=recomputed(planned) if repeats is None else repeats,
        is_recount=repeats is not None,
        copies=_copies(planned),
    )


def _copies(planned: Planned) -> dict[str, int]:
    made = (planned.values[name] for name in dict.fromkeys(planned.copies.values()))
    tensors = {value.name: value.tensor for value in made if value.tensor is not None}
    return {name: _words(tensor).bytes for name, tensor in tensors.items()}


def _words(tensor: Tensor) -> Words:
    """Return what a tensor takes in memory."""
    arrays = [(level.segments, level.coordinates) for level in tensor.levels]
    return Words(
        segments=sum(len(segments) for segments, _ in arrays if segments is not None),
        coordinates=sum(len(crd) for _, crd in arrays if crd is not None),
        values=0 if tensor.values is None else tensor.values.size,
    )


def _from_densities(planned: Planned, reason: str) -> KernelEstimate:
    """Estimate a kernel from mean densities, as its loop order was chosen."""
    visits = planned.expected.visits
    functions: Counter[str] = Counter()
    for view, count in visits.items():
        assert view.op is not None
        functions[view.op.fn] += round(SCALAR_FUNCTIONS[view.op.fn].flops * count)
        functions[view.op.reduce or ""] += round(count) if view.op.reduce else 0
    return KernelEstimate(
        name=planned.kernel.name,
        cycles=max(visits.values(), default=0.0),
        flops=functions.total(),
        read=Words(values=round(planned.expected.cost)),
        written=Words(),
        tokens=round(planned.expected.cost),
        functions={fn: count for fn, count in sorted(functions.items()) if count},
        recompute=recomputed(planned),
        copies=_copies(planned),
        reason=reason,
    )
