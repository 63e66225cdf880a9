# SPDX-License-Identifier: MIT
"""Exports a module with torch: on a copy without gradients, undecomposed, sparse layouts kept.

What torch cannot export with sparse parameters, buffers or inputs is exported with dense copies of
them; their layouts are recorded beforehand. Not here: what the export means (`torch.graph`).
"""

from __future__ import annotations

import copy
import io
import linecache
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError
from fuseflow.frontend.torch.decompose import decompose_unsupported
from fuseflow.frontend.torch.large import dense_form
from fuseflow.frontend.torch.values import to_array

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

__all__ = [
    "DATA_DEPENDENT",
    "compressed_tensors",
    "export_program",
    "first_line",
    "frozen_copy",
    "functional_program",
    "layout_of",
    "quiet",
    "run_eager",
    "sparse_layouts",
]

DATA_DEPENDENT = "I003 data-dependent"
"""The rule of errors about values that decide what is computed."""

LAYOUTS = {
    "torch.sparse_csr": "dense,compressed",
    "torch.sparse_csc": "dense,compressed@1,0",
    "torch.sparse_bsr": "dense,compressed",
    "torch.sparse_bsc": "dense,compressed@1,0",
}
_VALUE_ERRORS = (
    "GuardOnDataDependentSymNode",
    "UserError",
    "CondOp",
    "UncapturedHigherOrderOpError",
)
USER_FRAME = re.compile(r'File "([^"]+\.py)", line (\d+)')


def frozen_copy(module: nn.Module) -> nn.Module:
    """Return a copy of a module in eval mode and without gradients.

    torch cannot copy compressed layouts, nor what pruning computed from parameters, by itself; and
    a compressed parameter with a gradient would make the export end the process.
    """
    import torch

    # What torch.compile returns holds the module, and would compile it when it is run.
    module = getattr(module, "_orig_mod", module)
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


def run_eager(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[npt.NDArray[np.float32]]:
    """Return what a module computes, as flat list of float32 arrays.

    Raises ModelError I006, at the line of the model that failed.
    """
    import torch
    from torch.utils._pytree import tree_leaves

    try:
        with torch.no_grad(), warnings.catch_warnings():
            # torch's advice on speed is no news to whoever simulates the model.
            warnings.simplefilter("ignore")
            results = tree_leaves(module(*args, **kwargs))
    except Exception as error:
        message = f"the model does not run on its inputs: {type(error).__name__}: "
        message += first_line(error)
        fix = "give it weights: model.to_empty(device='cpu')" if "device meta" in message else None
        raise ModelError("I006 eager-failed", message, where=_user_place(error), fix=fix) from error
    tensors = [each for each in results if isinstance(each, torch.Tensor)]
    return [to_array(each).astype(np.float32) for each in tensors]


def export_program(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ExportedProgram:
    """Export a frozen copy; sparse tensors are made dense, in place, if torch needs that.

    Raises ModelError I003 if control flow depends on values, I004 if torch fails otherwise.
    """
    from torch.utils._pytree import tree_leaves, tree_map

    try:
        return _attempt_export(module, args, kwargs)
    except Exception as error:  # torch raises anything
        first = error
    has_sparse_input = any(map(_is_sparse, tree_leaves((args, kwargs))))
    if not _make_dense(module) and not has_sparse_input:
        raise _export_error(first) from first
    for inputs in ((args, kwargs), tree_map(_densified, (args, kwargs))):
        try:
            return _attempt_export(module, *inputs)
        except Exception as error:
            last = error
    if has_sparse_input:
        raise _sparse_input_error(first) from first
    raise _export_error(last) from last


def _is_sparse(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.layout != torch.strided


def _densified(value: Any) -> Any:
    return dense_form(value) if _is_sparse(value) else value


def _attempt_export(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ExportedProgram:
    import torch

    with torch.no_grad(), quiet():
        program: ExportedProgram = torch.export.export(module, args, kwargs, strict=False)
        return decompose_unsupported(functional_program(program))


def functional_program(program: ExportedProgram) -> ExportedProgram:
    """Return a program without operators that write into their operands.

    torch cannot trace some sparse operators a second time; a graph that has them is taken as it is.
    """
    try:
        functional: ExportedProgram = program.run_decompositions({})
    except Exception:
        if not any("sparse" in str(node.target) for node in program.graph.nodes):
            raise
        return program
    return functional


@contextmanager
def quiet() -> Iterator[None]:
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
    place, where = _user_frame(error), _user_place(error)
    if kinds & set(_VALUE_ERRORS):
        return ModelError(
            DATA_DEPENDENT,
            f"control flow or a shape depends on the values of tensors: {first_line(error)}",
            where=where,
            fix="decide it outside of forward, or write it with torch.where",
        )
    message = f"torch cannot export the model: {type(error).__name__}: {first_line(error)}"
    # torch fails on sparse tensors in many ways, and hardly ever says so.
    in_forward = any(word in message for word in ("compressed tensor", "SparseCsr")) or (
        place is not None and "sparse" in linecache.getline(*place)
    )
    fix = "build sparse tensors outside of forward, as inputs or buffers" if in_forward else None
    if "quantized" in message:
        fix = "import the model as it was before it was quantised, in float32"
    return ModelError("I004 export-failed", message, where=where, fix=fix)


def _sparse_input_error(error: Exception) -> ModelError:
    """Return the error for a model that computes with the lists inside of a sparse input."""
    return ModelError(
        DATA_DEPENDENT,
        "what forward does with a sparse input depends on which of its entries are stored, which "
        f"torch cannot export: {first_line(error)}",
        where=_user_place(error),
        fix="do it outside of forward (GCNConv: normalise the matrix before, and normalize=False), "
        "or pass a list of edges",
    )


def _user_place(error: BaseException) -> Location | None:
    place = _user_frame(error)
    return place and Location(file=f"{Path(place[0]).name}:{place[1]}")


def _user_frame(error: BaseException) -> tuple[str, int] | None:
    """Return the innermost line of the model that an exception of torch passed through."""
    import traceback

    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if "torch" not in Path(frame.filename).parts
        and not frame.filename.startswith("<")
        and Path(frame.filename).parent != Path(__file__).parent
    ]
    frames += [(file, int(line)) for file, line in USER_FRAME.findall(str(error))]
    return frames[-1] if frames else None


def first_line(error: BaseException) -> str:
    """Return the first line of a message that is not blank, else the kind of the exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def sparse_layouts(module: nn.Module) -> dict[str, str]:
    """Return the format texts of all sparse parameters and buffers, by qualified name."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = {name: layout_of(tensor) for name, tensor in tensors.items()}
    return {name: text for name, text in found.items() if text}


def compressed_tensors(module: nn.Module) -> list[str]:
    """Return name and layout of each parameter and buffer that is not strided or COO."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return [
        f"{name} ({tensor.layout})"
        for name, tensor in tensors.items()
        if str(tensor.layout) in LAYOUTS
    ]


def layout_of(tensor: torch.Tensor) -> str:
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
            dense = dense_form(tensor)
            if name in part._parameters:
                part._parameters[name] = torch.nn.Parameter(dense, requires_grad=False)
            else:
                part._buffers[name] = dense
            changed = True
    return changed
