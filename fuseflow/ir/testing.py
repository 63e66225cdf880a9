# SPDX-License-Identifier: MIT
"""Builders of small graphs for tests: einsums as text, tensors as arrays with a format text.

    make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (a, "dense,compressed"), "B": (b, "dense,dense@1,0")},
        outputs=["Z"],
    )

    kernel = KernelBuilder("k")
    (root,) = kernel.add(Op.ROOT, RootAttrs("A"), outputs=["ref"])
    crd, ref = kernel.add(Op.SCAN, ScanAttrs("A", 0), [root], ["crd i:1", "ref i:1"])

Ships with the package so that users can test programs of their own. Both build what they are told;
use `verify_einsum_graph` and `verify_program` to know whether that is legal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fuseflow.ir.dataflow import (
    BroadcastAttrs,
    DataflowGraph,
    NoAttrs,
    Node,
    NodeAttrs,
    Op,
    Stream,
    StreamKind,
)
from fuseflow.ir.einsum import Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.einsum_text import parse_einsum, parse_format
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.tensor import Tensor, dense_format, tensor_from_dense

__all__ = [
    "KernelBuilder",
    "TensorSpec",
    "make_graph",
    "make_stream",
    "make_tensor",
    "sparse_array",
]

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


class KernelBuilder:
    """Builds a kernel node by node; `graph` is the result so far."""

    def __init__(self, name: str = "k") -> None:
        """Start an empty kernel."""
        self.graph = DataflowGraph(name)

    def add(
        self,
        op: Op,
        attrs: NodeAttrs | None = None,
        inputs: Sequence[int | None] = (),
        outputs: Sequence[str] = (),
        *,
        name: str = "",
    ) -> tuple[int, ...]:
        """Append a node and return the ids of its output streams.

        Outputs are texts as `make_stream` takes them; "" is an output that is void, with id 0.
        """
        ids = tuple(self._declare(text) if text else 0 for text in outputs)
        number = len(self.graph.nodes)
        ends = tuple(sid or None for sid in ids)
        node = Node(number, op, name or f"{op}{number}", tuple(inputs), ends, attrs or NoAttrs())
        self.graph.nodes.append(node)
        return ids

    def copy(self, sid: int, copies: int = 2) -> tuple[int, ...]:
        """Broadcast a stream."""
        stream = self.graph.streams[sid]
        outputs = [replace(stream, id=len(self.graph.streams) + 1 + n) for n in range(copies)]
        self.graph.streams |= {copy.id: copy for copy in outputs}
        ids = tuple(copy.id for copy in outputs)
        number = len(self.graph.nodes)
        attrs = BroadcastAttrs(copies)
        node = Node(number, Op.BROADCAST, f"broadcast{number}", (sid,), ids, attrs)
        self.graph.nodes.append(node)
        return ids

    def _declare(self, text: str) -> int:
        sid = len(self.graph.streams) + 1
        self.graph.streams[sid] = make_stream(sid, text)
        return sid


def make_stream(sid: int, text: str) -> Stream:
    """Return a stream from its kind and its indices, with domain ids or without.

    For example "ref" (depth 0), "crd i k" (unknown domains) or "val i:1 k:2".
    """
    kind, *nest = text.split()
    pairs = [entry.partition(":") for entry in nest]
    names = tuple(name for name, _, _ in pairs)
    domains = tuple(int(domain) for _, _, domain in pairs if domain)
    return Stream(sid, StreamKind(kind), names, domains)
