"""Programs run kernel by kernel: tensors handed on, figures reported, outputs checked."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fuseflow.errors import GraphError, UsageError
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.hardware import HardwareConfig, Hbm2Config, MemoryConfig, TimingConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.sim import simulate
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator

MATRIX = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0], [4, 5, 6]], np.float32)
SQUARE = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 3]], np.float32)
VECTOR = np.array([1, -1, 2], np.float32)


def two_products() -> DataflowProgram:
    """Two kernels for y = B (S c): the sparse result of the first is an operand of the second."""
    values = [
        kernels.operand("B", MATRIX, "compressed,compressed"),
        kernels.operand("S", SQUARE, "compressed,compressed"),
        kernels.operand("c", VECTOR, "dense"),
        kernels.result("t", (3,), "compressed"),
        kernels.result("y", (4,), "compressed"),
    ]
    first = kernels.spmv("t", "S", "c").graph
    second = kernels.spmv("y", "B", "t").graph
    first.name, second.name = "first", "second"
    return kernels.program(values, [first, second], "y", MATRIX @ (SQUARE @ VECTOR))


def softmax(capacity: int | None = None) -> tuple[DataflowProgram, HardwareConfig]:
    rows = [[1, 2, 3, 4, 0, 1], [2, 0, 1, 5, 1, 3]]
    values = [
        kernels.operand("A", np.array(rows, np.float32) + 1, "compressed,compressed"),
        kernels.result("Y", (2, 6), "compressed,compressed"),
    ]
    power = np.exp(np.array(rows) - np.max(rows, axis=1, keepdims=True))
    program = kernels.program(
        values, [kernels.row_softmax().graph], "Y", power / power.sum(axis=1, keepdims=True)
    )
    return program, HardwareConfig(timing=TimingConfig(capacity=capacity))


def run(program: DataflowProgram, simulator: str, **options: Any) -> SimulationReport:
    simulators.load(simulator)
    return simulate(program, engine=simulator, check=True, **options)


def test_the_simulator_starts_without_heavy_packages() -> None:
    code = "import sys, fuseflow.sim; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in shown.stdout.split()}
    assert loaded.isdisjoint({"torch", "onnx", "google", "matplotlib", "scipy"})


@every_simulator
def test_a_kernel_reads_what_an_earlier_one_wrote(simulator: str) -> None:
    report = run(two_products(), simulator)
    assert report.complete
    assert report.check.passed
    assert report.check.max_abs_error == 0
    assert [kernel.name for kernel in report.kernels] == ["first", "second"]


@every_simulator
def test_totals_are_the_sums_over_kernels_and_nodes(simulator: str) -> None:
    report = run(two_products(), simulator)
    for name in ("cycles", "tokens", "flops", "dram_read_bytes", "dram_write_bytes"):
        assert getattr(report.totals, name) == sum(getattr(k, name) for k in report.kernels)
    for kernel in report.kernels:
        assert kernel.flops == sum(node.flops for node in kernel.nodes)
        assert kernel.cycles == max(node.clock for node in kernel.nodes)
        assert kernel.tokens == sum(stream.tokens.total for stream in kernel.streams)
        assert all(node.clock == node.busy + node.stalled for node in kernel.nodes)
        assert all(node.stalled >= 0 for node in kernel.nodes)
    assert report.totals.kernels == 2


@every_simulator
def test_work_and_traffic_are_those_of_the_data(simulator: str) -> None:
    values = [
        kernels.operand("B", MATRIX, "compressed,compressed"),
        kernels.operand("c", VECTOR, "dense"),
        kernels.result("x", (4,), "compressed"),
    ]
    program = kernels.program(values, [kernels.spmv().graph], "x", MATRIX @ VECTOR)
    (kernel,) = run(program, simulator).kernels
    nonzeros, rows = np.count_nonzero(MATRIX), np.count_nonzero(MATRIX.any(axis=1))
    by_op: dict[str, list[int]] = {}
    for node in kernel.nodes:
        by_op.setdefault(node.op, []).append(node.dram_read_bytes)
    assert by_op["scan"] == [4 * (2 + rows), 4 * (2 * rows + nonzeros), 0]
    assert by_op["array"] == [4 * nonzeros, 4 * nonzeros]
    assert kernel.flops == 2 * nonzeros
    assert kernel.dram_write_bytes == 4 * (rows + 2 + rows)


def test_both_simulators_write_the_same_report() -> None:
    simulators.load("engine")
    for program, hardware in ((two_products(), HardwareConfig()), softmax(64)):
        reports = [
            simulate(program, hardware, engine=name, check=True) for name in ("twin", "engine")
        ]
        assert reports[0].kernels == reports[1].kernels
        assert reports[0].check == reports[1].check


@every_simulator
def test_a_wrong_result_fails_the_check_and_says_where(simulator: str) -> None:
    program = two_products()
    (output,) = program.outputs
    assert output.reference is not None
    wrong = output.reference.copy()
    wrong[3] += 1
    program.outputs = [replace(output, reference=wrong)]
    report = run(program, simulator)
    assert report.complete
    assert report.check.performed
    assert not report.check.passed
    (line,) = report.check.failures
    assert line.startswith(f"y[3]: got {wrong[3] - 1:g}, expected {wrong[3]:g}")


@every_simulator
def test_a_row_that_does_not_fit_its_buffer_is_a_deadlock(simulator: str) -> None:
    program, hardware = softmax(2)
    report = run(program, simulator, hardware=hardware)
    assert not report.complete
    assert not report.check.performed
    assert report.deadlock is not None
    assert report.deadlock.kernel == "softmax"
    assert report.deadlock.kind == "capacity"
    assert any("waits for room for token" in line for line in report.deadlock.blocked)
    assert any("waits for token" in line for line in report.deadlock.blocked)
    assert all("capacity 2" in line for line in report.deadlock.blocked)


@every_simulator
def test_a_row_that_fits_its_buffer_gives_the_softmax(simulator: str) -> None:
    program, hardware = softmax(8)
    report = run(program, simulator, hardware=hardware)
    assert report.check.passed
    assert 0 < report.check.max_rel_error < 1e-6


@every_simulator
def test_the_cycle_limit_ends_a_run_with_what_it_has(simulator: str) -> None:
    whole = run(two_products(), simulator)
    first = whole.kernels[0].cycles
    report = run(two_products(), simulator, max_cycles=first + 3)
    assert not report.complete
    assert report.deadlock is None
    assert report.kernels[0] == whole.kernels[0]
    assert len(report.kernels) == 2
    assert report.outputs == []
    assert any(str(first + 3) in note for note in report.notes)


@every_simulator
def test_a_limit_that_is_not_passed_changes_nothing(simulator: str) -> None:
    whole = run(two_products(), simulator)
    limited = run(two_products(), simulator, max_cycles=whole.totals.cycles)
    assert limited.complete
    assert limited.kernels == whole.kernels
    assert limited.check == whole.check


def on_dram(**figures: Any) -> HardwareConfig:
    return HardwareConfig(memory=MemoryConfig("hbm2", hbm2=Hbm2Config(**figures)))


@pytest.mark.parametrize(
    ("figures", "rule", "field"),
    [
        ({"client_window": 1}, "U307", "memory.hbm2.client_window"),
        ({"t_cl": -1}, "U307", "memory.hbm2.t_cl"),
        ({"line_bytes": 6}, "U308", "memory.hbm2.line_bytes"),
        ({"row_bytes": 1000}, "U308", "memory.hbm2.line_bytes"),
        ({"channels": 10**11}, "U307", "memory.hbm2.channels"),
        ({"t_rcd": 2**32}, "U307", "memory.hbm2.t_rcd"),
        ({"prefetch_tokens": 2**40}, "U307", "memory.hbm2.prefetch_tokens"),
    ],
)
def test_a_memory_that_cannot_work_is_refused(
    figures: dict[str, int], rule: str, field: str
) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(two_products(), on_dram(**figures), engine="twin")
    assert caught.value.rule.startswith(rule)
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        ({"align": 3}, "U309"),
        ({"arena_bytes": 6}, "U309"),
        ({"arena_bytes": 2**63 - 1}, "U307"),
        ({"align": 2**62}, "U307"),
    ],
)
def test_addresses_that_no_array_can_have_are_refused(figures: dict[str, Any], rule: str) -> None:
    """Words must lie in lines, and the last array must have an address."""
    with pytest.raises(
        UsageError, match=f"{next(iter(figures))}.*{next(iter(figures.values()))}"
    ) as caught:
        simulate(two_products(), HardwareConfig(memory=MemoryConfig("hbm2", **figures)))
    assert caught.value.rule.startswith(rule)


@pytest.mark.parametrize(
    ("options", "rule", "word"),
    [
        ({"engine": "twinn"}, "U311", '"twin"'),
        ({"hardware": HardwareConfig(TimingConfig("comel"))}, "U301", '"comal"'),
        ({"hardware": HardwareConfig(memory=MemoryConfig("hbm"))}, "U302", '"hbm2"'),
        ({"hardware": on_dram(policy="frfcf")}, "U303", '"frfcfs"'),
    ],
)
def test_an_unknown_choice_names_the_nearest_one(
    options: dict[str, Any], rule: str, word: str
) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(two_products(), **{"engine": "twin", **options})
    assert caught.value.rule.startswith(rule)
    assert word in str(caught.value)


def test_a_program_that_is_not_legal_is_refused() -> None:
    program = two_products()
    del program.tensors["t"]
    with pytest.raises(GraphError):
        simulate(program, engine="twin")
