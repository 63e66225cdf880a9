# SPDX-License-Identifier: MIT
"""What torch computes inside of a program: the values at given nodes.

They are the reference of a partial import, whose outputs are no outputs of the model.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.torch.inputs import InputRecord
from fuseflow.frontend.torch.values import to_array

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["values_at"]


def values_at(
    program: ExportedProgram, inputs: Sequence[InputRecord], names: Container[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the value of each named node, as float32; nothing if an input has no data."""
    import torch

    if any(record.data is None for record in inputs):
        return {}
    found: dict[str, npt.NDArray[np.float32]] = {}

    class Recorder(torch.fx.Interpreter):
        """Runs the graph and keeps the results that are asked for."""

        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            if n.name in names and isinstance(result, torch.Tensor):
                found[n.name] = to_array(result).astype(np.float32)
            return result

    with torch.no_grad():
        Recorder(program.graph_module).run(*_arguments(program, inputs))
    return found


def _arguments(program: ExportedProgram, inputs: Sequence[InputRecord]) -> list[Any]:
    """Return what the placeholders of the graph stand for, in their order."""
    state, constants = program.state_dict, program.constants
    tensors = iter(inputs)
    arguments: list[Any] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind.name != "USER_INPUT":
            target = str(spec.target)
            arguments.append(state[target] if target in state else constants[target])
        elif hasattr(spec.arg, "value"):
            arguments.append(spec.arg.value)
        else:
            arguments.append(next(tensors).data)
    return arguments
