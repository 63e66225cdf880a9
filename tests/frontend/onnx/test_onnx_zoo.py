"""A model exported to ONNX gives the same einsums as the module that it was exported from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.verify_einsum import verify_einsum_graph
from fuseflow.models import zoo
from tests.frontend.onnx.build import assert_equals_reference
from tests.frontend.onnx.export import ROADS, ExportedModel, export_case, roads
from tests.frontend.onnx.structure import stored_data, structure

SETTINGS: dict[str, dict[str, str]] = {
    "gcn": {},
    "graphsage": {},
    "sae": {"input": "48", "hidden": "16", "batch": "4"},
    "gpt": {"seq": "32", "dim": "32", "ffn": "64", "layers": "2"},
}

QUICK = {
    "gcn": ("dynamo-20", "legacy-17"),
    "graphsage": ("legacy-17",),
    "sae": ("dynamo-20",),
    "gpt": ROADS,
}


def load(exported: ExportedModel) -> EinsumGraph:
    options = ImportOptions(bindings=exported.bindings)
    graph = import_onnx(exported.path, options, exported.formats)
    verify_einsum_graph(graph)
    return graph


@pytest.mark.parametrize(("name", "road"), roads(sorted(SETTINGS), QUICK))
def test_onnx_file_gives_the_same_einsums_as_the_module(
    name: str, road: str, tmp_path: Path
) -> None:
    case = zoo.build(name, SETTINGS[name])
    direct = import_torch(
        case.module, case.args, input_names=case.input_names, formats=case.formats
    )
    imported = load(export_case(case, road, tmp_path))
    assert list(structure(imported)) == list(structure(direct))
    for ours, theirs in zip(stored_data(imported), stored_data(direct), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert_equals_reference(imported)
    assert {parameter for parameter, _ in case.module.named_parameters()} <= set(imported.values)
