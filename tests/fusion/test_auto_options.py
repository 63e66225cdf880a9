# SPDX-License-Identifier: MIT
"""What a search may be told: what is to be small, tiles, programs to run, when to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.auto.options import Measured, Objective, SearchOptions
from fuseflow.fusion.auto.search import Search
from fuseflow.fusion.auto.text import describe_search, undominated
from fuseflow.fusion.auto.tiling import block_extents
from fuseflow.fusion.passes.sequence import PASSES, State, run_passes
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.tensor import Format, LevelFormat, tensor_from_dense
from fuseflow.ir.testing import make_graph, sparse_array
from fuseflow.sim import simulate
from tests.fusion.examples import attention, gcn

BLOCKS = np.kron(np.eye(4) + np.eye(4, k=1), np.ones((4, 4)))


def search(graph: EinsumGraph, options: SearchOptions, text: str = "strategy auto;") -> Search:
    state = State(graph, parse_schedule(text), options=options)
    run_passes(state, PASSES[:2])
    assert state.search is not None
    return state.search


def run(program: DataflowProgram) -> Measured:
    report = simulate(program, check=True)
    assert report.check.passed, report.check.failures
    found = report.totals
    moved = found.dram_read_bytes + found.dram_write_bytes
    return Measured(found.cycles, found.flops, moved, found.tokens)


def blocked_product() -> EinsumGraph:
    rng = np.random.default_rng(4)
    weight = np.where(BLOCKS > 0, rng.random((16, 16)) + 1, 0)
    tensors = {
        "W": (weight, "compressed,compressed"),
        "X": (sparse_array(rng, (16, 12), 1.0), "dense,dense"),
    }
    return make_graph(["Y[i,k] = add[j] mul(W[i,j], X[j,k])"], tensors, references=True)


@pytest.mark.parametrize("objective", Objective)
def test_what_is_to_be_small_is_no_larger_than_in_a_preset(objective: Objective) -> None:
    graph = gcn("(AX)W")
    chosen = run(fuse(graph, FuseOptions(Strategy.AUTO, search=SearchOptions(objective))))
    for strategy in PRESETS:
        other = run(fuse(graph, FuseOptions(strategy)))
        slack = 1.02 if objective is Objective.CYCLES else 1.0
        assert getattr(chosen, objective) <= slack * getattr(other, objective)


def test_programs_for_other_objectives_are_listed_on_request() -> None:
    found = search(gcn("(AX)W"), SearchOptions(pareto=True))
    front = undominated(found)
    for figure in ("cycles", "flops", "bytes"):
        least = min(getattr(each.estimate, figure) for each in found.ranked)
        assert least in {getattr(each.estimate, figure) for each in front}
    for each in found.ranked:
        figures = (each.estimate.cycles, each.estimate.flops, each.estimate.bytes)
        ahead = [
            (other.estimate.cycles, other.estimate.flops, other.estimate.bytes) for other in front
        ]
        assert any(all(a <= b for a, b in zip(ours, figures, strict=True)) for ours in ahead)


def test_the_best_of_the_programs_that_ran_is_chosen() -> None:
    """A machine on which fewer kernels are slower turns the order round."""
    graph = gcn("(AX)W")
    ran: list[int] = []

    def measure(program: DataflowProgram) -> Measured:
        ran.append(len(program.kernels))
        return replace(run(program), cycles=1000 - 10 * len(program.kernels))

    found = search(graph, SearchOptions(verify=3, measure=measure))
    assert len(ran) == 3
    best = found.ranked[0]
    assert best.measured is not None
    assert len(best.estimate.kernels) == max(ran)
    assert [each.measured is not None for each in found.ranked[:4]] == [True] * 3 + [False]
    assert "simulated" in next(iter(describe_search(found)))


def test_programs_that_do_not_come_to_an_end_are_not_chosen() -> None:
    expected = search(gcn("(AX)W"), SearchOptions()).ranked
    first = {expected[0].label}

    def measure(program: DataflowProgram) -> Measured | None:
        return None if len(program.kernels) == len(expected[0].estimate.kernels) else run(program)

    found = search(gcn("(AX)W"), SearchOptions(verify=20, measure=measure))
    assert first <= set(found.failed)
    assert found.ranked[0].label not in found.failed


def test_blocks_that_tensors_consist_of_are_found() -> None:
    for pattern, extents in ((BLOCKS, (4, 4)), (np.eye(6), (1, 1)), (np.zeros((4, 4)), (1, 1))):
        fmt = Format((LevelFormat.COMPRESSED, LevelFormat.COMPRESSED), (0, 1))
        assert block_extents(tensor_from_dense(pattern.astype(np.float32), fmt)) == extents


def test_blocks_are_tried_if_that_is_allowed() -> None:
    graph = blocked_product()
    assert not any("blocks" in each.label for each in search(graph, SearchOptions()).ranked)
    options = FuseOptions(Strategy.AUTO, search=SearchOptions(blocks=True))
    program = fuse(graph, options)
    assert "block" in program.schedule
    assert run(program).cycles < run(fuse(graph, FuseOptions(Strategy.AUTO))).cycles / 2
    again = fuse(graph, FuseOptions(schedule=parse_schedule(program.schedule)))
    assert again.kernels == program.kernels


def test_tiles_of_the_schedule_stay_as_they_are() -> None:
    text = "strategy auto; for * { block i:2; };"
    found = search(blocked_product(), SearchOptions(blocks=True), text)
    assert not any("blocks" in each.label for each in found.ranked)


def test_an_interrupt_leaves_the_best_so_far() -> None:
    def stop(text: str) -> None:
        if "kernels" in text:
            raise KeyboardInterrupt

    found = search(attention(), SearchOptions(progress=stop))
    assert found.is_cut_short
    assert {each.label for each in found.ranked} == set(PRESETS)
