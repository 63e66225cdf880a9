# SPDX-License-Identifier: MIT
"""Files of `torch.export.save` -> EinsumGraph.

Not here: what an operator means (`torch.rules`), and which files are refused before torch reads
them (`torch.pt2_archive`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fuseflow.errors import Location, ModelError, UsageError
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.frontend.operands.bind import operand_sources, read_operand
from fuseflow.frontend.operands.operand import Operand, random_operand
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.decompose import decompose_unsupported
from fuseflow.frontend.torch.export import first_line, functional_program, quiet, run_eager
from fuseflow.frontend.torch.graph import read_program
from fuseflow.frontend.torch.inputs import InputRecord, bind_tensor
from fuseflow.frontend.torch.pt2_archive import check_archive
from fuseflow.ir.einsum import EinsumGraph

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

__all__ = ["import_pt2"]

_DATA_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def import_pt2(
    path: str | Path, *, name: str = "", options: ImportOptions | None = None
) -> EinsumGraph:
    """Read a program saved by `torch.export.save` into einsums, with its inputs or those bound.

    Raises:
        UsageError: U003 if there is no such file, U204 for a binding to no input.
        ModelError: I005 if it is no such file, holds objects that only code can read, or torch
            cannot load it; I206 for data that do not fit; else as `import_torch`.
    """
    path, options = Path(path), options or ImportOptions()
    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=str(path)))
    check_archive(path)
    program = _load(path)
    with quiet():
        functional = decompose_unsupported(functional_program(program))
    records = _records(functional, _examples(program), options, path)
    data = [record.data for record in records]
    references = []
    if options.reference and data and all(each is not None for each in data):
        references = run_eager(program.module(), *_arguments(program, data))
    graph = read_program(
        functional, name or path.stem, records, {}, references, partial=options.partial
    )
    return lower_to_einsums(graph, options)


def _load(path: Path) -> ExportedProgram:
    import torch

    try:
        with quiet(), _without_code():
            return torch.export.load(path)
    except Exception as error:
        message = f"torch cannot load it as an exported program: {first_line(error)}"
        raise ModelError("I005 bad-pt2", message, where=Location(file=str(path))) from error


@contextmanager
def _without_code() -> Iterator[None]:
    """Keep torch from executing pickles, which it would where reading them as data fails."""
    before = os.environ.get(_DATA_ONLY)
    os.environ[_DATA_ONLY] = "1"
    try:
        yield
    finally:
        del os.environ[_DATA_ONLY]
        if before is not None:
            os.environ[_DATA_ONLY] = before


def _examples(program: ExportedProgram) -> list[torch.Tensor]:
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves(program.example_inputs or ((), {}))
    return [each for each in leaves if isinstance(each, torch.Tensor)]


def _arguments(
    program: ExportedProgram, tensors: Sequence[torch.Tensor | None]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the program with other tensors than those saved in it."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    if program.example_inputs is None:
        return tuple(tensors), {}
    leaves, structure = tree_flatten(program.example_inputs)
    rest = iter(tensors)
    new = [next(rest) if isinstance(each, torch.Tensor) else each for each in leaves]
    args, kwargs = tree_unflatten(new, structure)
    return args, kwargs


def _records(
    program: ExportedProgram,
    examples: Sequence[torch.Tensor],
    options: ImportOptions,
    path: Path,
) -> list[InputRecord]:
    """Return what is known of each tensor input: bound, else saved with it, else drawn."""
    nodes = {node.name: node for node in program.graph.nodes}
    inputs = program.graph_signature.user_inputs
    names = [name for name in inputs if hasattr(nodes[name].meta.get("val"), "shape")]
    sources = operand_sources(names, options, str(path))
    saved: Sequence[torch.Tensor | None] = examples or [None] * len(names)
    records = []
    for name, tensor in zip(names, saved, strict=True):
        record = InputRecord(name, tensor)
        meta = nodes[name].meta["val"]
        if name in sources:
            record = _bound(record, meta, read_operand(sources[name]), path)
        elif tensor is None and options.random_inputs is not None:
            kind = np.dtype(str(meta.dtype).removeprefix("torch."))
            drawn = random_operand(tuple(meta.shape), kind, options.random_inputs, name)
            record = _bound(record, meta, drawn, path)
        records.append(record)
    return records


def _bound(record: InputRecord, meta: torch.Tensor, operand: Operand, path: Path) -> InputRecord:
    """Return a record with the data of an operand, which must have the shape of the export."""
    import torch

    example = torch.empty(meta.shape, dtype=meta.dtype)
    bound = bind_tensor(InputRecord(record.name, example), operand)
    assert bound.data is not None
    if bound.data.shape != example.shape:
        found, wanted = list(bound.data.shape), list(example.shape)
        message = f"{operand.file} has shape {found}, the program was exported for {wanted}"
        raise ModelError(
            "I206 input-data",
            message,
            where=Location(file=str(path), node=record.name),
            fix="bind data of that shape, or export the model again at the other",
        )
    return bound
