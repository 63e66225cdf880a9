"""Random programs travel as ComalGraphs with their values, or are refused with node and reason."""

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from fuseflow.errors import Finding, InterchangeError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.exporter import export_comal
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.schema import DIALECTS
from fuseflow.interop.graphs.operands import FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.hardware import HardwareConfig
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
        made = assemble(machine, load("engine")(machine), tensors)
        again, findings, lucky = travel(DataflowProgram(kernel.name, single, [kernel]), dialect)
        assert all(finding.rule == "X004" and finding.where.node for finding in findings)
        outcomes.append("refused" if again is None else "travelled")
        outputs = [] if again is None else simulate(again).outputs
        for value, wanted in zip(outputs, made.values(), strict=again is not None):
            assert value.tensor is not None
            np.testing.assert_array_equal(value.tensor.coordinates(), wanted.coordinates())
            if not lucky:  # there a maximum of nothing is 0, which a remark says
                np.testing.assert_allclose(value.tensor.values, wanted.values, rtol=1e-5)
        for name, tensor in made.items():
            tensors[name] = replace(tensors[name], tensor=tensor)
    return outcomes


def travel(
    program: DataflowProgram, dialect: str
) -> tuple[DataflowProgram | None, tuple[Finding, ...], bool]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            remarks = export_comal(program, Path(folder), dialect)
        except InterchangeError as error:
            return None, error.findings, False
        (kernel,) = Path(folder).iterdir()
        again = import_comal(kernel, FolderOperands(TensorFolder(kernel / "data")))
        return again, (), any("a maximum of nothing" in remark for remark in remarks)
