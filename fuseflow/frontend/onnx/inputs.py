# SPDX-License-Identifier: MIT
"""Gives every input of an ONNX model its data: bound to a file, or drawn if the user asks so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Finding, Location, ModelError
from fuseflow.frontend.onnx.operators import shape_that_follows
from fuseflow.frontend.operands.bind import (
    operand_sources,
    read_operand,
    stated_densities,
    unknown_input,
)
from fuseflow.frontend.operands.operand import Operand, as_wanted, convert, random_operand
from fuseflow.frontend.options import ImportOptions

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["BoundInput", "bind_inputs"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class BoundInput:
    """The data of an input, of the declared type, and the format text of its file if sparse.

    `remarks` is what there is to know about the file.
    """

    array: Array
    layout: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Declared:
    """What the model says of an input; an extent that is a name or unknown is a string."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def bind_inputs(model: OnnxFile, options: ImportOptions) -> dict[str, BoundInput]:
    """Return the data of every input, in the order of the model.

    Raises UsageError for a binding or shape that names no input; ModelError I205 that lists every
    input without data, I206 for data that does not fit, I207 for an input that is no float32,
    integer or boolean tensor.
    """
    declared = _with_shapes(
        model, [_declaration(model, value) for value in model.inputs], options.input_shapes
    )
    names = [entry.name for entry in declared]
    sources = operand_sources(names, options, str(model.path))
    operands = {name: read_operand(source) for name, source in sources.items()}
    densities = stated_densities(names, options)
    for entry in declared:
        # A density without data asks for data of that density.
        if entry.name not in operands and (
            options.random_inputs is not None or entry.name in densities
        ):
            operands[entry.name] = _draw(
                model, entry, options.random_inputs or 0, densities.get(entry.name, 1.0)
            )
    _require_complete(model, declared, operands)
    extents: dict[str, int] = {}
    return {entry.name: _fit(model, entry, operands[entry.name], extents) for entry in declared}


def _declaration(model: OnnxFile, value: onnx.ValueInfoProto) -> _Declared:
    from onnx import helper

    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise _wrong(model, "I207 input-type", value.name, "is no tensor of known rank")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype != np.float32 and dtype.kind not in "iub":
        message = f"has type {dtype}; einsums compute with float32"
        raise _wrong(model, "I207 input-type", value.name, message, fix="export in float32")
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return _Declared(value.name, dtype, shape)


def _with_shapes(
    model: OnnxFile, declared: list[_Declared], shapes: Mapping[str, tuple[int, ...]]
) -> list[_Declared]:
    """Fix the extents that the user gives; those that the model fixes must agree."""
    names = [entry.name for entry in declared]
    for name in shapes:
        if name not in names:
            raise unknown_input(name, names, str(model.path))
    for entry in declared:
        wanted = shapes.get(entry.name, entry.shape)
        open_or_equal = len(wanted) == len(entry.shape) and all(
            isinstance(own, str) or own == given
            for own, given in zip(entry.shape, wanted, strict=True)
        )
        if not open_or_equal:
            message = f"the shape {list(wanted)} is asked for, the model was exported for {entry}"
            raise _wrong(model, "I206 input-data", entry.name, message)
    return [replace(entry, shape=shapes.get(entry.name, entry.shape)) for entry in declared]


def _draw(model: OnnxFile, entry: _Declared, seed: int, density: float) -> Operand:
    shape = tuple(extent for extent in entry.shape if isinstance(extent, int))
    if len(shape) != len(entry.shape):
        message = f"{entry} has no fixed shape that random data could have"
        fix = f"--input-shape {entry.name}=SHAPE, or --bind {entry.name}=FILE"
        raise _wrong(model, "I205 unbound-input", entry.name, message, fix)
    return random_operand(shape, entry.dtype, seed, entry.name, density)


def _require_complete(
    model: OnnxFile, declared: list[_Declared], operands: Mapping[str, Operand]
) -> None:
    findings = [_unbound(model, entry) for entry in declared if entry.name not in operands]
    if findings:
        raise ModelError.from_findings(findings)


def _unbound(model: OnnxFile, entry: _Declared) -> Finding:
    message, fix = f"{entry} has no data", f"--bind {entry.name}=FILE"
    pattern = shape_that_follows(model.proto.graph, entry.name) if entry.dtype.kind != "f" else ""
    if pattern:
        message += f", and the shape of {pattern} depends on it"
        # A layer that keeps what it derived from the edges needs them no more.
        fix += ", or export with cached=True"
    else:
        fix += ", or --random-inputs SEED"
    return Finding("I205 unbound-input", message, Location(str(model.path), node=entry.name), fix)


def _fit(
    model: OnnxFile, entry: _Declared, operand: Operand, extents: dict[str, int]
) -> BoundInput:
    """Check an operand against its declaration and return it in the declared type.

    `extents` are those of the named dimensions that inputs before this one have fixed.
    """
    fixed = [extent if isinstance(extent, int) else None for extent in entry.shape]
    operand = as_wanted(operand, entry.dtype, fixed)
    shape = operand.array.shape
    wanted = tuple(
        extents.setdefault(extent, found) if isinstance(extent, str) and extent != "?" else extent
        for extent, found in zip(entry.shape, shape, strict=False)
    )
    fits = len(shape) == len(entry.shape) and all(
        extent in ("?", found) for extent, found in zip(wanted, shape, strict=True)
    )
    if not fits:
        message = f"{operand.file} has shape {list(shape)}, the model was exported for {entry}"
        fix = "bind data of that shape, or export with dynamic dimensions"
        raise _wrong(model, "I206 input-data", entry.name, message, fix)
    return BoundInput(_convert(model, entry, operand), operand.layout, operand.remarks)


def _convert(model: OnnxFile, entry: _Declared, operand: Operand) -> Array:
    try:
        return convert(operand, entry.dtype)
    except ValueError as error:
        raise _wrong(model, "I206 input-data", entry.name, str(error)) from error


def _wrong(
    model: OnnxFile, rule: str, name: str, message: str, fix: str | None = None
) -> ModelError:
    return ModelError(rule, message, where=Location(file=str(model.path), node=name), fix=fix)
