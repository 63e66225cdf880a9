# SPDX-License-Identifier: MIT
"""The hook for Python programs: a module and its inputs -> EinsumGraph, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.sidecar import read_sidecar
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["export"]


def export(
    model: nn.Module,
    args: Tensor | Sequence[Any],
    sidecar: str | Path | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    name: str = "",
    options: ImportOptions | None = None,
) -> EinsumGraph:
    """Turn a PyTorch module into an einsum graph, as ``ff-import`` does.

    Unlike a file, this keeps what the tensors themselves know: sparse layouts of inputs, buffers
    and parameters, masks of pruning, block masks of flex_attention.

    Args:
        model: any module; it is copied, put in eval mode, and not changed.
        args: the inputs that the graph is for: one tensor, or the positional arguments.
        sidecar: a YAML file that says how tensors are stored and where their data are.
        kwargs: keyword arguments of `forward`.
        name: name of the graph; that of the module's class by default.
        options: everything else that ``ff-import`` offers.

    Returns:
        The graph, compared with what the module computes unless that is much work.

    Raises:
        UsageError: if a file does not exist, or an option does not fit the model.
        ModelError: if the module does not run, cannot be exported or expressed.

    Example::

        graph = fuseflow.export(model, (adjacency.to_sparse_csr(), features))
    """
    import torch

    options = options or ImportOptions()
    if sidecar is not None:
        options = replace(options, sidecar=options.sidecar + read_sidecar(sidecar))
    positional = (args,) if isinstance(args, torch.Tensor) else tuple(args)
    title = name or type(model).__name__
    return import_torch(model, positional, kwargs, name=title, options=options)
