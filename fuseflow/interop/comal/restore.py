# SPDX-License-Identifier: MIT
"""What a ComalGraph cannot say, written into labels that no simulator reads, and read back.

A kernel that had to be rewritten for a dialect is written as other tools need it, and its labels
say what it was here, behind a bar:

    sub | 12 alu fn=safe_sub fills=-inf,0.0 in=v3,v5 out=v6     this operator was node 12
    repeat j | aux                                             there was no such node

The number is that of the node in its kernel; operators without a bar are what they look like. The
name of the graph ends in a seal, a checksum of all the rest: if another tool has changed the graph
since, the labels no longer describe it, and it is read as it stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fuseflow.errors import InterchangeError
from fuseflow.interop.comal.labels import format_node, parse_node
from fuseflow.interop.comal.message import Message, encode
from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode, Wire
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op
from fuseflow.ir.einsum import Value

__all__ = ["BAR", "Original", "Seal", "annotate", "read_seal", "restore", "snapshot"]

BAR = " | "
_AUX = "aux"
_SEAL = re.compile(r"(.*) \(fuseflow ([0-9a-f]{16})\)", re.DOTALL)


class Seal:
    """Whether the labels of a graph can be trusted."""

    NONE, BROKEN, WHOLE = range(3)


@dataclass(frozen=True, slots=True)
class Original:
    """A kernel before it was rewritten: its nodes by number, from 1, and its streams.

    What a node says about a tensor follows from the graph around it for those in `derived`.
    """

    nodes: list[DraftNode]
    wires: dict[int, Wire]
    derived: frozenset[int]

    def note(self, number: int) -> str:
        """Return what a label says of a node."""
        return f"{number} {format_node(self.nodes[number - 1], self.wires)}"


def snapshot(draft: Draft, tensors: Mapping[str, Value], names: Mapping[str, str]) -> Original:
    """Number the nodes of a draft and keep copies of them, with tensors by their new names."""
    derived = set()
    copies = []
    for number, node in enumerate(draft.nodes, start=1):
        node.number = number
        if _is_derived(node, tensors):
            derived.add(number)
        tensor = names.get(node.tensor, node.tensor)
        ends = list(node.inputs), list(node.outputs)
        copies.append(replace(node, inputs=ends[0], outputs=ends[1], tensor=tensor))
    return Original(copies, dict(draft.wires), frozenset(derived))


def _is_derived(node: DraftNode, tensors: Mapping[str, Value]) -> bool:
    match node.attrs:
        case df.LocateAttrs(tensor=tensor, size=size):
            value = tensors[tensor]
            whole = value.format and size == value.shape[value.format.mode_order[0]]
            return node.attrs == df.LocateAttrs(tensor, 0, size) and bool(whole)
        case df.ValWriteAttrs(fill=fill):
            return not fill
    return node.op in (Op.ROOT, Op.SCAN, Op.ARRAY, Op.LEVEL_WRITE)


def annotate(
    graph: Message,
    numbers: Sequence[int],
    readings: Sequence[DraftNode | None],
    original: Original,
) -> None:
    """Write into labels what the nodes of a kernel were, and seal the graph.

    A graph whose operators all read as what they were stays as it is.

    Args:
        graph: a graph that was just written.
        numbers: for each operator the number of the node that it stands for, 0 for none.
        readings: what each operator is read as.
        original: the kernel.
    """
    notes: list[list[str]] = []
    for number, reading in zip(numbers, readings, strict=True):
        if not number:
            notes.append([_AUX])
        else:
            notes.append([] if _reads_as(reading, number, original) else [original.note(number)])
    gone = set(range(1, len(original.nodes) + 1)).difference(numbers)
    if gone and not notes[0]:
        notes[0].append(original.note(numbers[0]))
    notes[0] += [original.note(number) for number in sorted(gone)]
    if not any(notes):
        return
    operators = graph["graph"]["operators"]
    for operation, found, number in zip(operators, notes, numbers, strict=True):
        operation.values["id"] = number or len(original.nodes) + 1
        if found:
            holder, key = _label(operation)
            holder.values[key] = holder[key] + "".join(BAR + note for note in found)
    graph.values["name"] = f"{graph['name']} (fuseflow {_digest(graph)})"


def _reads_as(reading: DraftNode | None, number: int, original: Original) -> bool:
    """Return whether an operator is read as the node that it stands for."""
    node = original.nodes[number - 1]
    ends = (*node.inputs, *node.outputs)
    if any(original.wires[wire].capacity is not None for wire in ends if wire is not None):
        return False
    if reading is None or reading.op is not node.op:
        return False
    if reading.inputs != node.inputs or reading.outputs != node.outputs:
        return False
    if number not in original.derived:
        return reading.attrs == node.attrs
    same = reading.tensor == node.tensor or not node.tensor
    return same and (reading.mode, reading.compressed) == (node.mode, node.compressed)


def _label(operation: Message) -> tuple[Message, str]:
    """Return the message and the field in which an operator has room for text."""
    content: Message = operation[operation.chosen("op") or ""]
    if content.schema.field(content.type, "label"):
        return content, "label"
    return operation, "name"


def read_seal(graph: Message) -> int:
    """Return whether a graph has labels of ours that still describe it."""
    match = _SEAL.fullmatch(graph["name"])
    if not match:
        return Seal.NONE
    bare = Message(graph.schema, graph.type, graph.values | {"name": match[1]}, graph.unknown)
    return Seal.WHOLE if _digest(bare) == match[2] else Seal.BROKEN


def _digest(graph: Message) -> str:
    return hashlib.sha256(encode(graph)).hexdigest()[:16]


def restore(graph: Message, draft: Draft, readings: Sequence[DraftNode | None]) -> Draft:
    """Return the draft of the kernel that a sealed graph was written for.

    Args:
        graph: the graph.
        draft: what it looks like.
        readings: the node of the draft for each operator.

    Raises:
        InterchangeError: X001 for a label that describes no node.
    """
    numbered: dict[int, DraftNode] = {}
    wires = dict(draft.wires)
    for operation, reading in zip(graph["graph"]["operators"], readings, strict=True):
        holder, key = _label(operation)
        _, *notes = holder[key].split(BAR)
        if not notes and reading is not None:
            numbered[operation["id"]] = reading
        for note in notes:
            number, _, text = note.partition(" ")
            if note == _AUX:
                continue
            try:
                node, found = parse_node(text, f"{text.partition(' ')[0]} #{number}")
            except InterchangeError as error:
                raise refuse("X001", str(error), graph=draft.name, node=operation["name"]) from None
            numbered[int(number)] = node
            wires |= found
    nodes = [node for _, node in sorted(numbered.items())]
    used = {wire for node in nodes for wire in (*node.inputs, *node.outputs)}
    kept = {wire: spec for wire, spec in wires.items() if wire in used}
    return Draft(draft.name, nodes, kept, draft.remarks, exact=True)
