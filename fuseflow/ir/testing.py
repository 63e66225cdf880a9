# SPDX-License-Identifier: MIT
"""Builders of small graphs for tests: einsums as text, tensors as arrays with a format text.

    make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (a, "dense,compressed"), "B": (b, "dense,dense@1,0")},
        outputs=["Z"],
    )

Ships with the package so that users can test programs of their own. It builds what it is told;
use `verify_einsum_graph` to know whether that is a legal graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fuseflow.ir.einsum import Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.einsum_text import parse_einsum, parse_format
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.tensor import Tensor, dense_format, tensor_from_dense

__all__ = ["TensorSpec", "make_graph", "make_tensor", "sparse_array"]

TensorSpec = Tensor | npt.ArrayLike | tuple[npt.ArrayLike, str]


def make_graph(
    einsums: Iterable[str],
    tensors: Mapping[str, TensorSpec],
    outputs: Sequence[str] = (),
    *,
    name: str = "test",
    references: bool = False,
) -> EinsumGraph:
    """Build an einsum graph from text and arrays.

    Args:
        einsums: one text per einsum, in evaluation order (see `fuseflow.ir.einsum_text`).
        tensors: data of every value that no einsum computes: a `Tensor`, an array (stored dense)
            or a pair of an array and the text that `make_tensor` takes.
        outputs: names of values; by default the output of the last einsum. Each is returned to
            the user in its own dimension order.
        name: name of the graph.
        references: store the dense evaluation as the reference of every output.

    Raises:
        GraphError: E101 if a text cannot be read.
        KeyError: if an einsum uses a value that is neither in `tensors` nor computed before.
    """
    graph = EinsumGraph(name)
    for value_name, spec in tensors.items():
        tensor = make_tensor(spec)
        graph.values[value_name] = Value(
            name=value_name,
            shape=tensor.shape,
            role=Role.INPUT,
            format=tensor.format,
            fill=tensor.fill,
            tensor=tensor,
        )
    for text in einsums:
        _append(graph, parse_einsum(text))
    for value_name in outputs or [graph.einsums[-1].output.value]:
        shape = graph.values[value_name].shape
        graph.outputs.append(Output(value_name, value_name, tuple(range(len(shape))), shape))
    if references:
        dense = evaluate_outputs(graph)
        graph.outputs = [replace(out, reference=dense[out.name]) for out in graph.outputs]
    return graph


def make_tensor(spec: TensorSpec) -> Tensor:
    """Store an array as a tensor.

    The text of a pair is a format ("compressed,compressed@1,0"), then optional words separated by
    blanks: "fill=-inf" for a background that is not 0, "pattern" for a mask without values.
    """
    if isinstance(spec, Tensor):
        return spec
    if not isinstance(spec, tuple):
        return tensor_from_dense(spec)
    array, text = spec
    layout, *words = text.split() or [""]
    options = dict(word.partition("=")[::2] for word in words)
    unknown = options.keys() - {"fill", "pattern"}
    if unknown:
        raise ValueError(f"unknown words in the tensor text {text!r}: {sorted(unknown)}")
    fmt = parse_format(layout) if layout else dense_format(np.ndim(array))
    fill = float(options.get("fill", "0"))
    return tensor_from_dense(array, fmt, fill=fill, pattern="pattern" in options)


def sparse_array(
    rng: np.random.Generator, shape: tuple[int, ...], density: float = 0.5, fill: float = 0.0
) -> npt.NDArray[np.float32]:
    """Return an array of multiples of 1/8 between -2 and 2, `fill` outside a random pattern."""
    values = rng.integers(-16, 17, size=shape).astype(np.float32) / np.float32(8)
    return np.where(rng.random(shape) < density, values, np.float32(fill)).astype(np.float32)


def _append(graph: EinsumGraph, op: Einsum) -> None:
    """Add an einsum under a name of its own, and the value that it computes."""
    sizes = {name: size for access in op.operands for name, size in graph.extents(access)}
    shape = tuple(sizes[name] for name in op.output.indices)
    graph.values[op.output.value] = Value(op.output.value, shape, Role.INTERMEDIATE)
    graph.einsums.append(op)
