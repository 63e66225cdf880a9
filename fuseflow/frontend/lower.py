# SPDX-License-Identifier: MIT
"""OpGraph -> EinsumGraph: rewrites, index algebra, einsum building, formats and a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from fuseflow.errors import Finding, Location, ModelError
from fuseflow.frontend.einsums.builder import build_einsums
from fuseflow.frontend.fidelity import check_fidelity
from fuseflow.frontend.graph.composites import expand_composites, fold_numbers
from fuseflow.frontend.graph.masks import recognise_masks
from fuseflow.frontend.graph.ops import OpGraph
from fuseflow.frontend.graph.reshapes import move_reshaped
from fuseflow.frontend.graph.rewrite import prune
from fuseflow.frontend.graph.segments import join_segments
from fuseflow.frontend.graph.slices import resolve_slices
from fuseflow.frontend.messages.rewrite import rewrite_messages
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.formats import store_operands
from fuseflow.ir.einsum import EinsumGraph

__all__ = ["lower_to_einsums"]


def lower_to_einsums(
    graph: OpGraph,
    options: ImportOptions | None = None,
    formats: Mapping[str, str] | None = None,
) -> EinsumGraph:
    """Turn a graph of tensor operators into einsums over named indices.

    Args:
        graph: the operators; it is not changed.
        options: what the user asks for.
        formats: format texts that come with the model, by tensor name or glob; the user's win.

    Raises:
        ModelError: if an operator cannot be spelled as einsums (I010 to I015), or a format does
            not fit its tensor (I021), or the einsums compute something else than the framework
            (I022).
    """
    options = options or ImportOptions()
    graph = rewrite_messages(join_segments(prune(graph)))
    _refuse_empty(graph)
    graph = resolve_slices(move_reshaped(graph))
    graph = fold_numbers(recognise_masks(graph))
    graph = expand_composites(graph, options.empty_rows)
    result, operands = build_einsums(graph)
    store_operands(result, operands, options, formats or {})
    check_fidelity(result, options.check, zero_rows=options.empty_rows == "zero")
    return result


def _refuse_empty(graph: OpGraph) -> None:
    findings = [
        Finding(
            "I011 empty-tensor",
            f"shape {value.shape} has no elements",
            Location(field=value.label or value.name),
        )
        for value in graph.values.values()
        if not value.size
    ]
    if findings:
        raise ModelError.from_findings(findings)
