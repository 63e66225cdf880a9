"""Every kernel of the reference models travels as a ComalGraph and returns as it was.

What others see of it has the same values, unless a remark says otherwise, and nearly the same
cycles: the primitives that a rewriting puts in cost a little more or less.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.exporter import export_comal
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.schema import DIALECTS
from fuseflow.interop.graphs.operands import FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.tensor import Tensor
from fuseflow.sim import simulate
from fuseflow.sim.assemble import assemble
from fuseflow.sim.build import build_machine
from tests.interop.zoo import graph_of
from tests.sim.simulators import load

KERNELS = {
    ("gcn", Strategy.UNFUSED): 8,
    ("gcn", Strategy.LAYER): 2,
    ("gcn", Strategy.FULL): 1,
    ("graphsage", Strategy.UNFUSED): 14,
    ("graphsage", Strategy.LAYER): 2,
    ("graphsage", Strategy.FULL): 1,
    ("sae", Strategy.UNFUSED): 5,
    ("sae", Strategy.LAYER): 2,
    ("sae", Strategy.FULL): 1,
    ("gpt", Strategy.UNFUSED): 22,
    ("gpt", Strategy.LAYER): 4,
    ("gpt", Strategy.FULL): 2,
}
# Read as other tools do, rewritten kernels differ by a few cycles of start-up, whatever their size.
SLACK = 12
# What a remark says of a kernel that others cannot run, or not with our values.
DIFFERS = ("other values there", "no simulator there", "a maximum of nothing")


def single_kernels(
    program: DataflowProgram,
) -> Iterator[tuple[DataflowProgram, int, dict[str, Tensor]]]:
    """Yield every kernel as a program of its own, with its operands, cycles and results."""
    tensors = dict(program.tensors)
    for kernel in program.kernels:
        names = {*kernel.tensors_read(), *kernel.tensors_written()}
        single = {name: value for name, value in tensors.items() if name in names}
        machine = build_machine(kernel, tensors, HardwareConfig())
        result = load("engine")(machine)
        made = assemble(machine, result, tensors)
        yield DataflowProgram(kernel.name, single, [kernel]), result.elapsed, made
        for name, tensor in made.items():
            tensors[name] = replace(tensors[name], tensor=tensor)


def travel(
    program: DataflowProgram, folder: Path, dialect: str
) -> tuple[DataflowProgram, tuple[str, ...]]:
    remarks = export_comal(program, folder, dialect)
    return read_again(folder), remarks


def read_again(folder: Path, *, plain: bool = False) -> DataflowProgram:
    (kernel,) = (path for path in folder.iterdir() if path.name != "again")
    operands = FolderOperands(TensorFolder(kernel / "data"))
    return import_comal(kernel, operands, plain=plain)


def assert_computes(program: DataflowProgram, results: Mapping[str, Tensor]) -> int:
    """Check the outputs of a program of one kernel; return its cycles."""
    report = simulate(program)
    assert len(report.outputs) == len(results)
    for value in report.outputs:
        assert value.tensor is not None
        wanted = results[value.name]
        np.testing.assert_allclose(value.tensor.values, wanted.values, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(value.tensor.coordinates(), wanted.coordinates())
    return report.totals.cycles


def wiring(program: DataflowProgram) -> list[Any]:
    return [(node.op, node.inputs, node.outputs, node.attrs) for _, node in program.nodes()]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("name", "strategy"), KERNELS)
def test_every_kernel_returns_as_it_was(
    tmp_path: Path, name: str, strategy: Strategy, dialect: str
) -> None:
    program = fuse(graph_of(name), FuseOptions(strategy))
    count = 0
    for single, elapsed, results in single_kernels(program):
        again, _ = travel(single, tmp_path / f"{count}", dialect)
        assert wiring(again) == wiring(single)
        assert assert_computes(again, results) == elapsed
        count += 1
    assert count == KERNELS[name, strategy]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "strategy"), KERNELS)
def test_other_tools_see_the_same_values_where_no_remark_says_otherwise(
    tmp_path: Path, name: str, strategy: Strategy
) -> None:
    program = fuse(graph_of(name), FuseOptions(strategy))
    for number, (single, elapsed, results) in enumerate(single_kernels(program)):
        for dialect in DIALECTS:
            folder = tmp_path / f"{number}{dialect}"
            _, remarks = travel(single, folder, dialect)
            if any(words in remark for remark in remarks for words in DIFFERS):
                continue
            seen = read_again(folder, plain=True)
            cycles = assert_computes(seen, results)
            assert abs(cycles - elapsed) <= SLACK
            again, _ = travel(seen, folder / "again", dialect)
            assert simulate(again).totals.cycles == cycles
