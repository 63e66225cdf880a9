# SPDX-License-Identifier: MIT
"""Rules of the units that read memory through the queue server: they ask, and wait."""

from __future__ import annotations

from collections.abc import Callable

from fuseflow.sim.params import ArrayParams, ScanParams
from fuseflow.sim.tokens import DONE, MISSING, Token
from fuseflow.sim.twin.levels import emit_pair, expand, stored_fiber
from fuseflow.sim.twin.ops import Answer, Ask, Emit, Rule, Take, Tick, is_element
from fuseflow.sim.twin.process import Process
from fuseflow.sim.twin.values import as_number

__all__ = ["array_by_vectors", "scan_by_vectors"]


def scan_by_vectors(batch: int) -> Callable[[Process], Rule]:
    """Return the rule of scan: `batch` coordinates are read, and sent, at a time."""

    def scan(unit: Process) -> Rule:
        params = unit.params_of(ScanParams)
        crd_array = 1 if params.format == "compressed" else 0

        def walk(reference: Token) -> Rule:
            pairs = stored_fiber(unit, params, reference)
            if crd_array and reference is not MISSING:
                yield Ask(0, 2)
                yield Answer()
            for start in range(0, len(pairs), batch):
                vector = pairs[start : start + batch]
                yield Ask(crd_array, len(vector))
                yield Answer()
                for pair in vector:
                    yield from emit_pair(unit, pair)

        yield from expand(unit, walk)

    return scan


def array_by_vectors(batch: int) -> Callable[[Process], Rule]:
    """Return the rule of array: up to `batch` references are collected, then read together."""

    def array(unit: Process) -> Rule:
        params = unit.params_of(ArrayParams)
        assert params.values is not None
        fill = as_number(params.fill, params.values.shape[1:])
        held: list[int] = []
        while (token := (yield Take(0))) is not DONE:
            if is_element(token) and token is not MISSING:
                if not 0 <= token < params.positions:
                    raise unit.out_of_range("reference", token, params.positions)
                held.append(token)
                if len(held) == batch:
                    yield from _read(unit, params, held)
            else:
                yield from _read(unit, params, held)
                yield Emit(0, fill if token is MISSING else token)
            yield Tick(unit.cost.ii)
        yield from _read(unit, params, held)
        yield Emit(0, DONE)

    return array


def _read(unit: Process, params: ArrayParams, held: list[int]) -> Rule:
    """Read and send the values of the references that were collected."""
    if not held:
        return
    assert params.values is not None
    words = len(held) * params.values[0].size
    unit.words_read += words
    yield Ask(0, words)
    yield Answer()
    for reference in held:
        yield Emit(0, params.values[reference], unit.cost.latency)
    held.clear()
