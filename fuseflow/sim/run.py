# SPDX-License-Identifier: MIT
"""Simulate a whole program: kernel after kernel, tensors handed on, outputs checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from fuseflow.errors import UsageError
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.sim.assemble import assemble
from fuseflow.sim.build import build_machine
from fuseflow.sim.check import ATOL, RTOL, check_outputs
from fuseflow.sim.machine import Machine
from fuseflow.sim.memory import allocate
from fuseflow.sim.profiles import check_hardware, require_known
from fuseflow.sim.result import MachineResult
from fuseflow.sim.statistics import deadlock_report, kernel_statistics, totals

__all__ = ["SIMULATORS", "Simulator", "simulate"]


class Simulator(Protocol):
    """What runs a Machine; `run_twin` has the contract."""

    def __call__(
        self, machine: Machine, record: bool = False, *, max_cycles: int | None = None
    ) -> MachineResult:
        """Run one kernel."""


def _twin() -> Simulator:
    from fuseflow.sim.twin import run_twin

    return run_twin


def _engine() -> Simulator:
    try:
        from fuseflow.sim.engine import run_engine
    except ImportError as error:
        message = f"the compiled engine cannot be loaded: {error}"
        raise UsageError("U310 no-engine", message, fix="make build, or use the twin") from error
    return run_engine


SIMULATORS: Mapping[str, Callable[[], Simulator]] = {"engine": _engine, "twin": _twin}


def simulate(
    program: DataflowProgram,
    hardware: HardwareConfig | None = None,
    *,
    engine: str = "engine",
    check: bool = False,
    rtol: float = RTOL,
    atol: float = ATOL,
    max_cycles: int | None = None,
) -> SimulationReport:
    """Run all kernels of a program in order.

    Args:
        program: what to run; its tensors with their data.
        hardware: the machine, by default profile comal with unbounded channels and ideal memory.
        engine: a key of `SIMULATORS`; both give the same report.
        check: compare the outputs with their references (`fuseflow.sim.check`).
        rtol: relative tolerance of the check.
        atol: tolerance of the check, relative to the largest magnitude of a reference.
        max_cycles: stop when the program has taken more cycles than this.

    Returns:
        The report. After a deadlock (`deadlock` says where) or at the limit it holds what ran so
        far, `complete` is False and nothing was checked. A failed check is a result too.

    Raises:
        UsageError: an unknown engine, profile, memory model or cost.
        GraphError: the program breaks a rule of the verifier, or tokens do not fit each other.
    """
    require_known("U311 unknown-engine", "engine", engine, SIMULATORS)
    machine_config = hardware or HardwareConfig()
    check_hardware(machine_config)
    verify_program(program)
    run = _Run(program, machine_config, SIMULATORS[engine](), max_cycles)
    for kernel in program.kernels:
        if not run.step(kernel):
            break
    return run.finish(check, rtol, atol)


class _Run:
    """A program on its way: the report so far, and the tensors with the data they have by now."""

    def __init__(
        self,
        program: DataflowProgram,
        hardware: HardwareConfig,
        simulator: Simulator,
        max_cycles: int | None,
    ) -> None:
        self.program = program
        self.hardware = hardware
        self.simulator = simulator
        self.max_cycles = max_cycles
        self.tensors: dict[str, Value] = dict(program.tensors)
        self.addresses = allocate(program.tensors, hardware.memory)
        self.report = SimulationReport(program.name, hardware, notes=list(program.notes))
        self.cycles = 0

    def step(self, kernel: DataflowGraph) -> bool:
        """Run one kernel; return whether the next one can start."""
        limit = None if self.max_cycles is None else self.max_cycles - self.cycles
        machine = build_machine(kernel, self.tensors, self.hardware, self.addresses)
        result = self.simulator(machine, max_cycles=limit)
        self.report.kernels.append(kernel_statistics(kernel, machine, result))
        self.report.deadlock = deadlock_report(machine, result)
        self.cycles += result.elapsed
        in_time = limit is None or result.elapsed <= limit
        self.report.complete = result.complete and in_time
        if self.report.complete:
            for name, tensor in assemble(machine, result, self.tensors).items():
                self.tensors[name] = replace(self.tensors[name], tensor=tensor)
        elif result.deadlock is None:
            note = f"stopped in kernel {kernel.name}: the limit of {self.max_cycles} cycles"
            self.report.notes.append(note)
        return self.report.complete

    def finish(self, check: bool, rtol: float, atol: float) -> SimulationReport:
        """Add sums, outputs and the check to the report."""
        self.report.totals = totals(self.report.kernels)
        if self.report.complete:
            names = dict.fromkeys(output.value for output in self.program.outputs)
            self.report.outputs = [self.tensors[name] for name in names]
            if check:
                self.report.check = check_outputs(
                    self.program.outputs, self.tensors, rtol=rtol, atol=atol
                )
        return self.report
