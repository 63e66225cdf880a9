"""Models as people write them, exported to ONNX by both exporters of torch.

They are the same work as from the module, and the whole pipe computes what the runtime does.
"""

from __future__ import annotations

import contextlib
import io
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
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.sim import simulate
from tests.models_matrix import MODELS as MATRIX
from tests.models_matrix import Example
from tests.models_users import USER_MODELS

pytestmark = pytest.mark.slow

MODELS = {**MATRIX, **USER_MODELS}
# The exporter computes once what these compute twice: the mean, and the mean in the deviation.
SHARED = ("pna",)


EXPORTERS = {"dynamo": 20, "legacy": 17}
"""The exporters, and the opset that each is asked for."""
# The older exporter fails on the first ones, whose layers take is_causal as a tensor when they are
# traced, and on the others, whose scatter fills with a tensor.
NOT_BY_LEGACY = (
    "encoder", "encoder-norm-first", "encoder-length-first", "encoder-causal", "decoder",
    "edge-conv", "pna",
)  # fmt: skip


def exported(
    example: Example, folder: Path, exporter: str = "dynamo"
) -> tuple[Path, dict[str, str]]:
    """Export a model as its users do; return the file and its operands."""
    path, talk = folder / "model.onnx", io.StringIO()
    with contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
        torch.onnx.export(
            example.module().eval(), example.args, str(path), kwargs=dict(example.kwargs),
            dynamo=exporter == "dynamo", opset_version=EXPORTERS[exporter], verbose=False,
        )  # fmt: skip
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


def pairs() -> list[Any]:
    """Yield every model with every exporter that can write it."""
    return [
        (name, exporter)
        for name in MODELS
        for exporter in EXPORTERS
        if exporter == "dynamo" or name not in NOT_BY_LEGACY
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "exporter"), pairs())
def test_the_pipe_computes_what_the_runtime_does(name: str, exporter: str, tmp_path: Path) -> None:
    path, bindings = exported(MODELS[name], tmp_path, exporter)
    graph = import_onnx(path, ImportOptions(bindings=bindings, check=True))
    report = simulate(fuse(graph, FuseOptions(Strategy("layer"))), check=True)
    assert report.check.performed
    assert report.check.passed
