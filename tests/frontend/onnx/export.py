"""Exports a PyTorch module to an ONNX file, with its inputs beside it and bound to it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuseflow.models import ModelCase

ROADS = ("dynamo-18", "dynamo-20", "dynamo-23", "legacy-17")
"""Exporter and opset: what users of torch have."""


def roads(names: Sequence[str], quick: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return test parameters for every name and road; those not listed in `quick` are slow."""
    return [
        pytest.param(name, road, marks=[] if road in quick[name] else [pytest.mark.slow])
        for name in names
        for road in ROADS
    ]


@dataclass(frozen=True)
class ExportedModel:
    """A file, the files of its inputs, and the formats that came with the model, all by name."""

    path: Path
    bindings: dict[str, str]
    formats: dict[str, str] = field(default_factory=dict)


def export_case(case: ModelCase, road: str, folder: Path) -> ExportedModel:
    """Export a model of the zoo, or a user's own."""
    return export_module(case.module, case.args, case.input_names, road, folder, case.formats)


def export_module(
    module: nn.Module,
    args: Sequence[Tensor],
    names: Sequence[str],
    road: str,
    folder: Path,
    formats: Mapping[str, str] | None = None,
) -> ExportedModel:
    """Export `module` by one of `ROADS`; its inputs are called `names` in the file."""
    exporter, _, opset = road.partition("-")
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        # The exporters warn about each other and about packages that are not installed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(args),
            path,
            input_names=list(names),
            opset_version=int(opset),
            dynamo=exporter == "dynamo",
            verbose=False,
        )
    bindings = {}
    for name, tensor in zip(names, args, strict=True):
        np.save(folder / f"{name}.npy", tensor.to_dense().numpy())
        bindings[name] = str(folder / f"{name}.npy")
    return ExportedModel(path, bindings, dict(formats or {}))
