# SPDX-License-Identifier: MIT
"""An autoencoder whose weights are pruned without structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fuseflow.models.case import ModelCase, freeze, require_dense_size
from fuseflow.models.draws import CounterStream, draw_eighths
from fuseflow.models.options import AutoencoderSettings
from fuseflow.models.weights import set_weights

__all__ = ["Autoencoder", "Decoder", "Encoder", "build"]


class Encoder(nn.Module):
    """``relu(x @ W + b)``."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, hidden)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map samples [batch, inputs] to codes [batch, hidden]."""
        code: Tensor = self.activation(self.linear(x))
        return code


class Decoder(nn.Module):
    """``code @ W + b``."""

    def __init__(self, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, outputs)

    def forward(self, code: Tensor) -> Tensor:
        """Map codes [batch, hidden] to samples [batch, outputs]."""
        sample: Tensor = self.linear(code)
        return sample


class Autoencoder(nn.Module):
    """An encoder to a short code and a decoder back to the length of the input."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.encoder = Encoder(inputs, hidden)
        self.decoder = Decoder(hidden, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map samples [batch, inputs] to their reconstructions of the same shape."""
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction


def build(settings: AutoencoderSettings) -> ModelCase:
    """Build the autoencoder with pruned weights and fully populated random samples.

    Raises UsageError where a tensor would be too large.
    """
    require_dense_size("a weight matrix", settings.hidden, settings.input)
    require_dense_size("the input", settings.batch, settings.input)
    module = Autoencoder(settings.input, settings.hidden)
    set_weights(module, settings.seed, density=1.0 - settings.weight_sparsity)
    samples = draw_eighths(CounterStream(settings.seed, "x"), (settings.batch, settings.input))
    return ModelCase(
        name="sae",
        module=freeze(module),
        args=(torch.from_numpy(samples),),
        input_names=("x",),
        description=f"pruned autoencoder {settings.input}-{settings.hidden}-{settings.input}, "
        f"batch {settings.batch}, weight sparsity {settings.weight_sparsity:g}, "
        f"seed {settings.seed}",
    )
