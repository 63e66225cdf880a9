# SPDX-License-Identifier: MIT
"""Simulate a whole program: kernel after kernel, tensors handed on, outputs checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from fuseflow.errors import GraphError, UsageError
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import SimulationReport
from fuseflow.ir.verify_dataflow import verify_program
from fuseflow.sim.advice import sufficient_capacities
from fuseflow.sim.ahead import Ahead, Asker, Outcome, Share, is_chain
from fuseflow.sim.assemble import assemble
from fuseflow.sim.build import build_machine
from fuseflow.sim.check import ATOL, RTOL, check_outputs
from fuseflow.sim.machine import Machine
from fuseflow.sim.memory import allocate
from fuseflow.sim.profiles import check_hardware, check_windows, require_known
from fuseflow.sim.result import INTERRUPTED, MachineResult
from fuseflow.sim.statistics import deadlock_report, kernel_statistics, totals

__all__ = ["SIMULATORS", "Simulator", "Watch", "simulate"]


class Simulator(Protocol):
    """What runs a Machine; `run_twin` has the contract."""

    def __call__(
        self,
        machine: Machine,
        record: bool = False,
        *,
        max_cycles: int | None = None,
        watch: bool = False,
        progress: Callable[[int], str | None] | None = None,
        threads: int | Callable[[], int] = 1,
    ) -> MachineResult:
        """Run one kernel."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a caller wants of a run beyond its result.

    `detail`: statistics that need every token: slower, and 25 bytes of memory per token and more.
    `advise`: after a deadlock for want of room, find out how much would be enough, by trying.
    `progress`: called now and then with the kernel's number and name and the cycles of the program;
    a reason that it returns ends the run. `observe`: called with each machine, its result and the
    cycle in which it started; it makes the run as slow as `detail` does.
    """

    detail: bool = False
    advise: bool = True
    progress: Callable[[int, str, int], str | None] | None = None
    observe: Callable[[Machine, MachineResult, int], None] | None = None


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
    watch: Watch | None = None,
    threads: int = 1,
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
        watch: more figures, and eyes on the run.
        threads: that may work at the same time: on kernels that do not read what the other writes,
            and on parts of a long kernel. The report is the same for any number. One thread runs
            whatever keeps every token (`watch.detail`, `watch.observe`), the twin, and the parts
            of a kernel whose memory model is not ideal.

    Returns:
        The report. After a deadlock (`deadlock` says where), at the limit, after Ctrl-C, or when
        `watch.progress` wanted it to stop, it holds what ran so far, `complete` is False, a note
        says why, and nothing was checked. A failed check is a result too.

    Raises:
        UsageError: an unknown engine, profile, memory model or cost.
        GraphError: the program breaks a rule of the verifier, or tokens do not fit each other.
    """
    require_known("U311 unknown-engine", "engine", engine, SIMULATORS)
    machine_config = hardware or HardwareConfig()
    check_hardware(machine_config)
    verify_program(program)
    check_windows(machine_config.memory, program.tensors)
    run = _Run(program, machine_config, SIMULATORS[engine](), max_cycles, watch or Watch())
    run.threads = 1 if engine == "twin" or run.detail else threads
    try:
        run.start()
        for kernel in program.kernels:
            if not run.step(kernel):
                break
    except KeyboardInterrupt:
        run.stop(INTERRUPTED)
    finally:
        run.close()
    return run.finish(check, rtol, atol)


class _Run:
    """A program on its way: the report so far, and the tensors with the data they have by now."""

    def __init__(
        self,
        program: DataflowProgram,
        hardware: HardwareConfig,
        simulator: Simulator,
        max_cycles: int | None,
        watch: Watch,
    ) -> None:
        self.watch = watch
        self.program = program
        self.hardware = hardware
        self.simulator = simulator
        self.max_cycles = max_cycles
        self.tensors: dict[str, Value] = dict(program.tensors)
        self.addresses = allocate(program.tensors, hardware.memory)
        self.report = SimulationReport(program.name, hardware, notes=list(program.notes))
        self.cycles = 0
        self.detail = watch.detail or watch.observe is not None
        self.threads = 1
        self.ahead: Ahead | None = None

    def start(self) -> None:
        """Simulate kernels before their turn, where there are threads and such kernels."""
        kernels = self.program.kernels
        if self.threads > 1 and not is_chain(kernels):
            self.ahead = Ahead(kernels, self.tensors, self._simulate, self.threads)

    def close(self) -> None:
        """Let no thread go on."""
        if self.ahead is not None:
            self.ahead.close()

    def step(self, kernel: DataflowGraph) -> bool:
        """Run one kernel; return whether the next one can start."""
        limit = self._limit()
        ask = self._progress(kernel)
        machine, result, made = self._outcome(kernel, limit, ask)
        if self.watch.observe is not None:
            self.watch.observe(machine, result, self.cycles)
        self.report.kernels.append(kernel_statistics(kernel, machine, result))
        advice = None
        if result.deadlock is not None and self.watch.advise:
            again = partial(self.simulator, max_cycles=limit, progress=ask, threads=self.threads)
            advice = sufficient_capacities(machine, result.deadlock, again)
        self.report.deadlock = deadlock_report(machine, result, advice)
        self.cycles += result.elapsed
        in_time = limit is None or result.elapsed <= limit
        self.report.complete = result.complete and in_time
        if self.report.complete:
            for name, tensor in made.items():
                self.tensors[name] = replace(self.tensors[name], tensor=tensor)
        elif result.deadlock is None:
            self.stop(result.stopped or f"the limit of {self.max_cycles} cycles")
        return self.report.complete

    def _limit(self) -> int | None:
        return None if self.max_cycles is None else self.max_cycles - self.cycles

    def _outcome(self, kernel: DataflowGraph, limit: int | None, ask: Asker) -> Outcome:
        """Run a kernel that is due; its outcome may be there already."""
        if self.ahead is not None:
            try:
                outcome = self.ahead.outcome(len(self.report.kernels), ask)
            except GraphError:
                if limit is None:
                    raise
            else:
                if limit is None or outcome.result.stopped or outcome.result.elapsed <= limit:
                    return outcome
            # It ran when the limit was not known to be so near.
        return self._simulate(kernel, self.tensors, ask, lambda: self.threads)

    def _simulate(
        self, kernel: DataflowGraph, tensors: Mapping[str, Value], ask: Asker, share: Share
    ) -> Outcome:
        machine = build_machine(kernel, tensors, self.hardware, self.addresses)
        result = self.simulator(
            machine, max_cycles=self._limit(), watch=self.detail, progress=ask, threads=share
        )
        made = assemble(machine, result, tensors) if result.complete else {}
        return Outcome(machine, result, made)

    def stop(self, reason: str) -> None:
        """Note that the run ends here."""
        done = len(self.report.kernels) - (not self.report.complete)
        name = self.program.kernels[done].name
        self.report.complete = False
        self.report.stopped = reason
        self.report.notes.append(f"stopped in kernel {name}: {reason}")

    def _progress(self, kernel: DataflowGraph) -> Asker:
        """Return what tells the watcher about a kernel."""
        tell = self.watch.progress
        number, before = len(self.report.kernels) + 1, self.cycles
        return lambda clock: tell(number, kernel.name, before + clock) if tell else None

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
