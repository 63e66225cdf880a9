# SPDX-License-Identifier: MIT
"""PyTorch modules and saved exports -> EinsumGraph.

Not here: what an operator means (see `torch_rules`), and which modules there are.
"""

from __future__ import annotations

import copy
import io
import logging
import operator
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError, UsageError
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch_decompose import decompose_unsupported
from fuseflow.frontend.torch_graph import InputRecord, read_program
from fuseflow.frontend.torch_values import to_array
from fuseflow.ir.einsum import EinsumGraph

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

__all__ = ["import_pt2", "import_torch"]

LAYOUTS = {
    "torch.sparse_csr": "dense,compressed",
    "torch.sparse_csc": "dense,compressed@1,0",
    "torch.sparse_bsr": "dense,compressed",
    "torch.sparse_bsc": "dense,compressed@1,0",
}
DATA_DEPENDENT = (
    "GuardOnDataDependentSymNode",
    "UserError",
    "CondOp",
    "UncapturedHigherOrderOpError",
)
USER_FRAME = re.compile(r'File "([^"]+\.py)", line (\d+)')


def import_torch(
    module: nn.Module,
    args: Sequence[torch.Tensor],
    *,
    name: str = "model",
    input_names: Sequence[str] = (),
    formats: Mapping[str, str] | None = None,
    options: ImportOptions | None = None,
) -> EinsumGraph:
    """Export a module on its inputs and turn it into einsums.

    Args:
        module: any module; it is copied, put in eval mode, and not changed.
        args: tensors, of any layout. Floating ones stay inputs of the graph, with this data;
            integers and booleans are bound as constants.
        name: name of the graph.
        input_names: names of `args`; those of the parameters of `forward` by default.
        formats: format texts that come with the model, by tensor name or glob.
        options: what the user asks for.

    Raises:
        ModelError: if torch cannot export the module (I003, I004), or the export cannot be
            expressed (I001 to I021).
    """
    options = options or ImportOptions()
    frozen = _frozen_copy(module)
    inputs = tuple(each.detach() for each in args)
    layouts = _layouts(frozen)
    references = _run(frozen, inputs) if options.reference else []
    program = _export(frozen, inputs)
    names = tuple(input_names) or _placeholder_names(program)
    records = [
        InputRecord(each, data, _layout_of(data)) for each, data in zip(names, inputs, strict=True)
    ]
    graph = read_program(program, name, records, layouts, references)
    return lower_to_einsums(graph, options, formats)


def import_pt2(
    path: str | Path, *, name: str = "", options: ImportOptions | None = None
) -> EinsumGraph:
    """Read a program saved by `torch.export.save`, with its example inputs, into einsums.

    torch's own loader reads the file, which may run code that it holds: trusted files only.

    Raises:
        UsageError: U110 if there is no such file.
        ModelError: I005 if torch cannot load it; else as `import_torch`.
    """
    import torch

    path, options = Path(path), options or ImportOptions()
    if not path.is_file():
        raise UsageError("U110 no-file", "there is no such file", where=Location(file=str(path)))
    try:
        with _quiet():
            program = torch.export.load(path)
    except Exception as error:
        message = f"torch cannot load it as an exported program: {_first_line(error)}"
        raise ModelError("I005 bad-pt2", message, where=Location(file=str(path))) from error
    args, _ = program.example_inputs or ((), {})
    data = [each for each in args if isinstance(each, torch.Tensor)]
    references = _run(program.module(), args) if data and options.reference else []
    with _quiet():
        functional = decompose_unsupported(program.run_decompositions({}))
    names = _placeholder_names(functional)
    tensors: Sequence[torch.Tensor | None] = data or [None] * len(names)
    records = [InputRecord(n, each) for n, each in zip(names, tensors, strict=True)]
    graph = read_program(functional, name or path.stem, records, {}, references)
    return lower_to_einsums(graph, options)


def _frozen_copy(module: nn.Module) -> nn.Module:
    """Return a copy in eval mode and without gradients.

    torch cannot copy compressed layouts, nor what pruning computed from parameters, by itself; and
    a compressed parameter with a gradient would make the export end the process.
    """
    import torch

    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values(), *vars(part).values()):
            if not isinstance(tensor, torch.Tensor):
                continue
            if tensor.layout != torch.strided or tensor.grad_fn is not None:
                plain = tensor.detach().clone()
                is_parameter = isinstance(tensor, torch.nn.Parameter)
                memo[id(tensor)] = torch.nn.Parameter(plain, False) if is_parameter else plain
    return copy.deepcopy(module, memo).eval().requires_grad_(False)


def _run(module: Any, args: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
    """Return what the module computes, as flat list of float32 arrays."""
    import torch
    from torch.utils._pytree import tree_leaves

    try:
        with torch.no_grad():
            results = tree_leaves(module(*args))
    except Exception as error:
        message = f"the model does not run on its inputs: {type(error).__name__}: "
        raise ModelError(
            "I006 eager-failed", message + _first_line(error), where=_user_place(error)
        ) from error
    tensors = [each for each in results if isinstance(each, torch.Tensor)]
    return [to_array(each).astype(np.float32) for each in tensors]


def _export(module: nn.Module, args: tuple[torch.Tensor, ...]) -> ExportedProgram:
    """Export without decomposing anything; sparse tensors are made dense if torch needs that."""
    try:
        return _attempt_export(module, args)
    except Exception as error:  # torch raises anything
        first = error
    dense = tuple(each.to_dense() if _layout_of(each) else each for each in args)
    if not _make_dense(module) and all(map(operator.is_, dense, args)):
        raise _export_error(first) from first
    for inputs in (args, dense):
        try:
            return _attempt_export(module, inputs)
        except Exception as error:
            last = error
    raise _export_error(last) from last


def _attempt_export(module: nn.Module, args: tuple[torch.Tensor, ...]) -> ExportedProgram:
    import torch

    with torch.no_grad(), _quiet():
        program: ExportedProgram = torch.export.export(module, args, strict=False)
        return decompose_unsupported(program.run_decompositions({}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from reporting on its own internals; its exceptions say what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            stack.enter_context(redirect_stdout(io.StringIO()))
            stack.enter_context(redirect_stderr(io.StringIO()))
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _export_error(error: Exception) -> ModelError:
    kinds = {cls.__name__ for cls in type(error).__mro__}
    where = _user_place(error)
    if kinds & set(DATA_DEPENDENT):
        return ModelError(
            "I003 data-dependent",
            f"control flow or a shape depends on the values of tensors: {_first_line(error)}",
            where=where,
            fix="decide it outside of forward, or write it with torch.where",
        )
    message = f"torch cannot export the model: {type(error).__name__}: {_first_line(error)}"
    in_forward = "compressed tensor" in message or "SparseCsr" in message
    fix = "build sparse tensors outside of forward, as inputs or buffers" if in_forward else None
    return ModelError("I004 export-failed", message, where=where, fix=fix)


def _user_place(error: BaseException) -> Location | None:
    """Return the innermost line of the model that an exception of torch passed through."""
    import traceback

    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "torch" not in Path(frame.filename).parts
        and Path(frame.filename).parent != Path(__file__).parent
    ]
    frames += [(file, int(line)) for file, line in USER_FRAME.findall(str(error))]
    if not frames:
        return None
    file, line = frames[-1]
    return Location(file=f"{Path(file).name}:{line}")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _placeholder_names(program: ExportedProgram) -> tuple[str, ...]:
    return tuple(program.graph_signature.user_inputs)


def _layouts(module: nn.Module) -> dict[str, str]:
    """Return the format texts of all sparse parameters and buffers, by qualified name."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = {name: _layout_of(tensor) for name, tensor in tensors.items()}
    return {name: text for name, text in found.items() if text}


def _layout_of(tensor: torch.Tensor) -> str:
    """Return the format text of a sparse layout, "" for an ordinary tensor."""
    if str(tensor.layout) == "torch.sparse_coo":
        return ",".join(["compressed"] * tensor.dim())
    return LAYOUTS.get(str(tensor.layout), "")


def _make_dense(module: nn.Module) -> bool:
    """Replace sparse parameters and buffers by dense copies; return whether there were any."""
    import torch

    changed = False
    for part in module.modules():
        for name, tensor in [*part._parameters.items(), *part._buffers.items()]:
            if tensor is None or tensor.layout == torch.strided:
                continue
            dense = tensor.detach().to_dense()
            if name in part._parameters:
                part._parameters[name] = torch.nn.Parameter(dense, requires_grad=False)
            else:
                part._buffers[name] = dense
            changed = True
    return changed
