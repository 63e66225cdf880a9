"""Memory delays tokens and changes nothing else; addresses, bounds and figures hold."""

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.ir.hardware import Hbm2Config, MemoryConfig
from fuseflow.sim.memory import Dram, Request, allocate
from fuseflow.sim.twin import run_twin
from tests.sim import kernels
from tests.sim.engine.machines import draw_machine
from tests.sim.memory.placing import MEMORIES, with_memory

SEEDS = range(300, 312)


@pytest.mark.parametrize("name", MEMORIES)
def test_memory_changes_stamps_but_no_token(name: str) -> None:
    slower = 0
    for seed in SEEDS:
        machine = draw_machine(seed, None)
        ideal = run_twin(machine, record=True)
        timed = run_twin(with_memory(machine, MEMORIES[name]), record=True)
        assert timed.complete
        assert timed.elapsed >= ideal.elapsed
        slower += timed.elapsed > ideal.elapsed
        for left, right in zip(timed.channels, ideal.channels, strict=True):
            assert left.recorded is not None
            assert right.recorded is not None
            assert left.recorded.text() == right.recorded.text()
    assert slower > len(SEEDS) // 2


@pytest.mark.parametrize("name", MEMORIES)
def test_every_cycle_of_a_unit_is_work_or_one_kind_of_wait(name: str) -> None:
    for seed in SEEDS:
        machine = with_memory(draw_machine(seed, 4), MEMORIES[name])
        result = run_twin(machine)
        for unit, figures in zip(machine.units, result.units, strict=True):
            if unit.kind.name == "SOURCE":
                continue
            waits = figures.waited_for_input + figures.waited_for_room + figures.waited_for_memory
            assert figures.clock == figures.busy + waits, unit.name


def stream_cycles(addresses: list[int], config: Hbm2Config) -> int:
    memory = Dram(config)
    for number, address in enumerate(addresses):
        memory.submit(Request(0, 0, number, address))
    while memory.serve():
        pass
    return memory.figures.last_response


def test_a_stream_of_lines_comes_near_the_peak_and_random_lines_do_not() -> None:
    config = Hbm2Config()
    lines = range(4096)
    streamed = stream_cycles([64 * line for line in lines], config)
    rng = np.random.default_rng(7)
    scattered = [64 * int(line) for line in rng.integers(0, 1 << 22, 4096)]
    assert 64 * 4096 / streamed > 240
    assert 64 * 4096 / stream_cycles(scattered, config) < 64 * 4096 / streamed
    in_order = stream_cycles(scattered, replace(config, policy="fcfs"))
    assert in_order > stream_cycles(scattered, config)


def answers(config: Hbm2Config, requests: list[tuple[int, int]]) -> tuple[list[int], Dram]:
    """Cycles in which the lines at these (cycle, address) are there, and the memory."""
    memory = Dram(config)
    asked = [Request(cycle, 0, i, address) for i, (cycle, address) in enumerate(requests)]
    for request in asked:
        memory.submit(request)
    while memory.serve():
        pass
    return [request.response for request in asked], memory


def test_a_refresh_closes_rows_and_keeps_them_closed_for_a_while() -> None:
    config = Hbm2Config(channels=1, refresh=True, t_refi=1000, t_rfc=100)
    first, second, third = 0, 1000, 1500
    got, memory = answers(config, [(first, 0), (second, 0), (third, 0)])
    # A closed row takes t_req + t_rcd + t_cl + t_burst + t_rsp; the second waits for the refresh.
    assert got[0] == 4 + 14 + 18 + 4 + 4
    assert got[1] == 1000 + 100 + 14 + 18 + 4 + 4
    assert got[2] == 1500 + 4 + 18 + 4 + 4
    figures = memory.figures
    assert (figures.total("row_opens"), figures.total("row_hits")) == (2, 1)
    assert figures.total("refreshes") == 1
    plain, _ = answers(replace(config, refresh=False), [(first, 0), (second, 0), (third, 0)])
    assert plain[1] == 1000 + 4 + 18 + 4 + 4


def test_refreshes_take_their_share_of_a_long_stream() -> None:
    config = Hbm2Config(t_refi=500, t_rfc=100)
    lines = [64 * line for line in range(4096)]
    longer = stream_cycles(lines, replace(config, refresh=True)) / stream_cycles(lines, config)
    assert 1.2 < longer < 1.4


def test_the_map_says_which_lines_share_a_channel() -> None:
    lines = [64 * line for line in range(64)]
    spread = answers(Hbm2Config(channels=4), [(0, a) for a in lines])[1].figures
    assert [c.reads for c in spread.channels] == [16, 16, 16, 16]
    # Whole rows of 16 lines, then whole banks, before the next channel.
    together = answers(
        Hbm2Config(channels=4, banks=2, map="row:chan:bank:col"), [(0, a) for a in lines]
    )[1].figures
    assert [c.reads for c in together.channels] == [32, 32, 0, 0]
    assert together.total("row_opens") == 4


def test_arrays_are_aligned_and_do_not_overlap() -> None:
    values = [
        kernels.operand("B", np.eye(9, dtype=np.float32), "compressed,compressed"),
        kernels.operand("c", np.ones(9, np.float32), "dense"),
        kernels.result("x", (9,), "compressed"),
    ]
    placed = allocate({value.name: value for value in values}, MemoryConfig())
    order = list(placed.bases.values())
    assert order == sorted(set(order))
    assert all(base % 1024 == 0 for base in order)
    assert placed.values("c") - placed.values("B") >= 4 * 9
    assert {base % (1 << 30) for (name, *_), base in placed.bases.items() if name == "x"} == {0}
    assert len(placed.level("B", 0)) == 2
    assert placed.level("c", 0) == ()
