# SPDX-License-Identifier: MIT
"""Hazards of running: lanes that get uneven work, and channels that are shorter than a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.einsum import Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.hardware import HardwareConfig, TimingConfig
from fuseflow.ir.testing import KernelBuilder, make_graph, make_tensor
from fuseflow.sim import simulate
from tests.fusion.checks import assert_simulates, one_kernel_program
from tests.fusion.examples import softmax
from tests.fusion.interpreter import run_program

ENGINES = ("twin", "engine")
UNEVEN = np.array([[1, 2, 3, 4, 5], [6, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32)


def dealt(lanes: int, *, absent: bool) -> DataflowProgram:
    """A copy of a matrix with lists of 5, 1 and 0 columns, whose columns are dealt to lanes.

    With `absent`, all columns are visited, and a lane gets what is not stored as well.
    """
    builder = KernelBuilder()
    (root,) = builder.add(Op.ROOT, df.RootAttrs(), outputs=["ref"])
    (rows,) = builder.add(Op.FULL, df.FullAttrs(3), [root], ["crd i:0"])
    rows, entered, *counted = builder.copy(rows, 3 if absent else 2)
    _, ref = builder.add(
        Op.LOCATE, df.LocateAttrs("A", 0, 3), [entered, None], ["", "ref i:0"]
    )  # fmt: skip
    crd, ref = builder.add(Op.SCAN, df.ScanAttrs("A", 1), [ref], ["crd i:0 j:1", "ref i:0 j:1"])
    domain = 1
    if absent:
        domain = 0
        (every,) = builder.add(Op.FULL, df.FullAttrs(5), counted, ["crd i:0 j:0"])
        crd, ref = builder.add(
            Op.JOIN, df.JoinAttrs("left", (0, 1)), [every, crd, ref], ["crd i:0 j:0", "ref i:0 j:0"]
        )
    crd, ref = (merged(builder, sid, lanes, domain) for sid in (crd, ref))
    (val,) = builder.add(Op.ARRAY, df.ArrayAttrs("A"), [ref], [f"val i:0 j:{domain}"])
    builder.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 0), [rows])
    builder.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 1), [crd])
    builder.add(Op.VAL_WRITE, df.ValWriteAttrs("Z"), [val, None])
    tensor = make_tensor((UNEVEN, "dense,compressed"))
    written = parse_format("dense,dense" if absent else "dense,compressed")
    values = {
        "A": Value("A", UNEVEN.shape, Role.INPUT, format=tensor.format, tensor=tensor),
        "Z": Value("Z", UNEVEN.shape, Role.INTERMEDIATE, format=written),
    }
    return one_kernel_program(builder.graph, values, {"Z": UNEVEN})


def merged(builder: KernelBuilder, sid: int, lanes: int, domain: int) -> int:
    """Deal a stream of columns to lanes and put it together again."""
    kind = builder.graph.streams[sid].kind
    dealt = builder.add(
        Op.FORK,
        df.ForkAttrs(lanes),
        [sid],
        [*(f"{kind} i:0 j:{10 + lane}" for lane in range(lanes)), ""],
    )
    (out,) = builder.add(
        Op.GATHER,
        df.GatherAttrs(lanes, 0),
        [*dealt[:lanes], None],
        [f"{kind} i:0 j:{domain}"],
    )
    return out


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_hazard_h14_uneven_lanes_come_together_unchanged(
    lanes: int, absent: bool, engine: str
) -> None:
    assert_simulates(dealt(lanes, absent=absent), engine)


def softmax_rows(columns: int) -> DataflowProgram:
    """A softmax over dense rows, as one kernel."""
    scores = np.arange(2 * columns).reshape(2, columns) % 5
    graph = make_graph(softmax("S"), {"S": scores}, references=True)
    program = fuse(graph, FuseOptions(Strategy.FULL))
    assert len(program.kernels) == 1
    np.testing.assert_allclose(run_program(program)["P"].sum(axis=1), 1, rtol=1e-6)
    return program


def completes(program: DataflowProgram, engine: str) -> Iterator[bool]:
    for capacity in range(1, 64):
        timing = TimingConfig(capacity=capacity)
        report = simulate(program, HardwareConfig(timing), engine=engine, check=True)
        assert report.complete == (report.deadlock is None)
        assert not report.complete or report.check.passed
        yield report.complete


@pytest.mark.parametrize("engine", ENGINES)
def test_hazard_h15_channel_shorter_than_a_row_is_a_reported_deadlock(engine: str) -> None:
    row = 8
    done = list(completes(softmax_rows(row), engine))
    least = done.index(True) + 1
    assert least == row + 1
    assert all(done[least - 1 :])
    timing = TimingConfig(capacity=row)
    deadlock = simulate(softmax_rows(row), HardwareConfig(timing), engine=engine).deadlock
    assert deadlock is not None
    assert deadlock.blocked


@pytest.mark.parametrize("engine", ENGINES)
def test_hazard_h15_derived_depths_hold_a_row(engine: str) -> None:
    hardware = HardwareConfig(TimingConfig(auto_capacity=True))
    report = simulate(softmax_rows(8), hardware, engine=engine, check=True)
    assert report.check.passed
    capacities = [stream.capacity for kernel in report.kernels for stream in kernel.streams]
    assert None not in capacities
    assert max(c for c in capacities if c is not None) >= 9
