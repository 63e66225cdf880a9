# SPDX-License-Identifier: MIT
"""Estimates of kernels in lanes: counts are those of the simulation, cycles are close to it."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.fusion import FuseOptions, fuse
from fuseflow.fusion.cost.cycles import time_kernel
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from tests.fusion.costs import assert_counts
from tests.fusion.test_lanes import in_lanes
from tests.fusion.test_models import MODELS, model
from tests.strategies import einsum_graphs


def indices_of(program: DataflowProgram) -> list[str]:
    return sorted({index for kernel in program.kernels for index in kernel.order})


@settings(max_examples=100)
@given(einsum_graphs(), st.data())
def test_counts_of_random_lanes_are_those_of_the_simulation(
    graph: EinsumGraph, data: st.DataObject
) -> None:
    program = fuse(graph, FuseOptions(data.draw(st.sampled_from(PRESETS))))
    indices = indices_of(program)
    if indices:
        factors = st.dictionaries(st.sampled_from(indices), st.sampled_from([2, 3, 4]), max_size=3)
        assert_counts(in_lanes(program, data.draw(factors)))


@pytest.mark.parametrize("name", MODELS)
def test_lanes_of_models_are_counted_exactly_and_timed_closely(name: str) -> None:
    errors: list[float] = []
    for strategy in PRESETS:
        program = fuse(model(name), FuseOptions(strategy))
        for index, factor in zip(indices_of(program), itertools.cycle((2, 4, 8)), strict=False):
            counts, report = assert_counts(in_lanes(program, {index: factor}))
            expected = sum(time_kernel(each).cycles for each in counts)
            errors.append(abs(expected / report.totals.cycles - 1))
    assert statistics.median(errors) < 0.02
    assert max(errors) < 0.2
