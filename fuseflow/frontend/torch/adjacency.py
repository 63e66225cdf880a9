# SPDX-License-Identifier: MIT
"""Sparse adjacencies that a layer takes apart: the same model on the list of their edges.

Layers of torch_geometric take either, and add loops and normalise inside of forward, which torch
can export for a list of edges alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.torch.export import run_eager
from fuseflow.frontend.torch.inputs import InputRecord, ModuleInputs

if TYPE_CHECKING:
    from torch import nn

__all__ = ["with_edges"]


def with_edges(
    module: nn.Module, inputs: ModuleInputs, expected: Sequence[npt.NDArray[np.float32]]
) -> ModuleInputs | None:
    """Return the inputs with lists of edges, i64[2, E], in place of sparse adjacencies.

    Entry (i, j) is the edge from j to i. None if there is no square matrix whose entries are all
    1, or if the module computes something else than `expected` on the lists.
    """
    records = tuple(map(_listed, inputs.records))
    if all(new is old for new, old in zip(records, inputs.records, strict=True)):
        return None
    changed = replace(inputs, records=records)
    try:
        found = run_eager(module, *changed.arguments())
    except ModelError:
        return None
    same = len(found) == len(expected) and all(
        a.shape == b.shape and np.allclose(a, b, 1e-4, 1e-5, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )
    return changed if same else None


def _listed(record: InputRecord) -> InputRecord:
    import torch

    matrix: Any = record.data
    if matrix is None or matrix.layout == torch.strided or matrix.dim() != 2:
        return record
    listed = matrix.to_sparse(layout=torch.sparse_coo).coalesce()
    if matrix.shape[0] != matrix.shape[1] or bool((listed.values() != 1).any()):
        return record
    remark = f"{record.name}: forward takes it apart, so it is read as the list of its edges"
    edges = listed.indices().flip(0).contiguous()
    return InputRecord(record.name, edges, remarks=(*record.remarks, remark))
