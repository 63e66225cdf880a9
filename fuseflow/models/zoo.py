# SPDX-License-Identifier: MIT
"""The reference models by name, built from settings given as text.

Names, settings and descriptions are known without torch; it is imported when a model is built.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fuseflow.errors import UsageError
from fuseflow.models.case import ModelCase, seeded_torch
from fuseflow.models.options import AutoencoderSettings, GptSettings, GraphModelSettings
from fuseflow.models.settings import Parameter, nearest, parameters_of, read_settings

__all__ = ["build", "describe", "names", "parameters"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """`module` has a function ``build(settings) -> ModelCase`` for that type of settings."""

    module: str
    settings: type[Any]
    description: str


_ENTRIES = {
    "gcn": _Entry(
        "fuseflow.models.gcn", GraphModelSettings, "two-layer graph convolutional network"
    ),
    "graphsage": _Entry(
        "fuseflow.models.graphsage", GraphModelSettings, "two-layer GraphSAGE, sum aggregation"
    ),
    "sae": _Entry(
        "fuseflow.models.autoencoder", AutoencoderSettings, "autoencoder with pruned weights"
    ),
    "gpt": _Entry(
        "fuseflow.models.gpt", GptSettings, "GPT-3-like decoder with a BigBird attention mask"
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of the models."""
    return tuple(_ENTRIES)


def describe(name: str) -> str:
    """Say in a few words what a model is; raises UsageError for an unknown name."""
    return _entry(name).description


def parameters(name: str) -> tuple[Parameter, ...]:
    """Return the settings of a model; raises UsageError for an unknown name."""
    return parameters_of(_entry(name).settings)


def build(name: str, settings: Mapping[str, str]) -> ModelCase:
    """Build a model; settings that are left out have their defaults.

    Raises UsageError for an unknown name or setting, a value that does not fit, or a missing torch;
    ModelError for a graph file with wrong content.
    """
    entry = _entry(name)
    values = read_settings(entry.settings, settings, f"zoo:{name}")
    # Fresh modules draw initial weights; the caller's random numbers must not move with them.
    with seeded_torch(f"zoo:{name}"):
        case: ModelCase = importlib.import_module(entry.module).build(values)
    return case


def _entry(name: str) -> _Entry:
    if name not in _ENTRIES:
        raise UsageError(
            "U101 unknown-model", f'the zoo has no model "{name}"', fix=nearest(name, _ENTRIES)
        )
    return _ENTRIES[name]
