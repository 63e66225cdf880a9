# SPDX-License-Identifier: MIT
"""What comes out is what PyTorch computed, whatever the strategy, loop order, lanes and blocks.

The product of all of these, for the four reference models. Cases in which every choice meets every
other one run with each test run, the whole product with `make slow`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from random import Random

import pytest

from fuseflow.errors import ScheduleError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.fusion.lanes import parallelize
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.sim import simulate
from tests.test_lanes_and_blocks import MODELS, graph_of

STRATEGIES = (Strategy.UNFUSED, Strategy.LAYER, Strategy.FULL)
LANES = (1, 2, 3, 4, 7)
BLOCKS = (1, 8, 16)
ORDERS = 5
"""Loop orders of each program: the one that is chosen, and random ones."""
ATTEMPTS = 40
"""Random orders that may be tried to find as many that can be lowered."""


@dataclass(frozen=True)
class Case:
    """A model with everything that is chosen about it; `order` counts its orders."""

    model: str
    strategy: Strategy
    block: int
    order: int
    lanes: int


def every_case() -> list[Case]:
    return [
        Case(*choice)
        for choice in itertools.product(MODELS, STRATEGIES, BLOCKS, range(ORDERS), LANES)
    ]


@cache
def programs(model: str, strategy: Strategy, block: int, count: int) -> list[DataflowProgram]:
    """Compile a model in so many different orders; the same ones whatever the count."""
    graph = graph_of(model)
    found: dict[tuple[tuple[str, ...], ...], DataflowProgram] = {}
    for order in itertools.islice(orders_of(graph, f"{model} {strategy} {block}"), ATTEMPTS):
        options = FuseOptions(strategy, order=order, block=(("*", block),) if block > 1 else ())
        try:
            program = fuse(graph, options)
        except ScheduleError as error:
            if error.rule != "P013":
                raise
            continue
        found.setdefault(tuple(kernel.order for kernel in program.kernels), program)
        if len(found) == count:
            break
    return list(found.values())


def orders_of(graph: EinsumGraph, seed: str) -> Iterator[tuple[str, ...]]:
    """Yield no order, then random ones of all indices."""
    rng = Random(seed)
    names = sorted(graph.index_sizes())
    yield ()
    while True:
        yield tuple(rng.sample(names, len(names)))


def assert_right(case: Case) -> None:
    program = programs(case.model, case.strategy, case.block, case.order + 1)[case.order]
    rng = Random(str(case))
    kernels = [
        parallelize(kernel, rng.choice(kernel.order), case.lanes) if kernel.order else kernel
        for kernel in program.kernels
    ]
    report = simulate(replace(program, kernels=kernels), check=True)
    assert report.check.passed, (case, report.deadlock or report.check.failures)


def pairs(case: Case) -> set[tuple[tuple[str, object], ...]]:
    """Every two choices of a case."""
    return set(itertools.combinations(asdict(case).items(), 2))


@cache
def covering() -> list[Case]:
    """Few cases that have every two choices together; other orders of a whole decoder are slow."""
    cases = [c for c in every_case() if (c.model, c.strategy) != ("gpt", Strategy.FULL)]
    cases += [c for c in every_case() if c.model == "gpt" and not c.order]
    Random(20).shuffle(cases)
    missing = set().union(*map(pairs, cases))
    found = []
    while missing:
        found.append(max(cases, key=lambda case: len(pairs(case) & missing)))
        missing -= pairs(found[-1])
    return found


def test_every_choice_meets_every_other_one() -> None:
    met = set().union(*map(pairs, covering()))
    assert met == set().union(*map(pairs, every_case()))
    assert len(covering()) < len(every_case()) / 25


@pytest.mark.parametrize("case", covering(), ids=str)
def test_choices_compute_what_pytorch_does(case: Case) -> None:
    assert_right(case)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("model", MODELS)
def test_every_choice_computes_what_pytorch_does(
    model: str, strategy: Strategy, block: int
) -> None:
    for order, lanes in itertools.product(range(ORDERS), LANES):
        assert_right(Case(model, strategy, block, order, lanes))
