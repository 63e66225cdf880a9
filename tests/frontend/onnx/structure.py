"""What makes two einsum graphs the same to the stages behind the importer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fuseflow.ir.einsum import Access, EinsumGraph, Role


def structure(graph: EinsumGraph) -> Iterator[Any]:
    """Yield all that can influence a schedule or a cycle, with values numbered as they occur."""
    numbers: dict[str, int] = {}

    def access(use: Access) -> tuple[int, tuple[str, ...]]:
        return numbers.setdefault(use.value, len(numbers)), use.indices

    for op in graph.einsums:
        operands = [access(use) for use in op.operands]
        scopes = [path for path, _ in op.sources[0].scopes]
        # Exporters compute some numbers themselves, and round on the way.
        parameters = [f"{value:.6g}" for value in op.parameters]
        yield access(op.output), op.fn, operands, op.reduce, op.over, parameters
        yield op.composite, scopes
    for name, number in numbers.items():
        value = graph.values[name]
        yield (
            number,
            value.shape,
            value.dtype,
            str(value.format),
            value.fill,
            value.role is Role.INPUT,
        )
    for output in graph.outputs:
        yield numbers[output.value], output.permutation, output.shape


def stored_data(graph: EinsumGraph) -> list[Any]:
    """Return the arrays of every operand, in the order in which einsums first read them."""
    names = dict.fromkeys(use.value for op in graph.einsums for use in op.operands)
    tensors = (graph.values[name].tensor for name in names)
    return [tensor.to_dense() for tensor in tensors if tensor is not None]
