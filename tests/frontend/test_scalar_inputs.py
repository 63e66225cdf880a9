# SPDX-License-Identifier: MIT
"""Inputs without dimensions are values like any other, not constants that were folded away."""

import numpy as np
import torch
from torch import nn

from fuseflow.frontend import import_torch
from fuseflow.fusion import FuseOptions, fuse
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.schedule import PRESETS
from fuseflow.sim import simulate


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return x / s


def test_hazard_h28_division_by_a_scalar_input() -> None:
    x = torch.tensor([[1.0, -2.0], [0.5, 4.0]])
    graph = import_torch(Scaled(), (x, torch.tensor(8.0)), input_names=("x", "s"))
    (result,) = evaluate_outputs(graph).values()
    np.testing.assert_array_equal(result, x.numpy() / 8)
    for strategy in PRESETS:
        assert simulate(fuse(graph, FuseOptions(strategy)), check=True).check.passed
