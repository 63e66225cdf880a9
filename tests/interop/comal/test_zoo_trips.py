"""Kernels of the reference models travel as ComalGraphs, or are refused by name.

Values are the same behind a trip. Cycles are those of what was written: the primitives that a
rewriting puts in cost a little more or less, and from then on a graph travels without any change.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import InterchangeError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.exporter import export_comal
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.schema import LATEST, PUBLIC
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

pytest.importorskip("torch")

GRAPH = {"graph": "powerlaw", "nodes": "24", "features": "8", "hidden": "4"}
MODELS = {
    "gcn": GRAPH,
    "graphsage": GRAPH,
    "sae": {"input": "16", "hidden": "8", "batch": "3"},
    "gpt": {"seq": "16", "dim": "8", "heads": "2", "ffn": "16", "block": "4"},
}
# How many kernels of each model travel, of how many. Fewer is a loss; more is welcome, and belongs
# into the table of docs/interchange.md too.
TRAVEL = {
    ("gcn", Strategy.UNFUSED, LATEST): 8,
    ("gcn", Strategy.UNFUSED, PUBLIC): 6,
    ("gcn", Strategy.LAYER, LATEST): 2,
    ("gcn", Strategy.FULL, LATEST): 1,
    ("graphsage", Strategy.UNFUSED, LATEST): 14,
    ("graphsage", Strategy.UNFUSED, PUBLIC): 12,
    ("graphsage", Strategy.LAYER, LATEST): 2,
    ("graphsage", Strategy.FULL, LATEST): 1,
    ("sae", Strategy.UNFUSED, LATEST): 5,
    ("sae", Strategy.FULL, LATEST): 1,
    ("gpt", Strategy.UNFUSED, LATEST): 21,
}
REASONS = (
    "cannot express it", "takes what is missing for 0", "is needed as", "nothing tells the lists",
)  # fmt: skip
# Rewritten kernels differ by a few cycles of start-up, whatever their size.
SLACK = 12


@cache
def graph_of(name: str) -> EinsumGraph:
    from fuseflow.frontend.options import ImportOptions
    from fuseflow.frontend.torch_import import import_torch
    from fuseflow.models import zoo

    case = zoo.build(name, MODELS[name])
    return import_torch(
        case.module,
        case.args,
        name=case.name,
        input_names=case.input_names,
        formats=case.formats,
        options=ImportOptions(),
    )


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


def travel(program: DataflowProgram, folder: Path, dialect: str) -> DataflowProgram:
    export_comal(program, folder, dialect)
    (kernel,) = folder.iterdir()
    return import_comal(kernel, FolderOperands(TensorFolder(kernel / "data")))


@pytest.mark.parametrize(
    ("name", "strategy", "dialect"),
    [
        pytest.param(*key, id="-".join(key), marks=[pytest.mark.slow] if key[0] == "gpt" else [])
        for key in TRAVEL
    ],
)
def test_kernels_keep_their_values_and_cycles(
    tmp_path: Path, name: str, strategy: Strategy, dialect: str
) -> None:
    program = fuse(graph_of(name), FuseOptions(strategy))
    travelled = 0
    for number, (single, elapsed, results) in enumerate(single_kernels(program)):
        try:
            once = travel(single, tmp_path / f"{number}", dialect)
        except InterchangeError as error:
            for finding in error.findings:
                assert finding.rule == "X004"
                assert finding.where.node
                assert any(reason in finding.message for reason in REASONS), finding
            continue
        report = simulate(once)
        for value in report.outputs:
            assert value.tensor is not None
            wanted = results[value.name]
            np.testing.assert_allclose(value.tensor.values, wanted.values, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(value.tensor.coordinates(), wanted.coordinates())
        assert abs(report.totals.cycles - elapsed) <= SLACK
        twice = travel(once, tmp_path / f"{number}_again", dialect)
        assert simulate(twice).totals.cycles == report.totals.cycles
        travelled += 1
    assert travelled == TRAVEL[name, strategy, dialect]
