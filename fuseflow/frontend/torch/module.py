# SPDX-License-Identifier: MIT
"""PyTorch modules -> EinsumGraph.

Not here: what an operator means (`torch.rules`), how torch exports (`torch.export`), and saved
exports (`torch.pt2`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.lower import lower_to_einsums
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.adjacency import with_edges
from fuseflow.frontend.torch.export import (
    DATA_DEPENDENT,
    export_program,
    frozen_copy,
    run_eager,
    sparse_layouts,
)
from fuseflow.frontend.torch.graph import read_program
from fuseflow.frontend.torch.inputs import ModuleInputs
from fuseflow.frontend.torch.large import large_tensors
from fuseflow.frontend.torch.precision import widen, widened
from fuseflow.ir.einsum import EinsumGraph

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

__all__ = ["import_torch"]


def import_torch(
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "model",
    input_names: Sequence[str] = (),
    formats: Mapping[str, str] | None = None,
    options: ImportOptions | None = None,
) -> EinsumGraph:
    """Export a module on its inputs and turn it into einsums.

    Args:
        module: any module; it is copied, put in eval mode, and not changed.
        args: positional arguments of `forward`: tensors of any layout, also nested, and numbers.
            Floating tensors stay inputs of the graph, with this data; those of integers and
            booleans are bound as constants.
        kwargs: keyword arguments of `forward`, the same.
        name: name of the graph.
        input_names: names of the tensors in `args`; those of `forward`'s parameters by default.
        formats: format texts that come with the model, by tensor name or glob.
        options: what the user asks for.

    Raises:
        UsageError: U120, U130, U131, U204 or what `bind.read_operand` raises, if an option does
            not fit the model.
        ModelError: if torch cannot export the module (I003, I004) or run it (I006), the export
            cannot be expressed (I001 to I021), or operands do not fit (I204 to I206).
    """
    from torch.utils._pytree import tree_map

    options = options or ImportOptions()
    frozen = frozen_copy(module)
    remarks = widen(frozen)
    args, kwargs = tree_map(widened, (tuple(args), dict(kwargs or {})))
    inputs = ModuleInputs.of(frozen, args, kwargs, input_names).bound(options)
    positional, keywords = inputs.arguments()
    layouts, large = sparse_layouts(frozen), large_tensors(frozen)
    references = run_eager(frozen, positional, keywords) if options.reference else []
    try:
        program = export_program(frozen, positional, keywords)
    except ModelError as error:
        listed = _on_edges(frozen, inputs, references) if error.rule == DATA_DEPENDENT else None
        if listed is None:
            raise
        inputs, program = listed
    graph = read_program(
        program, name, inputs.records, layouts, references, large=large, partial=options.partial
    )
    graph.notes += remarks
    return lower_to_einsums(graph, options, formats)


def _on_edges(
    module: nn.Module, inputs: ModuleInputs, references: Sequence[npt.NDArray[np.float32]]
) -> tuple[ModuleInputs, ExportedProgram] | None:
    """Export a module on the edges of its sparse inputs; None if it does not take lists."""
    expected = references or run_eager(module, *inputs.arguments())
    listed = with_edges(module, inputs, expected)
    return None if listed is None else (listed, export_program(module, *listed.arguments()))
