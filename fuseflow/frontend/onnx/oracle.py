# SPDX-License-Identifier: MIT
"""Runs an ONNX file on its inputs, for the reference outputs that programs are compared with.

onnxruntime where it is installed, on one thread so that results repeat; else the reference
evaluator of onnx.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.onnx.tensors import first_line, refuse

if TYPE_CHECKING:
    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["run_model"]

Array = npt.NDArray[Any]
_SILENT = 4
_EVALUATOR = "the reference evaluator of onnx"


def run_model(model: OnnxFile, inputs: Mapping[str, Array]) -> tuple[str, list[Array]]:
    """Return the name of the runtime and the outputs of the model, in its order.

    What onnxruntime refuses to load, though it is a valid model, is evaluated by onnx. Raises
    ModelError I218 if the runtime fails on the model.
    """
    if model.is_part:
        return _EVALUATOR, _evaluate(model, inputs)
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return _EVALUATOR, _evaluate(model, inputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(model.path), options, providers=["CPUExecutionProvider"]
        )
    # The exceptions of the runtime share no class but this one.
    except Exception as error:
        reason = f"{_EVALUATOR}, as onnxruntime does not load the model: {first_line(error)}"
        return reason, _evaluate(model, inputs)
    try:
        return "onnxruntime", [np.asarray(output) for output in session.run(None, dict(inputs))]
    except Exception as error:
        message = f"onnxruntime cannot run the model: {first_line(error)}"
        fix = "import it without reference outputs"
        raise refuse(model.path, "I218 reference", message, fix=fix) from error


def _evaluate(model: OnnxFile, inputs: Mapping[str, Array]) -> list[Array]:
    """Run the checked model, whose large constants are inputs, on the evaluator of onnx."""
    from onnx.reference import ReferenceEvaluator

    declared = {value.name for value in model.proto.graph.input}
    constants = {name: array for name, array in model.constants.items() if name in declared}
    try:
        return [
            np.asarray(output)
            for output in ReferenceEvaluator(model.proto).run(None, {**constants, **inputs})
        ]
    # The evaluator runs Python of its own for every operator and may raise anything.
    except Exception as error:
        message = f"the reference evaluator cannot run the model: {first_line(error)}"
        raise refuse(model.path, "I218 reference", message) from error
