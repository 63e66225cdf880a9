# SPDX-License-Identifier: MIT
"""ONNX file -> EinsumGraph: load, bind inputs, fold, undo spellings, translate, run the reference.

Not here: how a file is opened safely (`onnx.load`), and everything after the graph of tensor
operators (`lower`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import OpGraph, OpValue
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.frontend.onnx.context import RuleContext
from fuseflow.frontend.onnx.control import has_control, unfold
from fuseflow.frontend.onnx.fold import LiveGraph, OnnxNode, fold
from fuseflow.frontend.onnx.inputs import BoundInput, bind_inputs
from fuseflow.frontend.onnx.load import OnnxFile, check_model, load_onnx
from fuseflow.frontend.onnx.operators import Unsupported, find_unsupported, require_supported
from fuseflow.frontend.onnx.oracle import run_model
from fuseflow.frontend.onnx.partial import cut
from fuseflow.frontend.onnx.patterns import MATCHED_ONLY, recognise
from fuseflow.frontend.onnx.rules import RULES
from fuseflow.frontend.onnx.tensors import LIMIT_BYTES, refuse
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph, Role

__all__ = ["import_onnx", "read_onnx"]

_SUPPORTED = frozenset(RULES) | MATCHED_ONLY
_Refused = tuple[OnnxNode, ModelError]


def import_onnx(
    path: str | Path,
    options: ImportOptions | None = None,
    formats: Mapping[str, str] | None = None,
) -> EinsumGraph:
    """Import the model in an ONNX file, of opset 7 to 26, with data for all of its inputs.

    `options.bindings` names the file of each input; `formats` come with the model and yield to
    those of `options`. Raises what `read_onnx` and `lower_to_einsums` raise.
    """
    options = options or ImportOptions()
    return lower_to_einsums(read_onnx(path, options), options, formats)


def read_onnx(path: str | Path, options: ImportOptions) -> OpGraph:
    """Read an ONNX file into tensor operators, with reference outputs if the options ask for them.

    Raises:
        UsageError: if a file does not exist, a binding names no input, or onnx is not installed.
        ModelError: I001 for all operators that are not supported, I002 and I009 for a form of one
            that is not, I015 for a dynamic shape, I204 to I207 for operands, I210 to I219 for the
            file itself.
    """
    _require_onnx()
    model = load_onnx(Path(path))
    inputs = _unfolded_on(model, options)
    left_out = cut(model, find_unsupported(model, _SUPPORTED)) if options.partial else []
    require_supported(model, _SUPPORTED)
    inputs = inputs or bind_inputs(model, options)
    context, refused = _translated(model, inputs)
    while refused and options.partial:
        left_out += cut(model, _as_unsupported(model, refused))
        context, refused = _translated(model, inputs)
    if refused:
        raise ModelError.from_findings([each for _, error in refused for each in error.findings])
    context.builder.graph.notes += left_out
    arrays = {name: entry.array for name, entry in inputs.items()}
    _add_outputs(context.builder, model, context, arrays if options.reference else None)
    return context.builder.graph


def _translated(
    model: OnnxFile, inputs: Mapping[str, BoundInput]
) -> tuple[RuleContext, list[_Refused]]:
    """Translate a model as far as that goes; return the nodes that have no spelling, with why."""
    live = fold(model, {name: entry.array for name, entry in inputs.items()})
    recognise(live, model.opset)
    _require_bounded(model, live)
    context = _context(model, live, inputs)
    return context, _translate(context)


def _as_unsupported(model: OnnxFile, refused: Sequence[_Refused]) -> Unsupported:
    """Return the nodes of the file that those without a spelling come from."""
    outputs = {name for node, _ in refused for name in node.outputs if name}
    places = (n for n, node in enumerate(model.proto.graph.node) if outputs & set(node.output))
    findings = tuple(each for _, error in refused for each in error.findings)
    known = find_unsupported(model, _SUPPORTED).known
    return Unsupported(findings, frozenset(places), known)


def _unfolded_on(model: OnnxFile, options: ImportOptions) -> dict[str, BoundInput]:
    """Replace control flow, if there is any, as the data of the inputs decide; return these."""
    if not has_control(model):
        return {}
    inputs = bind_inputs(model, options)
    unfold(model, {name: entry.array for name, entry in inputs.items()})
    check_model(model)
    return inputs


def _require_bounded(model: OnnxFile, live: LiveGraph) -> None:
    """Refuse a model that computes a value which no runtime should be asked to."""
    for node in live.nodes:
        for name in filter(None, node.outputs):
            shape = [dim.dim_value for dim in live.types[name].tensor_type.shape.dim]
            if 4 * math.prod(shape) > LIMIT_BYTES:
                message = f'"{name}" has the shape {shape}, which takes more than 2 GiB'
                raise refuse(model.path, "I219 value-size", message, node=node.origin.loc.node)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        message = "reading ONNX files needs the package onnx, which is not installed"
        raise UsageError("U211 no-onnx", message, fix="pip install 'fuseflow[onnx]'") from error


def _context(model: OnnxFile, live: LiveGraph, inputs: Mapping[str, BoundInput]) -> RuleContext:
    """Start the graph with the inputs that einsums compute with; the others come when read."""
    layouts = _stated_layouts(model)
    for name, entry in inputs.items():
        if entry.layout:
            layouts.setdefault(name, (entry.layout, "file"))
    builder = OpBuilder(model.path.stem)
    builder.graph.notes += [remark for entry in inputs.values() for remark in entry.remarks]
    plain = {
        name: entry for name, entry in inputs.items() if not _is_edge_weight(entry, live, name)
    }
    context = RuleContext(builder, live, frozenset(plain), layouts)
    for name, entry in plain.items():
        if entry.array.dtype.kind == "f":
            layout, rule = layouts.get(name, ("", ""))
            value = OpValue(name, entry.array.shape, Role.INPUT, entry.array, layout, rule)
            context.names[name] = builder.add_value(value)
    return context


def _is_edge_weight(entry: BoundInput, live: LiveGraph, name: str) -> bool:
    """True for a float input that was folded: it decides, with the edges, what is computed."""
    return entry.array.dtype.kind == "f" and name in live.known


def _stated_layouts(model: OnnxFile) -> dict[str, tuple[str, str]]:
    """Return the format texts in the file: its metadata win over sparse initializers."""
    layouts = {
        name: (",".join(["compressed"] * pattern.ndim), "sparse_initializer")
        for name, pattern in model.patterns.items()
    }
    return layouts | {name: (text, "metadata") for name, text in model.layouts.items()}


def _translate(context: RuleContext) -> list[_Refused]:
    """Apply the rule of every node; return those that have no spelling.

    What reads their results is not looked at.
    """
    refused: list[_Refused] = []
    lost: set[str] = set()
    for node in context.live.nodes:
        if not lost.isdisjoint(node.inputs):
            lost.update(node.outputs)
            continue
        context.node = node
        context.builder.sources = tuple(origin.loc for origin in node.origins)
        try:
            if node.op not in RULES:
                raise context.error("is supported only as a guard against NaN behind a softmax")
            context.require_number()
            context.results(RULES[node.op](context))
        except ModelError as error:
            refused.append((node, error))
            lost.update(name for name in node.outputs if name)
    context.builder.sources = ()
    return refused


def _add_outputs(
    builder: OpBuilder,
    model: OnnxFile,
    context: RuleContext,
    inputs: Mapping[str, npt.NDArray[Any]] | None,
) -> None:
    """Declare the outputs; with `inputs` the model is run on them for reference."""
    declared = model.proto.graph.output
    references: list[npt.NDArray[np.float32] | None] = [None] * len(declared)
    if inputs is not None:
        runtime, outputs = run_model(model, inputs)
        references = [output.astype(np.float32) for output in outputs]
        builder.graph.notes.append(f"reference outputs come from {runtime}")
    names = context.live.outputs
    for value, name, reference in zip(declared, names, references, strict=True):
        builder.output(value.name, context.name(name), reference)
