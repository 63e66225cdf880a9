# SPDX-License-Identifier: MIT
"""The verifier of dataflow programs: what must hold after every step that makes or changes one.

It checks what follows from the graph alone. Whether buffers are deep enough, and whether the
values are right, is for the simulator to find out. The rules of single nodes, of index tuples and
of references are in `verify_nodes`, `verify_streams` and `verify_access`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from fuseflow.errors import Finding, GraphError, Location
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import (
    MAX_DEPTH,
    DataflowGraph,
    DataflowProgram,
    Node,
    Stream,
    StreamKind,
)
from fuseflow.ir.einsum import Value
from fuseflow.ir.verify_access import check_references
from fuseflow.ir.verify_nodes import (
    check_attributes,
    check_ports,
    node_place,
    wire_node,
)
from fuseflow.ir.verify_streams import check_nests, compare_nest, nest_of
from fuseflow.ir.verify_tensor import TENSOR_RULES, check_output, check_value

__all__ = ["RULES", "verify_kernel", "verify_program"]

RULES: Mapping[str, str] = {
    "D001": "kernels, outputs and the nodes of a kernel have names or ids of their own; streams "
    "(from 1) and tensors are filed under theirs",
    "D002": "a stream has one producer and one consumer; fan-out is a broadcast",
    "D003": "a node has the ports of its op, and those that are not optional are connected",
    "D004": "a stream has a kind that the port takes, and that of the input it copies",
    "D005": "the depths of a node's streams differ as its op says, and none is above 8; "
    "coordinates are in a list",
    "D006": "streams read together are nested in the same indices, and what comes out follows",
    "D007": "streams read together have the same domain at each index, where domains are known",
    "D008": "a kernel has no cycle",
    "D009": "a node has the attributes of its op, with values that it takes",
    "D010": "tensors and levels that a node names exist and have a format that it can work on",
    "D011": "the levels of a tensor are entered in stored order; a block of dense ones in any",
    "D012": "the strides of the locates of a dense block are those of its row-major layout",
    "D013": "one kernel writes each level of a tensor once, and its values, nested alike",
    "D014": "a tensor that is read has data or is written by an earlier kernel, not both",
    "D015": "the fill of a node that reads or writes values is the fill of the tensor",
    "D016": "a stream that has a capacity has room for at least one token",
    "D017": "a tensor that is an output of the program is written, or has data",
    **TENSOR_RULES,
}


def verify_program(program: DataflowProgram) -> None:
    """Check every rule of `RULES`.

    Raises:
        GraphError: with a finding for each broken rule. Rules that rest on broken ones are not
            checked: a kernel is followed stream by stream only if its wiring is right.
    """
    findings = [
        *_check_program_names(program),
        *(finding for value in program.tensors.values() for finding in check_value(value)),
        *(finding for kernel in program.kernels for finding in _kernel(kernel, program.tensors)),
        *_check_data(program),
        *_check_program_outputs(program),
    ]
    if findings:
        raise GraphError.from_findings(findings)


def verify_kernel(kernel: DataflowGraph, tensors: Mapping[str, Value]) -> None:
    """Check the rules of one kernel; GraphError as in `verify_program`."""
    findings = list(_kernel(kernel, tensors))
    if findings:
        raise GraphError.from_findings(findings)


def _kernel(kernel: DataflowGraph, tensors: Mapping[str, Value]) -> Iterator[Finding]:
    wiring = [
        *_check_ids(kernel),
        *(finding for stream in kernel.streams.values() for finding in _stream(kernel, stream)),
        *_check_wiring(kernel),
        *_check_nodes(kernel),
    ]
    yield from wiring
    if wiring:
        return
    ordered, cyclic = _topological(kernel)
    if cyclic:
        names = ", ".join(sorted(node.name or f"#{node.id}" for node in cyclic))
        yield Finding("D008", f"nodes feed each other: {names}", Location(graph=kernel.name))
        return
    wired = [wire_node(kernel, node) for node in ordered]
    yield from (finding for node in wired for finding in check_nests(node))
    yield from check_references(wired, tensors)
    yield from _check_fills(kernel, tensors)
    yield from _check_writers(kernel, tensors)


def _check_program_names(program: DataflowProgram) -> Iterator[Finding]:
    for key, value in program.tensors.items():
        if key != value.name:
            yield Finding("D001", f"tensor is filed under {key!r}", Location(field=value.name))
    for kind, names in (
        ("kernel", [kernel.name for kernel in program.kernels]),
        ("output", [output.name for output in program.outputs]),
    ):
        for name in _repeated(names):
            yield Finding("D001", f"several {kind}s have the name {name!r}")


def _check_ids(kernel: DataflowGraph) -> Iterator[Finding]:
    where = Location(graph=kernel.name)
    for number in _repeated(node.id for node in kernel.nodes):
        yield Finding("D001", f"several nodes have the id {number}", where)
    for key, stream in kernel.streams.items():
        if key != stream.id or key < 1:
            yield Finding("D001", f"stream {stream.id} is filed under {key}", where)


def _stream(kernel: DataflowGraph, stream: Stream) -> Iterator[Finding]:
    """Check what concerns one stream alone."""
    where = Location(graph=kernel.name, field=stream.name or None)
    what = f"stream {stream.id}"
    if stream.kind is StreamKind.CRD and not stream.indices:
        yield Finding("D005", f"{what} carries coordinates at depth 0", where)
    if stream.depth > MAX_DEPTH:
        yield Finding("D005", f"{what} is {stream.depth} deep, and {MAX_DEPTH} is the limit", where)
    for name in _repeated(stream.indices):
        yield Finding("D006", f"{what} is nested in index {name!r} twice", where)
    if len(stream.domains) not in (0, stream.depth):
        message = f"{what} has {len(stream.domains)} domains for {stream.depth} indices"
        yield Finding("D007", message, where)
    if stream.capacity is not None and stream.capacity < 1:
        yield Finding("D016", f"{what} has capacity {stream.capacity}", where)


def _check_wiring(kernel: DataflowGraph) -> Iterator[Finding]:
    where = Location(graph=kernel.name)
    made = Counter(sid for node in kernel.nodes for sid in node.outputs if sid is not None)
    used = Counter(sid for node in kernel.nodes for sid in node.inputs if sid is not None)
    for sid in sorted((made.keys() | used.keys()) - kernel.streams.keys()):
        yield Finding("D002", f"stream {sid} is connected but not declared", where)
    for sid in kernel.streams:
        for role, count in (("producer", made[sid]), ("consumer", used[sid])):
            if count != 1:
                fix = "add a broadcast" if role == "consumer" and count > 1 else None
                yield Finding("D002", f"stream {sid} has {count} {role}s", where, fix)


def _check_nodes(kernel: DataflowGraph) -> Iterator[Finding]:
    for node in kernel.nodes:
        wrong = list(check_attributes(kernel, node))
        yield from wrong
        declared = all(sid in kernel.streams for sid in _connected(node))
        if not wrong and declared:
            yield from check_ports(kernel, node)


def _connected(node: Node) -> list[int]:
    return [sid for sid in (*node.inputs, *node.outputs) if sid is not None]


def _topological(kernel: DataflowGraph) -> tuple[list[Node], list[Node]]:
    """Return the nodes with every producer before its consumers, and those that lie on cycles."""
    producers = kernel.producers()
    feeds: dict[int, list[Node]] = {node.id: [] for node in kernel.nodes}
    waits: dict[int, int] = {}
    for node in kernel.nodes:
        sources = [producers[sid] for sid in node.inputs if sid is not None]
        waits[node.id] = len(sources)
        for source in sources:
            feeds[source.id].append(node)
    ordered = [node for node in kernel.nodes if not waits[node.id]]
    for node in ordered:
        for reader in feeds[node.id]:
            waits[reader.id] -= 1
            if not waits[reader.id]:
                ordered.append(reader)
    stuck = [node for node in kernel.nodes if waits[node.id]]
    return ordered, _without_tails(stuck, feeds)


def _without_tails(stuck: list[Node], feeds: Mapping[int, list[Node]]) -> list[Node]:
    """Leave out nodes behind a cycle, which feed no other stuck node."""
    while True:
        ids = {node.id for node in stuck}
        kept = [node for node in stuck if any(reader.id in ids for reader in feeds[node.id])]
        if len(kept) == len(stuck):
            return kept
        stuck = kept


def _check_fills(kernel: DataflowGraph, tensors: Mapping[str, Value]) -> Iterator[Finding]:
    for node in kernel.nodes:
        attrs = node.attrs
        if not isinstance(attrs, df.ArrayAttrs | df.ValWriteAttrs):
            continue
        value = tensors.get(attrs.tensor)
        if value is not None and not np.array_equal(attrs.fill, value.fill, equal_nan=True):
            message = f'fill {attrs.fill}, but "{value.name}" has fill {value.fill}'
            yield Finding("D015", message, node_place(kernel, node))


def _check_writers(kernel: DataflowGraph, tensors: Mapping[str, Value]) -> Iterator[Finding]:
    """Check that the writers of a tensor belong together."""
    for name in kernel.tensors_written():
        where = Location(graph=kernel.name, field=name)
        levels, values = _writers(kernel, name)
        if len(values) != 1:
            yield Finding("D013", f"{len(values)} nodes write values", where)
            continue
        fmt = tensors[name].format if name in tensors else None
        if fmt is None:
            continue  # reported as D010
        depths = Counter(depth for depth, _ in levels)
        is_scattered = values[0].inputs[1] is not None and fmt.is_dense
        wanted = () if is_scattered and not levels else range(len(fmt.levels))
        for depth in wanted:
            if depths[depth] != 1:
                yield Finding("D013", f"{depths[depth]} nodes write level {depth}", where)
        yield from _check_nested_writers(kernel, levels, values[0])


def _writers(kernel: DataflowGraph, name: str) -> tuple[list[tuple[int, Node]], list[Node]]:
    """Return the level writers of a tensor with their levels, and the value writers."""
    levels: list[tuple[int, Node]] = []
    values: list[Node] = []
    for node in kernel.nodes:
        if isinstance(node.attrs, df.LevelWriteAttrs) and node.attrs.tensor == name:
            levels.append((node.attrs.level, node))
        elif isinstance(node.attrs, df.ValWriteAttrs) and node.attrs.tensor == name:
            values.append(node)
    return levels, values


def _check_nested_writers(
    kernel: DataflowGraph, levels: Sequence[tuple[int, Node]], values: Node
) -> Iterator[Finding]:
    """Check that level l is written from the l + 1 outer indices of the values."""
    nest = nest_of(_first_input(kernel, values))
    if levels and len(nest) != len(levels):
        message = f"values at depth {len(nest)} of a tensor of {len(levels)} levels"
        yield Finding("D013", message, node_place(kernel, values))
        return
    for depth, node in levels:
        stream = _first_input(kernel, node)
        if stream.depth != depth + 1:
            message = f"level {depth} is written from stream {stream.id} of depth {stream.depth}"
            yield Finding("D013", message, node_place(kernel, node))
            continue
        problem = compare_nest(stream, nest)
        if problem:
            message = f"written from {problem[1]} like the values"
            yield Finding("D013", message, node_place(kernel, node))


def _first_input(kernel: DataflowGraph, node: Node) -> Stream:
    sid = node.inputs[0]
    assert sid is not None  # a writer without input was reported, and its kernel left alone
    return kernel.streams[sid]


def _check_data(program: DataflowProgram) -> Iterator[Finding]:
    """Check that tensors are written once, before they are read, and never over data."""
    stored = {name for name, value in program.tensors.items() if value.tensor is not None}
    writers: dict[str, str] = {}
    for kernel in program.kernels:
        where = Location(graph=kernel.name)
        for name in _tensors_loaded(kernel):
            if name in program.tensors and name not in stored and name not in writers:
                yield Finding("D014", f'reads "{name}", which has no data yet', where)
        for name in kernel.tensors_written():
            if name in stored:
                yield Finding("D014", f'writes "{name}", which has data', where)
            if name in writers:
                message = f'writes "{name}", which kernel "{writers[name]}" has written'
                yield Finding("D013", message, where)
            writers.setdefault(name, kernel.name)


def _tensors_loaded(kernel: DataflowGraph) -> list[str]:
    """Return the tensors whose arrays are read; a dense locate only computes addresses."""
    reading = [node for node in kernel.nodes if not _only_computes(node)]
    return list(DataflowGraph(kernel.name, nodes=reading).tensors_read())


def _only_computes(node: Node) -> bool:
    return isinstance(node.attrs, df.LocateAttrs) and not node.attrs.search


def _check_program_outputs(program: DataflowProgram) -> Iterator[Finding]:
    made = {name for kernel in program.kernels for name in kernel.tensors_written()}
    for output in program.outputs:
        yield from check_output(program.tensors, output)
        value = program.tensors.get(output.value)
        if value is not None and value.tensor is None and output.value not in made:
            message = f'no kernel writes "{output.value}"'
            yield Finding("D017", message, Location(field=output.name))


def _repeated(names: Iterable[object]) -> list[object]:
    """Return what occurs more than once, in order of first occurrence."""
    return [name for name, count in Counter(names).items() if count > 1]
