# SPDX-License-Identifier: MIT
"""The reference models in any lanes and any blocks: what comes out is what PyTorch computed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from fuseflow.cli.sources import import_case
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.blocks import block_graph
from fuseflow.fusion.lanes import parallelize
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.models import zoo
from fuseflow.sim import simulate

MODELS = {
    "gcn": {},
    "graphsage": {},
    "sae": {},
    "gpt": {"seq": "32", "dim": "16", "ffn": "32", "heads": "2", "block": "8"},
}

every_model = pytest.mark.parametrize("model", MODELS)
every_strategy = pytest.mark.parametrize("strategy", PRESETS)


@cache
def graph_of(model: str) -> EinsumGraph:
    return import_case(zoo.build(model, MODELS[model]))


def assert_right(program: DataflowProgram) -> None:
    report = simulate(program, check=True)
    assert report.check.passed, report.deadlock or report.check.failures


def in_lanes(program: DataflowProgram, factor: int) -> Iterator[DataflowProgram]:
    for index in sorted({name for kernel in program.kernels for name in kernel.order}):
        kernels = [parallelize(kernel, index, factor) for kernel in program.kernels]
        yield replace(program, kernels=kernels)


def in_blocks(graph: EinsumGraph, size: int) -> Iterator[EinsumGraph]:
    indices = sorted(graph.index_sizes())
    for chosen in [*((index,) for index in indices), tuple(indices)]:
        yield block_graph(graph, dict.fromkeys(chosen, size))


@every_strategy
@every_model
def test_models_in_three_lanes(model: str, strategy: Strategy) -> None:
    for program in in_lanes(fuse(graph_of(model), FuseOptions(strategy)), 3):
        assert_right(program)


@every_strategy
@every_model
def test_models_in_blocks_of_eight(model: str, strategy: Strategy) -> None:
    for blocked in in_blocks(graph_of(model), 8):
        assert_right(fuse(blocked, FuseOptions(strategy)))


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 4, 7])
@every_strategy
@every_model
def test_models_in_any_number_of_lanes(model: str, strategy: Strategy, factor: int) -> None:
    for program in in_lanes(fuse(graph_of(model), FuseOptions(strategy)), factor):
        assert_right(program)


@pytest.mark.slow
@every_strategy
@every_model
def test_models_in_blocks_of_sixteen_and_lanes(model: str, strategy: Strategy) -> None:
    for blocked in in_blocks(graph_of(model), 16):
        program = fuse(blocked, FuseOptions(strategy))
        assert_right(program)
        for dealt in in_lanes(program, 2):
            assert_right(dealt)
