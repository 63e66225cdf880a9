# SPDX-License-Identifier: MIT
"""OpGraph -> EinsumGraph: rewrites, index algebra, einsum building and formats, in this order."""

from __future__ import annotations

from fuseflow.frontend.ops import OpGraph
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph

__all__ = ["lower_to_einsums"]


def lower_to_einsums(graph: OpGraph, options: ImportOptions | None = None) -> EinsumGraph:
    """Turn a graph of tensor operators into einsums over named indices.

    Raises:
        ModelError: if an operator cannot be spelled as einsums (rules I010 to I019), or a format
            does not fit its tensor (I020).
    """
    raise NotImplementedError
