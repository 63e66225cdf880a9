"""Models as people write them, exported to ONNX by torch: the same work as from the module."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.utils._pytree import tree_leaves

from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph
from tests.models_matrix import MODELS as MATRIX
from tests.models_matrix import Example
from tests.models_users import USER_MODELS

pytestmark = pytest.mark.slow

MODELS = {**MATRIX, **USER_MODELS}
# The exporter computes once what these compute twice: the mean, and the mean in the deviation.
SHARED = ("pna",)


def exported(example: Example, folder: Path) -> tuple[Path, dict[str, str]]:
    """Export a model as its users do; return the file and its operands."""
    path = folder / "model.onnx"
    program: Any = torch.onnx.export(
        example.module().eval(), example.args, kwargs=dict(example.kwargs), dynamo=True,
        opset_version=20, verbose=False,
    )  # fmt: skip
    program.save(path)
    tensors = [
        each
        for each in tree_leaves((example.args, dict(example.kwargs)))
        if isinstance(each, torch.Tensor)
    ]
    bindings = {}
    for value, tensor in zip(onnx.load(path).graph.input, tensors, strict=True):
        bindings[value.name] = str(folder / f"{value.name}.npy")
        np.save(bindings[value.name], tensor.numpy())
    return path, bindings


def products(graph: EinsumGraph) -> list[int]:
    """The sizes of all sums of products, which no exporter may change."""
    sizes = graph.index_sizes()
    work = [op for op in graph.einsums if op.fn == "mul" and op.reduce == "add"]
    return sorted(math.prod(sizes[index] for index in op.indices) for op in work)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_work_from_its_file(name: str, tmp_path: Path) -> None:
    path, bindings = exported(MODELS[name], tmp_path)
    graph = import_onnx(path, ImportOptions(bindings=bindings, check=True))
    example = MODELS[name]
    direct = import_torch(example.module(), example.args, example.kwargs)
    found, expected = products(graph), products(direct)
    if name in SHARED:
        found, expected = sorted(set(found)), sorted(set(expected))
    assert found == expected != []
