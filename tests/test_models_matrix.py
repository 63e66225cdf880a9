"""Models as people write them run through the whole pipe, and compute what PyTorch does."""

from __future__ import annotations

from functools import cache

import pytest

from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import PRESETS
from fuseflow.sim import simulate
from tests.models_matrix import MODELS as MATRIX
from tests.models_users import USER_MODELS

MODELS = {**MATRIX, **USER_MODELS}
# Each of the others takes seconds to export.
QUICK = {*MATRIX, "bert", "llama-block", "jump-relu", "pna", "vision-block"}


@cache
def imported(name: str) -> EinsumGraph:
    """Import once for all strategies; nothing after it changes a graph."""
    example = MODELS[name]
    options = ImportOptions(check=True)
    return import_torch(example.module(), example.args, example.kwargs, name=name, options=options)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in MODELS],
)
def test_a_model_imports_and_agrees_with_torch(name: str) -> None:
    assert all(output.reference is not None for output in imported(name).outputs)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", PRESETS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_runs_fused_and_agrees_with_torch(name: str, strategy: Strategy) -> None:
    report = simulate(fuse(imported(name), FuseOptions(strategy)), check=True)
    assert report.check.performed
    assert report.check.failures == ()
    assert report.check.passed
