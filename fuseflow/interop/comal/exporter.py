# SPDX-License-Identifier: MIT
"""DataflowProgram -> ComalGraphs and tensor directories, one of each per kernel.

    OUT/00_NAME/graph.bin       the graph of the first kernel
    OUT/00_NAME/graph.txtpb     the same as text
    OUT/00_NAME/data/tensor_*   the tensors that it reads

Tensors that earlier kernels write are handed on as files: their folder states shape and order, and
whoever runs the kernels puts the results there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fuseflow.errors import Finding, InterchangeError
from fuseflow.interop.comal.adapt import adapt
from fuseflow.interop.comal.importer import DATA, GRAPH
from fuseflow.interop.comal.kernel import draft_of_kernel, format_of
from fuseflow.interop.comal.layout import store_as_walked
from fuseflow.interop.comal.limits import check_nodes, remark_missing
from fuseflow.interop.comal.message import Message, encode
from fuseflow.interop.comal.reader import readings_of
from fuseflow.interop.comal.restore import annotate, snapshot
from fuseflow.interop.comal.text import format_text
from fuseflow.interop.comal.writer import graph_of_draft
from fuseflow.interop.tensors.directory import is_file_name, write_shape, write_tensor
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import dense_format

__all__ = ["ExportedKernel", "export_comal", "export_kernel", "export_kernels"]

TEXT = "graph.txtpb"


@dataclass(frozen=True, slots=True)
class ExportedKernel:
    """A kernel in the terms of a dialect.

    `tensors` are what it reads, with data where the program has it; `spaces` are tensors that have
    a size and nothing else. `remarks` say what was changed and what runs there only with luck.
    """

    name: str
    graph: Message
    tensors: Mapping[str, Value]
    spaces: Mapping[str, int]
    remarks: tuple[str, ...]


def export_kernel(
    kernel: DataflowGraph, tensors: Mapping[str, Value], dialect: str
) -> ExportedKernel:
    """Put one kernel of a verified program into a dialect.

    Raises:
        InterchangeError: X004 for every node that the dialect cannot express.
    """
    draft = draft_of_kernel(kernel, tensors)
    check_nodes(draft, dialect)
    names = _file_names(tensors)
    original = snapshot(draft, tensors, names)
    draft.sort()
    tensors = {**tensors, **store_as_walked(draft, tensors)}
    spaces = adapt(draft, tensors, dialect)
    draft.sort()
    remark_missing(draft)
    read = {name: tensors[name] for name in kernel.tensors_read()}
    for name, value in read.items():
        if value.fill:
            draft.remarks.append(
                f'other tools take the background {value.fill:g} of "{name}" for 0'
            )
        format_of(tensors, name, kernel.name)
    for node in draft.nodes:
        node.tensor = names.get(node.tensor, node.tensor)
    for name in read:
        if names[name] != name:
            draft.remarks.append(f'tensor "{name}" is called {names[name]}')
    if any(wire.capacity is not None for wire in draft.wires.values()):
        draft.remarks.append("the depths of channels are not in the format")
    graph, numbers = graph_of_draft(draft, dialect, spaces)
    annotate(graph, numbers, readings_of(graph), original)
    renamed = {names[name]: value for name, value in read.items()}
    return ExportedKernel(kernel.name, graph, renamed, spaces, tuple(draft.remarks))


def export_kernels(program: DataflowProgram, dialect: str) -> list[ExportedKernel]:
    """Put every kernel of a program into a dialect.

    Raises:
        InterchangeError: X004 with the findings of all kernels.
    """
    exported: list[ExportedKernel] = []
    findings: list[Finding] = []
    for kernel in program.kernels:
        try:
            exported.append(export_kernel(kernel, program.tensors, dialect))
        except InterchangeError as error:
            findings += error.findings
    if findings:
        raise InterchangeError.from_findings(findings)
    return exported


def export_comal(program: DataflowProgram, folder: Path, dialect: str) -> tuple[str, ...]:
    """Write a program to a folder and return the remarks on it; see the head of this module.

    Raises:
        InterchangeError: X004 for what the dialect cannot express.
        OSError: if the folder cannot be written.
    """
    kernels = export_kernels(program, dialect)
    for number, kernel in enumerate(kernels):
        _write(folder / f"{number:02}_{_plain(kernel.name)}", kernel)
    return tuple(f"{kernel.name}: {remark}" for kernel in kernels for remark in kernel.remarks)


def _write(folder: Path, kernel: ExportedKernel) -> None:
    data = folder / DATA
    data.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH).write_bytes(encode(kernel.graph))
    (folder / TEXT).write_text(format_text(kernel.graph))
    for name, value in kernel.tensors.items():
        assert value.format is not None
        if value.tensor is None:
            write_shape(data, name, value.shape, value.format)
        else:
            write_tensor(data, name, value.tensor)
    for name, size in kernel.spaces.items():
        write_shape(data, name, (size,), dense_format(1))


def _file_names(tensors: Iterable[str]) -> dict[str, str]:
    """Return a name for every tensor that can be part of a file name, and is no other's."""
    names: dict[str, str] = {}
    kept = {name for name in tensors if is_file_name(name)}
    for name in tensors:
        safe = base = name if name in kept else re.sub(r"[^A-Za-z0-9_.,-]", "-", name)
        copies = 1
        while safe != name and (safe in kept or safe in names.values()):
            copies += 1
            safe = f"{base}_{copies}"
        names[name] = safe
    return names


def _plain(name: str) -> str:
    """Return a name with what may trouble a file system left out."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "kernel"
