# SPDX-License-Identifier: MIT
"""Seeded weights for any module: untrained, pruned at random, the same on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fuseflow.models.draws import CounterStream, draw_eighths, draw_kept

if TYPE_CHECKING:
    from torch import nn

__all__ = ["set_weights"]


def set_weights(
    module: nn.Module, seed: int, *, density: float = 1.0, scale_by_inputs: bool = False
) -> None:
    """Overwrite every parameter of `module` in place, each from a stream of its own name.

    Values are non-zero multiples of 1/8 from -1 to 1. Of a matrix the share `density` is kept and
    the rest is exactly zero, as after pruning made permanent; vectors stay dense. With
    `scale_by_inputs` a matrix is divided by the power of two near the square root of its number of
    inputs, so that its outputs are about as large as its inputs.
    """
    import torch

    for name, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        values = draw_eighths(CounterStream(seed, name), shape)
        if parameter.dim() > 1:
            values *= draw_kept(CounterStream(seed, f"{name}/kept"), shape, density)
            if scale_by_inputs:
                values *= np.float32(2.0 ** -round(math.log2(shape[-1]) / 2))
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values))
