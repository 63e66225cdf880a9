# SPDX-License-Identifier: MIT
"""The inputs of a torch model: their names, what is bound to them, their sparse layouts.

Not here: how files of operands are read (`bind`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fuseflow.errors import Location, ModelError, UsageError
from fuseflow.frontend.operands.bind import operand_sources, read_operand
from fuseflow.frontend.operands.operand import Operand, as_wanted, convert
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.export import layout_of

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["InputRecord", "ModuleInputs", "bind_tensor"]


@dataclass(frozen=True, slots=True)
class InputRecord:
    """What is known about an input before the export: its name, data and sparse layout.

    `layout_rule` says who found the layout: the tensor itself, or the file bound to it. `remarks`
    is what there is to know about that file.
    """

    name: str
    data: torch.Tensor | None = None
    layout: str = ""
    layout_rule: str = "layout"
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleInputs:
    """The arguments of `forward`, flat: `records` has one per tensor, in the order of the export.

    Arguments may be nested in tuples, lists and dicts, and may be numbers or None, which are fixed
    by the export.
    """

    records: tuple[InputRecord, ...]
    _leaves: tuple[Any, ...]
    _structure: Any

    @classmethod
    def of(
        cls,
        module: nn.Module,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: Sequence[str] = (),
    ) -> ModuleInputs:
        """Take apart the arguments; `names` are those of the tensors, by default the parameters'.

        Raises UsageError U131 if there are more arguments than `forward` has parameters.
        """
        import torch
        from torch.utils._pytree import tree_flatten, tree_leaves

        kwargs = _in_order(module, kwargs)
        leaves, structure = tree_flatten((tuple(args), kwargs))
        leaves = [each.detach() if isinstance(each, torch.Tensor) else each for each in leaves]
        places = [
            f"{name}_{place}" if len(parts) > 1 else name
            for name, value in (*_positional(module, args), *kwargs.items())
            for parts in [tree_leaves(value)]
            for place in range(len(parts))
        ]
        tensors = [
            (name, leaf)
            for name, leaf in zip(places, leaves, strict=True)
            if isinstance(leaf, torch.Tensor)
        ]
        known = names or [name for name, _ in tensors]
        records = tuple(
            InputRecord(name, tensor, layout_of(tensor))
            for name, (_, tensor) in zip(known, tensors, strict=True)
        )
        return cls(records, tuple(leaves), structure)

    def bound(self, options: ImportOptions) -> ModuleInputs:
        """Return the inputs with the files that the user binds, or names in a sidecar.

        Raises UsageError U204 for a binding to no input; what `read_operand` raises; ModelError
        I206 for data that do not fit.
        """
        sources = operand_sources([record.name for record in self.records], options)
        records = tuple(
            bind_tensor(record, read_operand(sources[record.name]))
            if record.name in sources
            else record
            for record in self.records
        )
        return replace(self, records=records)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments, with the tensors of the records."""
        import torch
        from torch.utils._pytree import tree_unflatten

        tensors = iter(self.records)
        leaves = [
            next(tensors).data if isinstance(leaf, torch.Tensor) else leaf for leaf in self._leaves
        ]
        args, kwargs = tree_unflatten(leaves, self._structure)
        return args, kwargs


def bind_tensor(record: InputRecord, operand: Operand) -> InputRecord:
    """Return the record of an input with the data of an operand, in the input's type and layout.

    Raises ModelError I206 if the operand has another rank or values that the type cannot hold.
    """
    import torch

    example = record.data
    assert example is not None
    kind = np.dtype(str(example.dtype).removeprefix("torch.").replace("bfloat16", "float32"))
    fitted = as_wanted(operand, kind, tuple(example.shape))
    if fitted.array.ndim != example.dim():
        message = (
            f"{operand.file} has shape {list(fitted.array.shape)}, "
            f"the input has shape {list(example.shape)}"
        )
        raise ModelError("I206 input-data", message, where=Location(node=record.name))
    try:
        data = torch.from_numpy(convert(fitted, kind)).to(example.dtype)
    except ValueError as error:
        where = Location(node=record.name)
        raise ModelError("I206 input-data", str(error), where=where) from error
    if example.layout == torch.strided:
        return InputRecord(record.name, data, fitted.layout, "file", fitted.remarks)
    return replace(record, data=_in_layout(data, example), remarks=fitted.remarks)


def _in_layout(data: torch.Tensor, example: torch.Tensor) -> torch.Tensor:
    import torch

    if example.layout in (torch.sparse_bsr, torch.sparse_bsc):
        return data.to_sparse(layout=example.layout, blocksize=tuple(example.values().shape[-2:]))
    return data.to_sparse(layout=example.layout)


def _positional(module: nn.Module, args: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return each positional argument with the name that torch gives it."""
    parameters = inspect.signature(module.forward).parameters.values()
    plain = [
        each.name
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    rest = next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), "")
    if len(args) > len(plain) and not rest:
        message = f"{len(args)} inputs are given, forward takes {len(plain)}"
        raise UsageError("U131 too-many-inputs", message)
    names = plain + [f"{rest}_{place}" for place in range(len(args) - len(plain))]
    return list(zip(names, args, strict=False))


def _in_order(module: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments in the order of the parameters, as the export has them."""
    parameters = inspect.signature(module.forward).parameters
    return {name: kwargs[name] for name in parameters if name in kwargs} | dict(kwargs)
