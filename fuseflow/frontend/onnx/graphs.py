# SPDX-License-Identifier: MIT
"""Walks over the graphs of an ONNX model, which may lie inside of nodes of other graphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["all_nodes", "inner_graphs", "subgraphs", "with_inner"]


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node carries: branches and bodies."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes and those of the graphs inside of them, in no particular order."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for graph in subgraphs(node):
            waiting += graph.node


def all_nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of all graphs of a model and of its own functions."""
    yield from with_inner(proto.graph.node)
    for function in proto.functions:
        yield from with_inner(function.node)


def inner_graphs(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield all branches and bodies of a model."""
    for node in all_nodes(proto):
        yield from subgraphs(node)
