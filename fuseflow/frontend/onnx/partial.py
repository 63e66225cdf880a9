# SPDX-License-Identifier: MIT
"""Cuts an ONNX model in front of the operators that are not supported.

What is left computes the values that these would have read, and the outputs of the model that do
not need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.operators import Unsupported

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["cut"]


def cut(model: OnnxFile, found: Unsupported) -> list[str]:
    """Remove from `model` what was found and all behind it; return a note on each finding.

    Raises a ModelError of the findings if nothing is left.
    """
    if not found.findings:
        return []
    graph = model.proto.graph
    kept, frontier = _split(graph, found)
    if not frontier:
        raise ModelError.from_findings(found.findings)
    del graph.node[:]
    graph.node.extend(kept)
    del graph.output[:]
    for name in frontier:
        graph.output.add(name=name)
    model.is_part = True
    return [f"left out: {finding.message}" for finding in found.findings]


def _split(graph: onnx.GraphProto, found: Unsupported) -> tuple[list[onnx.NodeProto], list[str]]:
    """Return the nodes that stay, and the computed values that are read by others or asked for."""
    lost: set[str] = set()
    kept: list[onnx.NodeProto] = []
    read: list[str] = []
    for place, node in enumerate(graph.node):
        if place in found.places or lost.intersection(node.input):
            lost.update(node.output)
            read += node.input
        else:
            kept.append(node)
    read += [output.name for output in graph.output]
    computed = {name for node in kept for name in node.output if name} - found.known
    return kept, [name for name in dict.fromkeys(read) if name in computed]
