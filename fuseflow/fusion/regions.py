# SPDX-License-Identifier: MIT
"""Regions: which operations are fused together, by strategy.

`unfused` makes one region per source operator (a softmax, a layer norm and a matrix product each
stay whole). `layer` makes one per module of the model, or, where the model has no modules, cuts
after every activation that feeds a contraction. `full` merges those as far as it can. Every region
is convex: no path leaves it and comes back.

Not here: whether a region can be lowered; `pipeline` cuts those that cannot, and merges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import networkx as nx

from fuseflow.errors import Location, ScheduleError
from fuseflow.fusion.analysis.views import Region
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import Strategy

__all__ = ["cut_region", "is_connected", "live_einsums", "make_region", "partition"]


def live_einsums(graph: EinsumGraph) -> list[Einsum]:
    """Return the operations that an output depends on, in evaluation order."""
    needed = {output.value for output in graph.outputs}
    live: list[Einsum] = []
    for op in reversed(graph.einsums):
        if op.output.value in needed:
            live.append(op)
            needed |= {access.value for access in op.operands}
    return live[::-1]


def partition(
    ops: Sequence[Einsum],
    strategy: Strategy,
    given: Sequence[Sequence[Einsum]] = (),
    scope_depth: int = 0,
) -> list[list[Einsum]]:
    """Split operations into convex groups, in an order in which they can run.

    Args:
        ops: the operations, in evaluation order.
        strategy: the preset; full fusion starts from layers as well, and grows them.
        given: groups that are wanted as they are.
        scope_depth: which level of the module tree makes a layer; 0 leaves that to the model.

    Raises:
        ScheduleError: P014 if a given group is not convex.
    """
    taken = {op.name for group in given for op in group}
    atoms = _source_operators(ops, taken)
    labels = _depth_labels(atoms, scope_depth) if scope_depth else _layer_labels(atoms)
    atoms += [list(group) for group in given]
    _check_convex(atoms)
    if strategy is Strategy.UNFUSED:
        return _in_order(atoms)
    return _contract(atoms, [*labels, *(f"given {number}" for number in range(len(given)))])


def make_region(
    graph: EinsumGraph,
    ops: Sequence[Einsum],
    name: str,
    consumers: Mapping[str, Sequence[Einsum]] | None = None,
) -> Region:
    """Wrap operations as a region; its outputs are what others read or the model returns.

    `consumers` is that of the graph; who makes many regions of one graph computes it once.
    """
    inside = {op.name for op in ops}
    wanted = {output.value for output in graph.outputs}
    consumers = graph.consumers() if consumers is None else consumers
    outputs = tuple(
        op.output.value
        for op in ops
        if op.output.value in wanted
        or any(user.name not in inside for user in consumers[op.output.value])
    )
    return Region(name, tuple(ops), outputs)


def is_connected(first: Sequence[Einsum], second: Sequence[Einsum]) -> bool:
    """Return True if one group reads a value that the other computes."""
    made = {op.output.value for op in first}
    return any(access.value in made for op in second for access in op.operands)


def cut_region(ops: Sequence[Einsum], values: Sequence[str]) -> tuple[list[Einsum], list[Einsum]]:
    """Split operations at values: everything they are computed from, and the rest.

    If that is all of them, the operations that compute the values stand alone.
    """
    producers = {op.output.value: op for op in ops}
    above: set[str] = set()
    todo = list(values)
    while todo:
        op = producers.get(todo.pop())
        if op is not None and op.name not in above:
            above.add(op.name)
            todo += [access.value for access in op.operands]
    if not above or len(above) == len(ops):
        above = {op.name for op in ops if op.output.value not in values}
    if not above or len(above) == len(ops):
        above = {op.name for op in ops[:-1]}
    first = [op for op in ops if op.name in above]
    return first, [op for op in ops if op.name not in above]


def _source_operators(ops: Sequence[Einsum], taken: Collection[str]) -> list[list[Einsum]]:
    """Group the operations of one source operator, but for those that are taken.

    What is left of an operator that is taken in part stands alone, operation by operation.
    """
    split = {op.composite for op in ops if op.name in taken}
    groups: dict[str, list[Einsum]] = {}
    for op in ops:
        if op.name not in taken:
            alone = not op.composite or op.composite in split
            groups.setdefault(f"einsum {op.name}" if alone else op.composite, []).append(op)
    return _in_order(list(groups.values()))


def _check_convex(atoms: Sequence[Sequence[Einsum]]) -> None:
    graph = _dependences(atoms)
    try:
        cycle = [source for source, *_ in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return
    *_, last = (atoms[number] for number in cycle)
    raise ScheduleError(
        "P014",
        f"groups need each other's results: {', '.join(atoms[n][-1].name for n in cycle)}",
        where=Location(node=last[-1].name),
        fix="add the operations between them to one group",
    )


def _depth_labels(atoms: Sequence[Sequence[Einsum]], depth: int) -> list[str]:
    """Return the module at one level of the tree that executed each operator."""
    chains = [[path for path, _ in _scopes(atom) if path] for atom in atoms]
    return [chain[min(depth, len(chain)) - 1] if chain else "" for chain in chains]


def _layer_labels(atoms: Sequence[Sequence[Einsum]]) -> list[str]:
    """Return one label per source operator: its layer.

    Without modules, or with all operators in one module, every activation that feeds a contraction
    ends a layer.
    """
    scopes = _owners([[path for path, _ in _scopes(atom)] for atom in atoms], atoms)
    if len(set(scopes)) > 1:
        return scopes
    closing = _activations_before_contractions(atoms)
    labels: list[str] = []
    depth: dict[str, int] = {}
    for number, atom in enumerate(atoms):
        inner = {access.value for op in atom for access in op.operands}
        layer = max((depth[v] for v in inner if v in depth), default=0)
        labels.append(f"layer{layer}")
        for op in atom:
            depth[op.output.value] = layer + (number in closing)
    return labels


def _scopes(atom: Sequence[Einsum]) -> tuple[tuple[str, str], ...]:
    """Return the chain of modules that executed a source operator."""
    return next((source.scopes for op in atom for source in op.sources), ())


def _owners(chains: Sequence[Sequence[str]], atoms: Sequence[Sequence[Einsum]]) -> list[str]:
    """Return the module that owns each operator, as a layer.

    A module without submodules that does at most one contraction is a single operator (a linear
    map, an activation, a norm), so its parent is the layer.
    """
    parents = {path for chain in chains for path in chain[:-1]}
    contractions = Counter(
        chain[-1]
        for chain, atom in zip(chains, atoms, strict=True)
        if chain and any(_contracts(op) for op in atom)
    )
    owners = []
    for chain in chains:
        layers = [path for path in chain if path in parents or contractions[path] > 1]
        owners.append(layers[-1] if layers else "")
    return owners


def _activations_before_contractions(atoms: Sequence[Sequence[Einsum]]) -> set[int]:
    contracted = {
        access.value for atom in atoms for op in atom if _contracts(op) for access in op.operands
    }
    return {
        number
        for number, atom in enumerate(atoms)
        if atom[-1].output.value in contracted and not any(_contracts(op) for op in atom)
    }


def _contracts(op: Einsum) -> bool:
    return op.reduce == "add" and len(op.operands) > 1


def _contract(atoms: Sequence[Sequence[Einsum]], labels: Sequence[str]) -> list[list[Einsum]]:
    """Merge operators of one label along their dependences, as long as the group stays convex."""
    graph = _dependences(atoms)
    group = {number: number for number in range(len(atoms))}
    for source, target in sorted(graph.edges):
        if labels[source] == labels[target]:
            _merge(graph, group, group[source], group[target])
    for number in range(1, len(atoms)):
        same = [other for other in range(number) if labels[other] == labels[number]]
        if same:
            _merge(graph, group, group[same[-1]], group[number])
    members: dict[int, list[Einsum]] = {}
    for number, atom in enumerate(atoms):
        members.setdefault(group[number], []).extend(atom)
    return _in_order(list(members.values()))


def _merge(graph: nx.DiGraph, group: dict[int, int], kept: int, dropped: int) -> None:
    """Unite two groups unless a path between them runs through a third one."""
    if kept == dropped or _has_detour(graph, kept, dropped) or _has_detour(graph, dropped, kept):
        return
    for number, label in group.items():
        if label == dropped:
            group[number] = kept
    for source in list(graph.predecessors(dropped)):
        graph.add_edge(source, kept)
    for target in list(graph.successors(dropped)):
        graph.add_edge(kept, target)
    graph.remove_node(dropped)
    if graph.has_edge(kept, kept):
        graph.remove_edge(kept, kept)


def _has_detour(graph: nx.DiGraph, source: int, target: int) -> bool:
    return any(
        middle != target and nx.has_path(graph, middle, target)
        for middle in graph.successors(source)
    )


def _dependences(groups: Sequence[Sequence[Einsum]]) -> nx.DiGraph:
    """Return the graph of groups, an edge from each producer to each consumer."""
    owner = {op.output.value: number for number, group in enumerate(groups) for op in group}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(groups)))
    for number, group in enumerate(groups):
        for op in group:
            for access in op.operands:
                source = owner.get(access.value, number)
                if source != number:
                    graph.add_edge(source, number)
    return graph


def _in_order(groups: list[list[Einsum]]) -> list[list[Einsum]]:
    """Sort groups so that producers come first, otherwise as they stand."""
    order: Mapping[int, int] = {n: p for p, n in enumerate(_topological(groups))}
    return [groups[n] for n in sorted(range(len(groups)), key=order.__getitem__)]


def _topological(groups: Sequence[Sequence[Einsum]]) -> list[int]:
    return list(nx.lexicographical_topological_sort(_dependences(groups)))
