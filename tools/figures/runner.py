# SPDX-License-Identifier: MIT
"""One case becomes one row: import, fuse, simulate with a check, and compare with the floor."""

from __future__ import annotations

import functools
import hashlib
import math
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import fuseflow
from fuseflow.errors import FuseflowError
from fuseflow.fusion import Fused, FuseOptions, plan_graph
from fuseflow.fusion.cost.program import estimate_program
from fuseflow.fusion.orders.listing import describe_orders
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram, LevelWriteAttrs, Op
from fuseflow.ir.hardware import HardwareConfig, MemoryConfig, NodeCost, TimingConfig
from fuseflow.ir.report import KernelStats, SimulationReport
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.tensor import LevelFormat
from fuseflow.sim import Watch, simulate
from tools.figures.cases import Case
from tools.figures.graphs import WrongGraphError
from tools.figures.kernels import Workload
from tools.figures.rows import KernelRow, Row, Status
from tools.figures.stages import kernel_floor
from tools.figures.workloads import SEED, Loaded

__all__ = ["Runner", "blank_row", "is_current", "versions"]

# What a floor may be undercut by: the tokens that start and end a kernel are counted generously.
_TOLERANCE = 0.999

_TIMINGS: Mapping[str, TimingConfig] = {
    "comal": TimingConfig(),
    # Emptying an accumulator takes a cycle per entry.
    "drained": TimingConfig(costs=(NodeCost("spacc", flush_ii=1),)),
}


def versions() -> dict[str, str]:
    """Return the versions that a row depends on."""
    import torch

    return {
        "fuseflow": fuseflow.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def is_current(row: Row, case: Case) -> bool:
    """Return True if a stored row is of this very case, run by these versions."""
    return (row.spec, row.versions) == (_spec(case), versions())


@dataclass(slots=True)
class Runner:
    """Runs cases; keeps the model of the last one, which its neighbors mostly share.

    `files` are archives of real graphs. A case that takes longer than `limit` seconds to simulate
    is stopped and marked; `tell` is called now and then with the cycles so far.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    limit: float | None = None
    tell: Callable[[int], None] | None = None
    _loaded: tuple[Workload, Loaded] | None = None

    def run(self, case: Case) -> Row:
        """Run one case; what goes wrong is part of the row."""
        started = time.perf_counter()
        row = blank_row(case)
        try:
            loaded = self._load(case.workload)
            row = replace(row, **loaded.facts)
            row = self._measure(row, case, loaded)
        except WrongGraphError as error:
            row = replace(row, status=Status.SKIPPED, reason=str(error))
        except FuseflowError as error:
            row = replace(row, status=Status.UNSUPPORTED, reason=str(error))
        return replace(row, wall_s=round(time.perf_counter() - started, 3))

    def _load(self, workload: Workload) -> Loaded:
        if self._loaded is None or self._loaded[0] != workload:
            self._loaded = None  # frees the last model before the next one is made
            self._loaded = workload, workload.load(self.files)
        return self._loaded[1]

    def _measure(self, row: Row, case: Case, loaded: Loaded) -> Row:
        options = FuseOptions(schedule=parse_schedule(case.config.schedule, case.name))
        started = time.perf_counter()
        fused = plan_graph(loaded.graph, options)
        compile_ms = round(1000 * (time.perf_counter() - started), 1)
        row = replace(row, compile_ms=compile_ms, notes=tuple(fused.program.notes))
        if case.counts_orders:
            return replace(row, orders=_count_orders(fused))
        hardware = HardwareConfig(_TIMINGS[case.timing], MemoryConfig(model=case.memory))
        watch = Watch(progress=self._progress())
        report = simulate(fused.program, hardware, check=True, watch=watch)
        if not report.complete:
            return replace(row, status=Status.TIMEOUT, reason=report.stopped)
        if "table3" in case.figures:
            row = replace(row, estimate=_estimate(case, fused))
        return _judge(_counted(row, case, loaded, fused.program, report), report)

    def _progress(self) -> Callable[[int, str, int], str | None]:
        started = time.perf_counter()

        def progress(number: int, kernel: str, cycles: int) -> str | None:
            del number, kernel
            if self.tell is not None:
                self.tell(cycles)
            spent = time.perf_counter() - started
            over = self.limit is not None and spent > self.limit
            return f"stopped after {spent:.0f} s" if over else None

        return progress


def blank_row(case: Case) -> Row:
    """Return the row of a case that has not run."""
    workload = case.workload
    return Row(
        case=case.name,
        figures=case.figures,
        model=workload.model,
        input=workload.input,
        kind=workload.kind,
        scale=workload.scale,
        config=case.config.name,
        density=workload.density,
        seed=SEED,
        memory=case.memory,
        timing=case.timing,
        status=Status.OK,
        kernels_expected=case.config.kernels,
        lanes=" x ".join(map(str, case.config.lanes)),
        spec=_spec(case),
        versions=versions(),
    )


@functools.cache
def _spec(case: Case) -> str:
    text = f"{case!r} {case.workload.expected()!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _counted(
    row: Row, case: Case, loaded: Loaded, program: DataflowProgram, report: SimulationReport
) -> Row:
    """Fill in sums over the kernels, each as often as it runs."""
    pairs = list(zip(program.kernels, report.kernels, strict=True))
    runs = [case.config.runs(graph.einsums) for graph, _ in pairs]
    lanes = math.prod(case.config.lanes)
    joint = case.config.joint
    floors = [kernel_floor(loaded.stages, g.einsums, lanes, joint=joint) for g, _ in pairs]
    single = None
    if case.config.single:
        single = sum(
            case.config.runs(graph.einsums, one_projection=True) * stats.cycles
            for graph, stats in pairs
        )

    def total(figures: Sequence[int]) -> int:
        return sum(count * figure for count, figure in zip(runs, figures, strict=True))

    kernels = tuple(
        _kernel(graph, stats, count, bare)
        for (graph, stats), count, (_, bare) in zip(pairs, runs, floors, strict=True)
    )
    moved = [stats.dram_read_bytes + stats.dram_write_bytes for _, stats in pairs]
    return replace(
        row,
        kernels=kernels,
        one_projection=single,
        cycles=total([stats.cycles for _, stats in pairs]),
        floor=total([drained for drained, _ in floors]),
        floor_bare=total([bare for _, bare in floors]),
        tokens=total([stats.tokens for _, stats in pairs]),
        flops=total([stats.flops for _, stats in pairs]),
        bytes=total(moved),
        bytes_artifact=total([_artifact_bytes(program, *pair) for pair in pairs]),
    )


def _estimate(case: Case, fused: Fused) -> dict[str, float]:
    """Return what the compiler expects, each kernel as often as it runs."""
    found = estimate_program(fused.plans, fused.program.tensors)
    pairs = [
        (case.config.runs(graph.einsums), kernel)
        for graph, kernel in zip(fused.program.kernels, found.kernels, strict=True)
    ]
    return {
        "cycles": sum(count * kernel.cycles for count, kernel in pairs),
        "flops": sum(count * kernel.flops for count, kernel in pairs),
        "bytes": sum(count * kernel.bytes for count, kernel in pairs),
    }


def _count_orders(fused: Fused) -> dict[str, str]:
    """Return numbers of loop orders of a program of one kernel, by rule."""
    found = {}
    for rule, per_use in (("shared", False), ("per use", True)):
        kernel, *lines = describe_orders(fused.plans, 0, per_use=per_use)
        found[f"{rule}: indices"] = kernel.rpartition(": ")[2].removesuffix(" indices")
        for line in lines:
            match = re.match(r" *(?P<count>(?:at least )?\S+) (?P<rule>.*)", line)
            assert match is not None
            found[f"{rule}: {match['rule']}"] = match["count"]
    return found


def _kernel(graph: DataflowGraph, stats: KernelStats, runs: int, floor: int) -> KernelRow:
    busiest = max(stats.nodes, key=lambda node: node.busy)
    return KernelRow(
        name=graph.name,
        order=" ".join(graph.order),
        runs=runs,
        cycles=stats.cycles,
        floor=floor,
        critical=f"{busiest.op} {busiest.name}",
        stalled_share=round(1 - busiest.busy / stats.cycles, 4) if stats.cycles else 0.0,
    )


def _artifact_bytes(program: DataflowProgram, graph: DataflowGraph, stats: KernelStats) -> int:
    """Count what the artifact calls memory: values read and written, coordinates written."""
    tokens = {stream.id: stream.tokens for stream in stats.streams}
    total = 0
    for node, figures in zip(graph.nodes, stats.nodes, strict=True):
        if node.op is Op.ARRAY:
            total += figures.dram_read_bytes
        elif node.op is Op.VAL_WRITE:
            total += figures.dram_write_bytes
        elif isinstance(node.attrs, LevelWriteAttrs) and _is_stored(program, node.attrs):
            (source, *_) = node.inputs
            total += 4 * tokens[source].values if source is not None else 0
    return total


def _is_stored(program: DataflowProgram, attrs: LevelWriteAttrs) -> bool:
    layout = program.tensors[attrs.tensor].format
    return layout is not None and layout.levels[attrs.level] is not LevelFormat.DENSE


def _judge(row: Row, report: SimulationReport) -> Row:
    """Set the status: a wrong result voids the cycles, and so do cycles below the floor."""
    row = replace(row, max_rel_error=report.check.max_rel_error)
    if not report.check.passed:
        return replace(row, status=Status.MISMATCH, reason="; ".join(report.check.failures))
    low = [each for each in row.kernels if each.cycles < _TOLERANCE * each.floor]
    if low and row.memory == "ideal":
        text = f"kernel {low[0].name}: {low[0].cycles} cycles are below its floor {low[0].floor}"
        return replace(row, status=Status.MISMATCH, reason=text)
    return row
