# SPDX-License-Identifier: MIT
"""Estimates with lanes and tiles: counts are those of the simulation, cycles are close to it."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.fusion import FuseOptions, fuse
from fuseflow.fusion.blocks import block_graph, connected_dimensions
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


@settings(max_examples=60)
@given(einsum_graphs(), st.data())
def test_counts_of_random_tiles_are_those_of_the_simulation(
    graph: EinsumGraph, data: st.DataObject
) -> None:
    sizes = st.dictionaries(st.sampled_from(sorted(graph.index_sizes())), st.sampled_from([2, 3]))
    blocked = block_graph(graph, blocks_of(graph, data.draw(sizes)))
    program = fuse(blocked, FuseOptions(data.draw(st.sampled_from(PRESETS))))
    indices = indices_of(program)
    index = data.draw(st.sampled_from(indices)) if indices else ""
    assert_counts(in_lanes(program, {index: data.draw(st.sampled_from([1, 2]))}))


def blocks_of(graph: EinsumGraph, sizes: dict[str, int]) -> dict[str, int]:
    """The same tile for indices that run along each other."""
    union = connected_dimensions(graph)
    wanted = {union[index]: size for index, size in sizes.items()}
    return {index: wanted.get(union[index], 1) for index in graph.index_sizes()}


@pytest.mark.parametrize("name", MODELS)
def test_tiles_of_models_are_counted_exactly_and_timed_closely(name: str) -> None:
    for strategy in PRESETS:
        program = fuse(model(name), FuseOptions(strategy, block=(("*", 4),)))
        counts, report = assert_counts(program)
        expected = sum(time_kernel(each).cycles for each in counts)
        assert expected == pytest.approx(report.totals.cycles, rel=0.1)
