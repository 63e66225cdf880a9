"""Random programs return from ComalGraphs as they were, or are refused with node and reason."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fuseflow.errors import InterchangeError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.exporter import export_comal
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.schema import DIALECTS
from fuseflow.interop.graphs.operands import FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.tensor import Tensor
from fuseflow.sim import simulate
from fuseflow.sim.assemble import assemble
from fuseflow.sim.build import build_machine
from tests.sim.simulators import load
from tests.strategies import GraphShape, einsum_graphs

FAMILIES = {
    "short": GraphShape(max_ops=3),
    "matrices": GraphShape(max_ops=4, max_rank=2, extents=(1, 3, 4)),
    "cubes": GraphShape(max_ops=3, max_rank=3, extents=(1, 2, 3)),
    "empty": GraphShape(max_ops=3, extents=(0, 1, 2)),
    "filled": GraphShape(max_ops=3, extents=(2, 3), fills=(0.5, -1.0)),
}
EXAMPLES = 12
# What a remark says of a kernel that others cannot run, or not with our values.
DIFFERS = ("other values there", "no simulator there", "a maximum of nothing")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_random_kernels_keep_their_values(family: str, dialect: str) -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(einsum_graphs(FAMILIES[family]))
    def check(graph: EinsumGraph) -> None:
        for strategy in (Strategy.UNFUSED, Strategy.FULL):
            for outcome in trips(fuse(graph, FuseOptions(strategy)), dialect):
                outcomes[outcome] += 1

    check()
    assert outcomes["travelled"] > 0


def trips(program: DataflowProgram, dialect: str) -> list[str]:
    """Send every kernel on its own; return what became of each."""
    outcomes = []
    tensors = dict(program.tensors)
    for kernel in program.kernels:
        names = {*kernel.tensors_read(), *kernel.tensors_written()}
        single = {name: value for name, value in tensors.items() if name in names}
        machine = build_machine(kernel, tensors, HardwareConfig())
        result = load("engine")(machine)
        made = assemble(machine, result, tensors)
        single = DataflowProgram(kernel.name, single, [kernel])
        outcomes.append(trip(single, dialect, result.elapsed, made))
        for name, tensor in made.items():
            tensors[name] = replace(tensors[name], tensor=tensor)
    return outcomes


def trip(program: DataflowProgram, dialect: str, cycles: int, results: Mapping[str, Tensor]) -> str:
    """Send one kernel; what returns is equal, what others see if no remark says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            remarks = export_comal(program, Path(folder), dialect)
        except InterchangeError as error:
            unnamed = [
                item for item in error.findings if item.rule != "X004" or not item.where.node
            ]
            if unnamed:
                raise
            return "refused"
        (kernel,) = Path(folder).iterdir()
        operands = FolderOperands(TensorFolder(kernel / "data"))
        again = import_comal(kernel, operands)
        assert check_results(again, results) == cycles
        if any(words in remark for remark in remarks for words in DIFFERS):
            return "returned"
        check_results(import_comal(kernel, operands, plain=True), results)
    return "travelled"


def check_results(program: DataflowProgram, results: Mapping[str, Tensor]) -> int:
    report = simulate(program)
    assert {value.name for value in report.outputs} == set(results)
    for value in report.outputs:
        assert value.tensor is not None
        wanted = results[value.name]
        np.testing.assert_array_equal(value.tensor.coordinates(), wanted.coordinates())
        np.testing.assert_allclose(value.tensor.values, wanted.values, rtol=1e-5)
    return report.totals.cycles
