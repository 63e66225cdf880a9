"""Importing small functions and modules, with the dense evaluation compared with eager torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.verify_einsum import verify_einsum_graph


class Function(nn.Module):
    """A function as a module; its keyword arguments become buffers."""

    def __init__(self, function: Callable[..., Any], **buffers: Tensor) -> None:
        super().__init__()
        self.function = function
        self.names = tuple(buffers)
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args, **{name: getattr(self, name) for name in self.names})


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Return seeded normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def imported(
    model: nn.Module | Callable[..., Any],
    *args: Tensor,
    buffers: Mapping[str, Tensor] | None = None,
    **keywords: Any,
) -> EinsumGraph:
    """Import a module or a function, verify the graph and compare its values with eager torch."""
    module = model if isinstance(model, nn.Module) else Function(model, **(buffers or {}))
    graph = import_torch(module, args, **keywords)
    verify_einsum_graph(graph)
    assert_equal_to_reference(graph)
    return graph


def assert_equal_to_reference(graph: EinsumGraph) -> None:
    """Compare what the einsums compute with what the framework computed."""
    results = evaluate_outputs(graph)
    assert graph.outputs
    for output in graph.outputs:
        assert output.reference is not None
        scale = float(np.abs(output.reference[np.isfinite(output.reference)]).max(initial=1e-3))
        np.testing.assert_allclose(
            results[output.name], output.reference, rtol=1e-5, atol=1e-5 * scale
        )


def functions(graph: EinsumGraph) -> list[str]:
    """Return the scalar function of each einsum, behind its reduction if it has one."""
    return [f"{op.reduce}:{op.fn}" if op.reduce else op.fn for op in graph.einsums]


def only(graph: EinsumGraph) -> Einsum:
    """Return the one einsum of a graph."""
    (op,) = graph.einsums
    return op
