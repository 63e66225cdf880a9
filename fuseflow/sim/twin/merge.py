# SPDX-License-Identifier: MIT
"""Rule of the join: merge ascending coordinate lists, each with its payloads."""

from __future__ import annotations

from collections.abc import Sequence

from fuseflow.sim import faults
from fuseflow.sim.params import JoinParams
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from fuseflow.sim.twin.ops import (
    Emit,
    Peek,
    Rule,
    Steps,
    Take,
    Tick,
    is_element,
    peek_each,
    same_mark,
)
from fuseflow.sim.twin.process import Process

__all__ = ["join"]


class _Inputs:
    """Port numbers of a join: per input its coordinates, its payloads and their outputs."""

    def __init__(self, payloads: Sequence[int]) -> None:
        self.crd: list[int] = []
        self.pays: list[range] = []
        self.outs: list[range] = []
        port, out = 0, 1
        for count in payloads:
            self.crd.append(port)
            self.pays.append(range(port + 1, port + 1 + count))
            self.outs.append(range(out, out + count))
            port, out = port + 1 + count, out + count

    def __len__(self) -> int:
        return len(self.crd)


def join(unit: Process) -> Rule:
    """Retire the inputs that hold the smallest coordinate; emit it if `keep` wants this mask."""
    params = unit.params_of(JoinParams)
    inputs = _Inputs(params.payloads)
    last = [-1] * len(inputs)
    while True:
        heads = yield from _heads(unit, inputs)
        present, token = _select(unit, inputs, heads)
        mask = sum(1 << j for j in present)
        kept = not is_element(token) or params.keep[mask]
        yield from _advance(inputs, present, token, kept)
        _check_order(unit, last, present, token)
        if token is DONE:
            return
        yield Tick(unit.cost.ii)


def _heads(unit: Process, inputs: _Inputs) -> Steps[list[Token]]:
    """Peek at all coordinates, then at all payloads, which must show the same kind of token."""
    heads = yield from peek_each(inputs.crd)
    for j, head in enumerate(heads):
        for port in inputs.pays[j]:
            pay = yield Peek(port)
            fits = is_element(pay) if is_element(head) else same_mark(pay, head)
            if not fits:
                raise unit.misaligned(inputs.crd[j], port)
    return heads


def _select(unit: Process, inputs: _Inputs, heads: list[Token]) -> tuple[list[int], Token]:
    """Return the inputs that take part in this iteration, and the token they agree on."""
    elements = [head for head in heads if is_element(head)]
    if MISSING in elements or (elements and DONE in heads):
        raise unit.misaligned(*inputs.crd)
    if elements:
        smallest = min(elements)
        return [j for j, head in enumerate(heads) if head == smallest], smallest
    if any(head != heads[0] for head in heads):
        raise unit.misaligned(*inputs.crd)
    return list(range(len(heads))), heads[0]


def _advance(inputs: _Inputs, present: list[int], token: Token, kept: bool) -> Rule:
    """Emit the token and the payloads, and remove what took part."""
    if kept:
        yield Emit(0, token)
    for j in range(len(inputs)):
        for port, out in zip(inputs.pays[j], inputs.outs[j], strict=True):
            if kept:
                yield Emit(out, (yield Peek(port)) if j in present else MISSING)
        if j in present:
            for port in (inputs.crd[j], *inputs.pays[j]):
                yield Take(port)


def _check_order(unit: Process, last: list[int], present: list[int], token: Token) -> None:
    for j in present:
        if isinstance(token, Stop) or token is DONE:
            last[j] = -1
        elif token <= last[j]:
            raise faults.scrambled(unit.kernel, unit.unit.name, last[j], token)
        else:
            last[j] = token
