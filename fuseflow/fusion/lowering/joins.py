# SPDX-License-Identifier: MIT
"""Turns the domain of a level into at most one join of the coordinate streams that take part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fuseflow.fusion.analysis.domains import EVERYTHING, JOIN_INPUTS, Atom, Condition
from fuseflow.fusion.lowering.emit import GraphBuilder, Shape, Wire
from fuseflow.ir.dataflow import JoinAttrs, Op

__all__ = ["Joiner", "Participant"]


@dataclass(frozen=True, slots=True)
class Participant:
    """A coordinate stream with its payloads, and the atoms that it stands for.

    One stream serves several atoms if views of one tensor are entered through the same loops, or
    if the results of several operations have the same coordinates.
    """

    atoms: frozenset[Atom]
    crd: Wire
    payloads: tuple[Wire, ...] = ()


class Joiner:
    """Makes joins and remembers which wires may carry missing elements."""

    def __init__(self, builder: GraphBuilder) -> None:
        """Make joins in `builder`."""
        self._builder = builder
        self.missing: set[Wire] = set()

    def join(
        self,
        condition: Condition,
        participants: Sequence[Participant],
        every_coordinate: Callable[[], Wire],
        shape: Shape,
        name: str,
    ) -> tuple[Wire, dict[Wire, Wire]]:
        """Return the coordinates that meet `condition`, and each payload as it leaves the join.

        Participants that the condition does not mention are looked up: they do not decide which
        coordinates survive, and their payload is missing where they have none.
        """
        if condition == EVERYTHING:
            crd = every_coordinate()
            if not participants:
                return crd, {}
            return self._emit("left", [Participant(frozenset(), crd), *participants], shape, name)
        if len(participants) == 1:
            (only,) = participants
            return only.crd, {payload: payload for payload in only.payloads}
        deciding = [part for part in participants if _decides(condition, part)]
        others = [part for part in participants if not _decides(condition, part)]
        keep = _keep_text(condition, [*deciding, *others])
        if keep is not None:
            return self._emit(keep, [*deciding, *others], shape, name)
        assert others, "conditions are widened before they need a larger table"
        met = self.join(condition, deciding, every_coordinate, shape, name)
        return self._continue("left", met, others, shape, name)

    def lookup(self, crd: Wire, other: Wire, payload: Wire, name: str) -> Wire:
        """Return the payload of `other` at each coordinate of `crd`, missing where it has none."""
        if crd == other:
            return payload
        inputs = [Participant(frozenset(), crd), Participant(frozenset(), other, (payload,))]
        _, passed = self._emit("left", inputs, crd.shape, name)
        return passed[payload]

    def _emit(
        self, keep: str, inputs: Sequence[Participant], shape: Shape, name: str
    ) -> tuple[Wire, dict[Wire, Wire]]:
        if len(inputs) > JOIN_INPUTS:
            met = self._emit(keep, inputs[:JOIN_INPUTS], shape, name)
            return self._continue(keep, met, inputs[JOIN_INPUTS:], shape, name)
        wires = [wire for part in inputs for wire in (part.crd, *part.payloads)]
        counts = tuple(len(part.payloads) for part in inputs)
        payloads = [(n, payload) for n, part in enumerate(inputs) for payload in part.payloads]
        outputs = [shape, *(shape.of_kind(payload.shape.kind) for _, payload in payloads)]
        crd, *rest = self._builder.add(
            Op.JOIN, JoinAttrs(keep, counts), wires, outputs, name=f"join {name}"
        )
        passed: dict[Wire, Wire] = {}
        for (number, payload), out in zip(payloads, rest, strict=True):
            passed[payload] = out
            if payload in self.missing or not _always_present(keep, number, len(inputs)):
                self.missing.add(out)
        return crd, passed

    def _continue(
        self,
        keep: str,
        met: tuple[Wire, dict[Wire, Wire]],
        others: Sequence[Participant],
        shape: Shape,
        name: str,
    ) -> tuple[Wire, dict[Wire, Wire]]:
        """Join what has met so far with others, and follow its payloads through that."""
        crd, passed = met
        first = Participant(frozenset(), crd, tuple(passed.values()))
        crd, further = self._emit(keep, [first, *others], shape, name)
        return crd, further | {payload: further[out] for payload, out in passed.items()}


def _decides(condition: Condition, part: Participant) -> bool:
    return any(part.atoms & clause for clause in condition)


def _keep_text(condition: Condition, inputs: Sequence[Participant]) -> str | None:
    """Return the name of the join, or its table over the presence masks of all inputs.

    None if the table would be too large: then those that the condition mentions join first.
    """
    count = len(inputs)
    number = {atom: n for n, part in enumerate(inputs) for atom in part.atoms}
    mapped = {frozenset(number[atom] for atom in clause) for clause in condition}
    clauses = {clause for clause in mapped if not any(other < clause for other in mapped)}
    if clauses == {frozenset(range(count))}:
        return "intersect"
    if clauses == {frozenset({n}) for n in range(count)}:
        return "union"
    if clauses == {frozenset({0})}:
        return "left"
    if count > JOIN_INPUTS:
        return None
    masks = [sum(1 << n for n in clause) for clause in clauses]
    return "".join(
        "1" if any(present & mask == mask for mask in masks) else "0"
        for present in range(1 << count)
    )


def _always_present(keep: str, number: int, count: int) -> bool:
    if keep in ("intersect", "union", "left"):
        return keep == "intersect" or (keep == "left" and number == 0)
    return all(mask >> number & 1 for mask in range(1 << count) if keep[mask] == "1")
