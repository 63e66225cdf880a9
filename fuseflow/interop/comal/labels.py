# SPDX-License-Identifier: MIT
"""Nodes of ours as one line of text, for the fields of a ComalGraph that no simulator reads.

    spacc op=add order=1 full=8 in=c3,c5,v7,- out=c8,v9
    alu fn=safe_sub fills=-inf,0.0

A line has the op, the attributes that are not the default, and the streams at the ports: a letter
for the kind, the number of the stream, and its capacity where one is stated (`c8:64`); `-` is a
port without a stream. What a node does with a tensor follows as `tensor=`, `mode=`, `stored=`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fuseflow.interop.faults import malformed
from fuseflow.interop.graphs.draft import DraftNode, Wire
from fuseflow.ir.dataflow import NodeAttrs, Op, StreamKind
from fuseflow.ir.op_specs import OP_SPECS, Port

__all__ = ["format_attributes", "format_node", "function_port", "parse_attributes", "parse_node"]

_KINDS = {kind.value[0]: kind for kind in StreamKind}
_PLAIN: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: bool(int(text)),
}


def format_attributes(op: Op, attrs: NodeAttrs) -> str:
    """Return op and attributes but for the tensor; attributes of tiles have no text."""
    words = [str(op)]
    for spec in dataclasses.fields(attrs):
        value = getattr(attrs, spec.name)
        if spec.name != "tensor" and value != spec.default:
            words.append(f"{spec.name}={_spell(value)}")
    return " ".join(words)


def parse_attributes(text: str) -> tuple[Op, NodeAttrs]:
    """Read what `format_attributes` wrote.

    Raises:
        InterchangeError: X001 if it is no such text.
    """
    op, words = _split(text)
    return op, _attributes(op, words, "", text)


def function_port(port: Port) -> StreamKind | None:
    """Return what goes through a port of a node that is written as a function, None for nothing."""
    if port.name == "shape":
        return None
    return StreamKind.VAL if StreamKind.VAL in port.kinds and port.name != "sig" else StreamKind.CRD


def format_node(node: DraftNode, wires: Mapping[int, Wire]) -> str:
    """Return a node with all that a draft knows of it but its name."""
    words = [format_attributes(node.op, node.attrs)]
    for key, ends in (("in", node.inputs), ("out", node.outputs)):
        if ends:
            words.append(f"{key}={','.join(_spell_wire(wire, wires) for wire in ends)}")
    if node.tensor:
        words.append(f"tensor={node.tensor}")
    if node.mode is not None:
        words.append(f"mode={node.mode}")
    if node.compressed is not None:
        words.append(f"stored={int(node.compressed)}")
    if node.index:
        words.append(f"index={node.index}")
    return " ".join(words)


def parse_node(text: str, name: str) -> tuple[DraftNode, dict[int, Wire]]:
    """Read what `format_node` wrote, with the wires at its ports.

    Raises:
        InterchangeError: X001 if it is no such text.
    """
    op, words = _split(text)
    wires: dict[int, Wire] = {}
    try:
        inputs, outputs = (_parse_wires(words.pop(key, ""), wires) for key in ("in", "out"))
        mode, stored = (words.pop(key, None) for key in ("mode", "stored"))
        tensor, index = words.pop("tensor", ""), words.pop("index", "")
        node = DraftNode(
            op, name, inputs, outputs, _attributes(op, words, tensor, text), tensor,
            None if mode is None else int(mode), None if stored is None else stored == "1", index,
            final=True,
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise malformed(f'"{text[:80]}" describes no node') from error
    return node, wires


def _split(text: str) -> tuple[Op, dict[str, str]]:
    head, *words = text.split(" ")
    if head not in tuple(Op) or not all("=" in word for word in words):
        raise malformed(f'"{text[:80]}" describes no node')
    pairs = (word.partition("=") for word in words)
    return Op(head), {key: value for key, _, value in pairs}


def _attributes(op: Op, words: Mapping[str, str], tensor: str, text: str) -> NodeAttrs:
    kind: Any = OP_SPECS[op].attrs
    fields = {spec.name: str(spec.type) for spec in dataclasses.fields(kind)}
    try:
        values = {key: _parse(value, fields[key]) for key, value in words.items()}
        if "tensor" in fields:
            values["tensor"] = tensor
        attrs: NodeAttrs = kind(**values)
    except (KeyError, ValueError, TypeError) as error:
        raise malformed(f'"{text[:80]}" has attributes that no {op} has') from error
    return attrs


def _spell(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_spell(item) for item in value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def _parse(text: str, kind: str) -> Any:
    """Read a value of a type as it is annotated: of `str`, `int`, `float`, `bool` or a tuple."""
    plain = kind.removesuffix(" | None")
    if plain.startswith("tuple["):
        item = _PLAIN[plain.removeprefix("tuple[").removesuffix(", ...]")]
        return tuple(item(part) for part in text.split(",")) if text else ()
    return _PLAIN[plain](text)


def _spell_wire(wire: int | None, wires: Mapping[int, Wire]) -> str:
    if wire is None:
        return "-"
    spec = wires[wire]
    room = "" if spec.capacity is None else f":{spec.capacity}"
    return f"{spec.kind.value[0]}{wire}{room}"


def _parse_wires(text: str, wires: dict[int, Wire]) -> list[int | None]:
    found: list[int | None] = []
    for item in _items(text):
        if item == "-":
            found.append(None)
            continue
        kind, (number, _, room) = _KINDS[item[0]], item[1:].partition(":")
        wire = int(number)
        wires[wire] = Wire(kind, f"{kind} {wire}", int(room) if room else None)
        found.append(wire)
    return found


def _items(text: str) -> Iterable[str]:
    return text.split(",") if text else ()
