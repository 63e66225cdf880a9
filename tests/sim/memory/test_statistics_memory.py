"""What memory reports: bytes are those of ideal memory, parts add up, bounds hold."""

from collections.abc import Iterator

import numpy as np
import pytest

from fuseflow.ir.hardware import HardwareConfig, Hbm2Config, MemoryConfig
from fuseflow.ir.report import KernelStats, MemoryStats
from fuseflow.sim import simulate
from fuseflow.sim.machine import UnitKind
from fuseflow.sim.memory import Latencies
from fuseflow.sim.memory_statistics import latency_bound
from fuseflow.sim.result import UnitResult
from tests.sim import kernels, simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.memory.placing import MEMORIES, with_memory

SEEDS = range(700, 716)
CLIENTS = (UnitKind.SCAN, UnitKind.ARRAY, UnitKind.LEVEL_WRITE, UnitKind.VAL_WRITE)
DENSE = np.triu(np.ones((9, 9), np.float32))


def client_units(seed: int, name: str) -> Iterator[tuple[UnitResult, UnitResult]]:
    """Every scanner, array and writer of a machine, under ideal and under another memory."""
    run = simulators.load("engine")
    machine = draw_machine(seed, None)
    ideal, timed = run(machine), run(with_memory(machine, MEMORIES[name]))
    for unit, one, other in zip(machine.units, ideal.units, timed.units, strict=True):
        if unit.kind in CLIENTS:
            yield one, other


@pytest.mark.parametrize("name", MEMORIES)
def test_every_scanner_array_and_writer_moves_the_same_bytes_in_every_model(name: str) -> None:
    reads = writes = 0
    for seed in SEEDS:
        for ideal, timed in client_units(seed, name):
            assert timed.read_bytes == ideal.read_bytes
            assert timed.write_bytes == ideal.write_bytes
            words = sum(client.words for client in timed.clients)
            assert 4 * words == ideal.read_bytes + ideal.write_bytes
            reads += ideal.read_bytes
            writes += ideal.write_bytes
    assert reads > 1000
    assert writes > 1000


def product(memory: MemoryConfig) -> KernelStats:
    """A product of two sparse matrices on that memory, in the engine."""
    simulators.load("engine")
    values = [
        kernels.operand("B", DENSE, "compressed,compressed"),
        kernels.operand("C", DENSE.T, "compressed,compressed"),
        kernels.result("X", (9, 9), "compressed,compressed"),
    ]
    program = kernels.program(values, [kernels.spmspm().graph], "X", DENSE @ DENSE.T)
    return simulate(program, HardwareConfig(memory=memory)).kernels[0]


def memory_of(kernel: KernelStats) -> MemoryStats:
    assert kernel.memory is not None
    return kernel.memory


@pytest.mark.parametrize("model", ["comal-hbm", "hbm2"])
def test_channels_buckets_and_clients_add_up(model: str) -> None:
    kernel = product(MemoryConfig(model))
    memory = memory_of(kernel)
    assert len(memory.by_channel) == memory.channels
    for name in ("reads", "writes", "row_hits", "row_opens", "row_conflicts", "bus_busy"):
        parts = [getattr(channel, name) for channel in memory.by_channel]
        assert sum(parts) == getattr(memory, name)
    assert sum(bucket.requests for bucket in memory.latencies) == memory.answers
    assert sum(client.requests for client in memory.clients) == memory.answers
    moved = kernel.dram_read_bytes + kernel.dram_write_bytes
    assert 4 * sum(client.words for client in memory.clients) == moved
    assert memory.latency_min <= memory.latency_mean <= memory.latency_max
    assert memory.latency_min <= memory.latency_p50 <= memory.latency_p99 <= memory.latency_max
    assert 0 < memory.share_of_peak < 1
    assert memory.last_response <= kernel.cycles
    assert {client.tensor for client in memory.clients} == {"B", "C", "X"}
    assert {client.tensor for client in memory.clients if client.write} == {"X"}


def test_an_idle_dram_answers_in_the_cycles_of_a_closed_row() -> None:
    memory = memory_of(product(MemoryConfig("hbm2")))
    config = Hbm2Config()
    hit = config.t_req + config.t_cl + config.t_burst + config.t_rsp
    assert memory.latency_min >= hit
    assert memory.latency_max >= hit + config.t_rcd


def test_a_small_window_makes_lines_late() -> None:
    small, large = (
        memory_of(product(MemoryConfig("hbm2", hbm2=Hbm2Config(line_bytes=4, client_window=w))))
        for w in (2, 1024)
    )
    assert sum(client.window_full for client in small.clients) > 0
    assert sum(client.window_full for client in large.clients) == 0
    assert small.last_response > large.last_response


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_bounds_of_latencies_hold_for_that_share(share: float) -> None:
    rng = np.random.default_rng(11)
    cycles = np.sort(rng.integers(1, 900, 1000))
    latencies = Latencies()
    for latency in cycles.tolist():
        latencies.add(latency)
    bound = latency_bound(latencies, share)
    exact = int(cycles[int(share * len(cycles)) - 1])
    assert exact <= bound < 2 * exact
    assert bound <= latencies.most
