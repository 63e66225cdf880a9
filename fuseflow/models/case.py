# SPDX-License-Identifier: MIT
"""What every source of models returns: a module, the inputs it runs on, and what to say of them.

Not here: how a model is built or exported.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuseflow.errors import Location, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ModelCase", "freeze", "input_names_of", "require_dense_size", "seeded_torch"]

_DENSE_LIMIT_BYTES = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class ModelCase:
    """A frozen module in eval mode with the real inputs that it is to run on.

    `input_names` names `args` one by one. `formats` maps an input name, or the qualified name of a
    parameter or buffer, to the level formats that its values do not tell, such as
    ``"compressed,compressed"`` for an adjacency matrix that is an input.
    """

    name: str
    module: nn.Module
    args: tuple[Tensor, ...]
    input_names: tuple[str, ...]
    formats: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        if len(self.args) != len(self.input_names):
            raise ValueError(f"{len(self.args)} inputs have {len(self.input_names)} names")


def freeze(module: nn.Module) -> nn.Module:
    """Put `module` in eval mode, without gradients, in place; return it."""
    return module.eval().requires_grad_(False)


def input_names_of(module: nn.Module, count: int) -> tuple[str, ...]:
    """Return the names of the first `count` positional parameters of `module.forward`.

    Where `forward` takes ``*args`` the remaining inputs are called ``input_<position>``.
    """
    named = [
        parameter.name
        for parameter in inspect.signature(module.forward).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return (*named[:count], *(f"input_{position}" for position in range(len(named), count)))


@contextlib.contextmanager
def seeded_torch(owner: str) -> Iterator[None]:
    """Run a block with torch's random numbers started from one seed, then put them back.

    Raises UsageError if torch is not installed; `owner`, which needs it, is named.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UsageError(
            "U107 no-torch",
            "needs PyTorch, which is not installed",
            where=Location(node=owner),
            fix="pip install 'fuseflow[torch]'",
        ) from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def require_dense_size(what: str, rows: int, columns: int) -> None:
    """Raise UsageError if a dense f32[rows, columns] is larger than a model may hold (2 GiB)."""
    size = 4 * rows * columns
    if size > _DENSE_LIMIT_BYTES:
        raise UsageError(
            "U105 too-large",
            f"{what} ({rows} x {columns}) would take {size / 2**30:.1f} GiB as a dense tensor, "
            f"more than {_DENSE_LIMIT_BYTES / 2**30:.0f} GiB",
            fix="choose a smaller size",
        )
