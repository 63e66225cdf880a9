# SPDX-License-Identifier: MIT
"""Sparse tensors whose dense form would take much memory: adjacencies of graphs, above all.

torch exports them as tensors of no memory that have their shape; their entries are read from the
tensors themselves. Not here: small ones, which are simply made dense.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fuseflow.frontend.graph.entries import Entries
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.frontend.torch.values import leaves, map_leaves, to_array

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["call_operator", "dense_form", "large_tensors", "with_content"]

# Elements of a dense matrix that nobody minds: 64 MiB of float32.
_LIMIT_ELEMENTS = 2**24


def is_large(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is a sparse matrix that must not be made dense."""
    is_sparse = _is_sparse(tensor) and tensor.dim() == 2 and not tensor.is_complex()
    return is_sparse and math.prod(tensor.shape) > _LIMIT_ELEMENTS


def large_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the large sparse parameters and buffers of a module by qualified name."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: tensor.detach() for name, tensor in tensors.items() if is_large(tensor)}


def dense_form(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in the dense layout; of a large one only shape and type are right."""
    import torch

    if is_large(tensor):
        return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
    return tensor.detach().to_dense()


def with_content(value: OpValue, tensor: torch.Tensor) -> OpValue:
    """Return a value with the data of a tensor, or with the entries of a large sparse one."""
    if is_large(tensor):
        return replace(value, entries=_entries(tensor))
    return replace(value, data=to_array(tensor))


def _entries(tensor: torch.Tensor) -> Entries:
    """Return the entries of a sparse matrix that are not 0."""
    import torch

    listed = tensor.detach().to_sparse(layout=torch.sparse_coo).coalesce()
    values = listed.values().to(torch.float32).cpu().numpy()
    coordinates = listed.indices().cpu().numpy().T.astype(np.int64)
    stored = values != 0
    return Entries(coordinates[stored], values[stored])


def call_operator(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call an operator of torch; on dense copies where it has no form for sparse operands."""
    try:
        return target(**arguments)
    except (NotImplementedError, RuntimeError):
        if not any(map(_is_sparse, leaves(arguments))):
            raise
    return target(**map_leaves(_densified, arguments))


def _densified(part: Any) -> Any:
    return part.detach().to_dense() if _is_sparse(part) else part


def _is_sparse(part: Any) -> bool:
    import torch

    return isinstance(part, torch.Tensor) and part.layout != torch.strided
