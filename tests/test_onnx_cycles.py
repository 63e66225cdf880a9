"""A model costs the same whether it comes as a module or as the ONNX file exported from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.report import KernelStats, SimulationReport, Totals
from fuseflow.ir.schedule import PRESETS
from fuseflow.models import zoo
from fuseflow.sim import simulate
from tests.frontend.onnx.export import export_case

SETTINGS: dict[str, dict[str, str]] = {
    "gcn": {"graph": "powerlaw", "nodes": "24", "edges": "80", "features": "12", "hidden": "6"},
    "graphsage": {"graph": "powerlaw", "nodes": "24", "edges": "80", "features": "12"},
    "sae": {"input": "32", "hidden": "8", "batch": "3"},
    "gpt": {
        "seq": "16",
        "dim": "16",
        "heads": "2",
        "ffn": "32",
        "block": "4",
        "random_blocks": "1",
    },
}


def _run(graph: EinsumGraph, strategy: Strategy) -> SimulationReport:
    report = simulate(fuse(graph, FuseOptions(strategy=strategy)), check=True)
    assert report.check.passed
    return report


def _costs(kernel: KernelStats) -> tuple[int, int, int, int, int]:
    return (
        kernel.cycles,
        kernel.tokens,
        kernel.flops,
        kernel.dram_read_bytes,
        kernel.dram_write_bytes,
    )


@pytest.mark.parametrize("road", ["dynamo-20", "legacy-17"])
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_onnx_file_takes_the_cycles_of_its_module(name: str, road: str, tmp_path: Path) -> None:
    case = zoo.build(name, SETTINGS[name])
    exported = export_case(case, road, tmp_path)
    options = ImportOptions(bindings=exported.bindings)
    from_file = import_onnx(exported.path, options, exported.formats)
    direct = import_torch(
        case.module, case.args, input_names=case.input_names, formats=case.formats
    )
    for strategy in PRESETS:
        theirs, ours = _run(direct, strategy), _run(from_file, strategy)
        # Tensors within a model are named differently; what they cost is the same.
        assert _unnamed(ours.totals) == _unnamed(theirs.totals)
        assert list(map(_costs, ours.kernels)) == list(map(_costs, theirs.kernels))


def _unnamed(totals: Totals) -> tuple[Totals, list[tuple[int, int]]]:
    """Sums, and the traffic of each tensor without its name."""
    traffic = sorted((part.read_bytes, part.write_bytes) for part in totals.tensors)
    return replace(totals, tensors=()), traffic
