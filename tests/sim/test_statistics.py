"""Statistics of a kernel are sums of what its nodes did, in both simulators and every memory."""

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.ir.hardware import HardwareConfig, MemoryConfig, TimingConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.sim import Watch, simulate
from tests.sim import kernels, simulators

MATRIX = np.triu(np.ones((12, 12), np.float32))
MODELS = ("ideal", "comal-hbm", "hbm2")


def product(simulator: str, model: str, *, detail: bool = False) -> SimulationReport:
    simulators.load(simulator)
    values = [
        kernels.operand("B", MATRIX, "compressed,compressed"),
        kernels.operand("C", MATRIX.T, "compressed,compressed"),
        kernels.result("X", (12, 12), "compressed,compressed"),
    ]
    program = kernels.program(values, [kernels.spmspm().graph], "X", MATRIX @ MATRIX.T)
    hardware = HardwareConfig(TimingConfig(capacity=40), MemoryConfig(model))
    return simulate(program, hardware, engine=simulator, check=True, watch=Watch(detail=detail))


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_both_simulators_report_the_same(model: str, detail: bool) -> None:
    twin, engine = (product(name, model, detail=detail) for name in ("twin", "engine"))
    assert twin.check.passed
    assert twin.kernels == engine.kernels
    assert twin.totals == engine.totals


@pytest.mark.parametrize("model", MODELS)
def test_parts_add_up(model: str) -> None:
    (kernel,) = product("twin", model).kernels
    for node in kernel.nodes:
        assert node.clock == node.busy + node.stalled
        assert node.stalled == node.stalled_input + node.stalled_output + node.stalled_memory
    assert sum(f.flops for f in kernel.functions) == kernel.flops
    assert {f.fn for f in kernel.functions} == {"add", "mul"}
    assert sum(t.read_bytes for t in kernel.tensors) == kernel.dram_read_bytes
    assert sum(t.write_bytes for t in kernel.tensors) == kernel.dram_write_bytes
    assert [t.tensor for t in kernel.tensors] == ["B", "C", "X"]
    assert any(node.stalled_memory for node in kernel.nodes) == (model != "ideal")


def test_a_dram_moves_whole_lines_and_finds_rows_in_one_of_three_ways() -> None:
    (kernel,) = product("twin", "hbm2").kernels
    memory = kernel.memory
    assert memory is not None
    requests = memory.reads + memory.writes
    assert memory.transferred_bytes == 64 * requests
    assert memory.row_hits + memory.row_opens + memory.row_conflicts == requests
    assert memory.bus_busy == 4 * requests
    assert memory.transferred_bytes < 64 * (kernel.dram_read_bytes + kernel.dram_write_bytes) / 4


def test_the_critical_resource_is_what_works_most() -> None:
    (kernel,) = product("twin", "ideal").kernels
    assert kernel.critical is not None
    assert kernel.critical.busy == max(node.busy for node in kernel.nodes)
    assert kernel.critical.name in {node.name for node in kernel.nodes}


def test_details_say_how_full_streams_were() -> None:
    plain, (kernel,) = (product("twin", "ideal", detail=d).kernels for d in (False, True))
    for stream in kernel.streams:
        assert stream.peak is not None
        assert stream.longest is not None
        assert 0 < stream.peak <= 40
        assert stream.longest <= 12
    bare = [replace(s, peak=None, longest=None, stalled_consumer=None) for s in kernel.streams]
    assert plain[0].streams == tuple(bare)
