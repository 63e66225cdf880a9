# SPDX-License-Identifier: MIT
"""What SAM's compiler spells differently is rewritten to the primitives that both sides share.

In this order: signal generators are folded into their repeats; a reduction in front of an
accumulator, which would take away the list that the accumulator combines, is left out;
accumulators that expect points (each value with all its coordinates, made by coordinate holds) get
the streams in their natural shapes.
"""

from __future__ import annotations

from fuseflow.interop.sam.graph import Link, SamGraph, SamNode

__all__ = ["rewrite"]


def rewrite(graph: SamGraph) -> None:
    """Apply all rewrites in place.

    Raises:
        InterchangeError: X006 if ports that a rewrite needs are not connected.
    """
    for node in list(graph.nodes.values()):
        if node.type == "repsiggen":
            _fold_signal(graph, node)
    for node in list(graph.nodes.values()):
        if node.type == "spaccumulator":
            _drop_reduction(graph, node)
            _use_natural_streams(graph, node)
    for node in list(graph.nodes.values()):
        if node.type == "crdhold" and not graph.out_of(node):
            graph.remove(node)


def _fold_signal(graph: SamGraph, node: SamNode) -> None:
    """Let every repeat read the coordinates that its signal was made of."""
    read = graph.feeding(node, "crd")
    for link in graph.out_of(node):
        graph.links.append(Link(read.source, read.output, link.target, "signal", "crd"))
    graph.remove(node)


def _drop_reduction(graph: SamGraph, node: SamNode) -> None:
    link = graph.feeding(node, "val0")
    inner = graph.feeding(node, f"crd {node.get('in0')}")
    if link.source.type != "reduce":
        return
    reduction = link.source
    summed = graph.feeding(reduction, "val0")
    if _depth(graph, summed) != _depth(graph, inner):
        return
    link.source, link.output = summed.source, summed.output
    graph.remarks.append(f"{reduction.title} was left out: {node.title} combines what it would")
    graph.remove(reduction)


def _use_natural_streams(graph: SamGraph, node: SamNode) -> None:
    """Replace coordinates held over the values by the streams that they were held over."""
    order = int(node.get("order") or 1)
    outer = [f"crd {node.get(f'in{level}')}" for level in range(1, order + 1)]
    held = graph.feeding(node, outer[-1])
    if held.source.type != "crdhold":
        return
    chain = _chain_of_holds(graph, held)
    kept = chain[0].source, chain[0].output
    index = node.get(f"in{order}")
    for link in graph.out_of(node):
        if link.output == f"crd {index}":
            link.source, link.output = kept
    for link in graph.into(node):
        if link.input.startswith("crd"):
            graph.links.remove(link)
    # The innermost stream of the chain has one coordinate per value; the one before it is reduced.
    natural = list(reversed(chain[1:]))[: order + 1]
    if len(natural) != order + 1:
        raise graph.error("X006", node, "its coordinate holds do not reach the reduced index")
    for level, stream in enumerate(natural):
        name = node.get("in0") if not level else f"reduced{level}"
        node.attributes[f"in{level}"] = name
        graph.links.append(Link(stream.source, stream.output, node, f"crd {name}", "crd"))


def _chain_of_holds(graph: SamGraph, link: Link) -> list[Link]:
    """Return what a chain of holds reads: the outermost stream, then inner ones inwards."""
    if link.source.type != "crdhold" or link.output != "outer":
        return [link]
    hold = link.source
    return [*_chain_of_holds(graph, graph.feeding(hold, "outer")), graph.feeding(hold, "inner")]


def _depth(graph: SamGraph, link: Link, seen: frozenset[str] = frozenset()) -> int:
    """Return how deeply a stream is nested, as far as the nodes before it tell."""
    node = link.source
    if node.id in seen:
        raise graph.error("X003", node, "the graph has a cycle through this node")
    before = graph.into(node)
    if node.type in ("crddrop", "crdhold"):
        before = [each for each in before if each.input == link.output] or before
    if not before:
        return 1
    change = {"fiberlookup": 1, "repeat": 1, "reduce": -1, "spaccumulator": -1}
    first = next((each for each in before if each.input in ("ref", "val0")), before[0])
    return _depth(graph, first, seen | {node.id}) + change.get(node.type, 0)
