"""Any number of threads gives the result of one, to the last figure."""

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.sim.engine.core import Core
from fuseflow.sim.engine.run import run_engine
from fuseflow.sim.machine import Machine
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_equals_twin import assert_equal_results
from tests.sim.engine.test_limits import broken, softmax, tiled
from tools.bench_machines import elementwise, sparse_product, spmm

THREADS = (2, 3, 8)


def assert_same_on_threads(machine: Machine, **options: int) -> None:
    wanted = run_engine(machine, **options)
    for threads in THREADS:
        got = run_engine(machine, threads=threads, eager=True, **options)
        assert_equal_results(machine, got, wanted)
        assert [c.waited for c in got.channels] == [c.waited for c in wanted.channels]
        assert got.stopped == wanted.stopped


@pytest.mark.parametrize("capacity", [None, 2000, 600, 8], ids=str)
@pytest.mark.parametrize("scale", [1, 4])
def test_random_machines(capacity: int | None, scale: int) -> None:
    for seed in range(40):
        assert_same_on_threads(draw_machine(seed, capacity, scale=scale))


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [None, 700, 512], ids=str)
@pytest.mark.parametrize("scale", [1, 3, 6])
def test_many_random_machines(capacity: int | None, scale: int) -> None:
    for seed in range(20_000, 20_000 + 600 // scale):
        assert_same_on_threads(draw_machine(seed, capacity, scale=scale))


@pytest.mark.parametrize("capacity", [None, 1000, 513], ids=str)
def test_streams_that_fill_every_bridge(capacity: int | None) -> None:
    assert_same_on_threads(spmm(300, 50, 20, 6, capacity=capacity))
    assert_same_on_threads(sparse_product(200, 6, 7, capacity=capacity))
    assert_same_on_threads(elementwise(300, 100, 9, union=True, capacity=capacity))


@pytest.mark.parametrize("capacity", [None, 700], ids=str)
def test_tiles_and_rows_that_wait_beside_their_sum(capacity: int | None) -> None:
    assert_same_on_threads(tiled(capacity))
    assert_same_on_threads(softmax(20, 650, capacity))


def test_a_deadlock_is_told_in_the_same_words() -> None:
    machine = softmax(2, 2000, capacity=600)
    assert run_engine(machine).deadlock is not None
    assert_same_on_threads(machine)


@pytest.mark.parametrize("share", [10, 3])
def test_a_limit_of_cycles_leaves_the_same_figures(share: int) -> None:
    machine = spmm(500, 50, 16, 8)
    limit = run_engine(machine).elapsed // share
    assert not run_engine(machine, max_cycles=limit).complete
    assert_same_on_threads(machine, max_cycles=limit)


def outcome(machine: Machine, threads: int) -> str:
    """What is told of a run: the broken rule, or whether it ended."""
    try:
        return str(run_engine(machine, threads=threads, eager=True).complete)
    except GraphError as error:
        return str(error)


def test_a_broken_rule_is_told_in_the_same_words() -> None:
    rng = np.random.default_rng(6)
    machines = [broken(draw_machine(seed, None, steps=15), rng) for seed in range(40)]
    wanted = [outcome(machine, 1) for machine in machines]
    assert sum(len(words) > 5 for words in wanted) > 5
    assert [outcome(machine, 2) for machine in machines] == wanted


def test_a_long_run_is_cut_and_a_short_one_is_not() -> None:
    """By itself, not because a test wants it."""
    long = spmm(30_000, 100, 8, 8)
    core = Core(long, False, None)
    core.threads = 2
    assert core.run() == -1
    assert core.was_cut
    total, longest = core.threads_worked()
    assert 0 < longest <= total
    assert_equal_results(long, run_engine(long, threads=2), run_engine(long))
    core = Core(spmm(10, 10, 8, 8), False, None)
    core.threads = 2
    assert core.run() == -1
    assert not core.was_cut


def test_whoever_keeps_every_token_keeps_to_one_thread() -> None:
    for record, watch in ((True, False), (False, True)):
        core = Core(spmm(50, 10, 8, 8), record, None, watch, eager=True)
        core.threads = 2
        core.run()
        assert not core.was_cut


def test_parts_end_when_progress_wants_them_to() -> None:
    clocks: list[int] = []

    def ask(clock: int) -> str | None:
        clocks.append(clock)
        return "enough" if len(clocks) == 40 else None

    machine = spmm(3000, 50, 64, 8)
    result = run_engine(machine, threads=2, eager=True, progress=ask)
    assert result.stopped == "enough"
    assert not result.complete
    assert clocks == sorted(clocks)
    assert 0 < clocks[-1] <= result.elapsed
