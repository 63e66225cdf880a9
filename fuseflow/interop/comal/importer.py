# SPDX-License-Identifier: MIT
"""ComalGraph files and their tensor directories -> DataflowProgram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fuseflow.errors import InterchangeError, Location
from fuseflow.interop.comal.dialect import read_graph
from fuseflow.interop.comal.message import Message
from fuseflow.interop.comal.reader import draft_graph
from fuseflow.interop.faults import in_file
from fuseflow.interop.graphs.drops import settle_drops
from fuseflow.interop.graphs.operands import Operands
from fuseflow.interop.graphs.program import build_program
from fuseflow.ir.dataflow import DataflowProgram

__all__ = ["DATA", "GRAPH", "find_graphs", "import_comal", "program_of_graphs"]

GRAPH = "graph.bin"
DATA = "data"


def import_comal(
    path: Path, operands: Operands, dialect: str | None = None, *, plain: bool = False
) -> DataflowProgram:
    """Read one graph, or all graphs of a folder as `find_graphs` finds them, as a program.

    Args:
        path: a file of bytes or text, or a folder.
        operands: the tensors that the graphs read.
        dialect: the dialect of the files, None to find out.
        plain: whether our own labels are to be ignored, as other tools do.

    Raises:
        InterchangeError: if a file cannot be read, a graph has no counterpart here, or tensors do
            not fit.
        GraphError: if the program breaks a rule of the verifier.
    """
    files = find_graphs(path)
    graphs = []
    for file in files:
        graph = read_graph(file, dialect)
        graphs.append(graph)
    try:
        return program_of_graphs(graphs, operands, plain=plain)
    except InterchangeError as error:
        raise in_file(error, str(files[0]) if len(files) == 1 else str(path)) from error


def find_graphs(path: Path) -> list[Path]:
    """Return a file itself; of a folder its graph, else the graphs of its folders by their names.

    Raises:
        InterchangeError: X008 if a folder holds no graph.
    """
    if not path.is_dir():
        return [path]
    files = [path / GRAPH] if (path / GRAPH).is_file() else sorted(path.glob(f"*/{GRAPH}"))
    if not files:
        message = f"the folder holds no {GRAPH}, nor do its folders"
        raise InterchangeError("X008", message, where=Location(str(path)))
    return files


def program_of_graphs(
    graphs: Sequence[Message], operands: Operands, *, plain: bool = False
) -> DataflowProgram:
    """Return the program whose kernels are these graphs, in this order; see `import_comal`."""
    drafts = [draft_graph(graph, plain=plain) for graph in graphs]
    names: set[str] = set()
    for number, draft in enumerate(drafts):
        if draft.name in names:
            draft.name = f"{draft.name} {number}"
        names.add(draft.name)
        if not draft.exact:
            settle_drops(draft)
            draft.prune()
    return build_program(drafts, operands)
