# SPDX-License-Identifier: MIT
"""Construction of an `OpGraph`: one method per tensor operator, with shape inference.

Loaders call these methods and set `source` before they do; what is spelled
with several of them (a linear layer, attention) is in `spellings`.

Not here: anything that looks at values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.graph.location import locate
from fuseflow.frontend.graph.ops import (
    ConcatAttrs,
    ContractAttrs,
    DimAttrs,
    GatherAttrs,
    MapAttrs,
    NoAttrs,
    NormAttrs,
    OpAttrs,
    OpGraph,
    OpKind,
    OpOutput,
    OpValue,
    PermuteAttrs,
    ReduceAttrs,
    ScatterAttrs,
    ShapeAttrs,
    SliceAttrs,
    TensorOp,
)
from fuseflow.ir.einsum import Role, SourceLoc
from fuseflow.ir.scalar import SCALAR_FUNCTIONS

__all__ = ["OpBuilder"]

Shape = tuple[int, ...]


class OpBuilder:
    """Appends values and operators to `graph`.

    Every method takes and returns names of values. `sources` is attached to each operator that is
    appended. A shape that does not fit raises ModelError I009 operand-shape at the first source.
    """

    def __init__(self, name: str, composites: Sequence[TensorOp] = ()) -> None:
        """Start an empty graph; names of the `composites` that exist already are not used again."""
        self.graph = OpGraph(name)
        self.sources: tuple[SourceLoc, ...] = ()
        self._composite = ""
        self._counter = 0
        self._composites: dict[str, int] = {}
        for kind, _, number in (op.composite.rpartition("_") for op in composites):
            self._composites[kind] = max(self._composites.get(kind, 0), int(number or 0))

    @property
    def source(self) -> SourceLoc:
        """The operator of the user's model that is being spelled."""
        return self.sources[0] if self.sources else SourceLoc()

    @source.setter
    def source(self, source: SourceLoc) -> None:
        self.sources = (source,)

    # Values.

    def add_value(self, value: OpValue) -> str:
        """Add an input, a parameter or a constant; a taken name gets a number."""
        name = self.unique_name(value.name)
        self.graph.values[name] = replace(value, name=name, label=value.label or value.name)
        return name

    def constant(
        self, data: npt.ArrayLike, name: str = "constant", layout: str = "", rule: str = ""
    ) -> str:
        """Add a constant that is no parameter of the model."""
        array = np.asarray(data)
        value = OpValue(name, array.shape, Role.CONSTANT, array, layout, rule)
        return self.add_value(value)

    def output(
        self, name: str, value: str, reference: npt.NDArray[np.float32] | None = None
    ) -> None:
        """Declare a result of the model."""
        self.graph.outputs.append(OpOutput(name, value, reference))

    def shape(self, name: str) -> Shape:
        """Return the shape of a value."""
        return self.graph.values[name].shape

    def unique_name(self, wanted: str) -> str:
        """Return `wanted`, with a number behind it if a value has that name already."""
        name, number = wanted, 0
        while name in self.graph.values:
            number += 1
            name = f"{wanted}_{number}"
        return name

    @contextmanager
    def composite(self, kind: str) -> Iterator[None]:
        """Mark the operators appended inside as the spelling of one source operator.

        Inside another composite this changes nothing.
        """
        before = self._composite
        if not before:
            self._composites[kind] = self._composites.get(kind, 0) + 1
            self._composite = f"{kind}_{self._composites[kind]}"
        try:
            yield
        finally:
            self._composite = before

    @contextmanager
    def as_part_of(self, op: TensorOp) -> Iterator[None]:
        """Append operators that come from the same place as `op`, which they replace."""
        before = self._composite, self.sources
        self._composite, self.sources = op.composite, op.sources
        try:
            yield
        finally:
            self._composite, self.sources = before

    def repeat(self, op: TensorOp, inputs: Sequence[str], shape: Shape) -> str:
        """Append `op` again, on other inputs of the same shapes; `shape` is that of its result."""
        return self._append(op.kind, inputs, shape, op.attrs)

    # Operators that keep their operands' indices.

    def map(self, fn: str, *operands: str, parameters: Sequence[float] = ()) -> str:
        """Apply a scalar function to operands that broadcast against each other."""
        row = SCALAR_FUNCTIONS[fn]
        if len(operands) != row.arity or len(parameters) != len(row.parameters):
            raise ValueError(f"{fn} takes {row.arity} operands and parameters {row.parameters}")
        shape = self._broadcast(*map(self.shape, operands))
        return self._append(OpKind.MAP, operands, shape, MapAttrs(fn, tuple(parameters)))

    def where(self, condition: str, a: str, b: str) -> str:
        """Choose between `a` (condition true) and `b` elementwise, with broadcasting."""
        shape = self._broadcast(self.shape(condition), self.shape(a), self.shape(b))
        return self._append(OpKind.WHERE, (condition, a, b), shape, NoAttrs())

    def softmax(self, x: str, dim: int, *, zero_rows: bool = False) -> str:
        """Normalise exponentials along `dim`; `zero_rows`: rows of -inf give 0 in the framework."""
        attrs = DimAttrs(self.dim(x, dim), zero_rows)
        return self._append(OpKind.SOFTMAX, (x,), self.shape(x), attrs)

    def log_softmax(self, x: str, dim: int) -> str:
        """Take the logarithm of a softmax along `dim`."""
        return self._append(OpKind.LOG_SOFTMAX, (x,), self.shape(x), DimAttrs(self.dim(x, dim)))

    def layer_norm(
        self, x: str, dims: Sequence[int], eps: float, weight: str = "", bias: str = ""
    ) -> str:
        """Standardise over `dims` (biased variance), then scale and shift where given."""
        return self._norm(OpKind.LAYER_NORM, x, dims, eps, weight, bias)

    def rms_norm(self, x: str, dims: Sequence[int], eps: float, weight: str = "") -> str:
        """Divide by the root mean square over `dims`, then scale where given."""
        return self._norm(OpKind.RMS_NORM, x, dims, eps, weight, "")

    # Reductions and contractions.

    def reduce(self, op: str, x: str, dims: Sequence[int], *, keepdim: bool = False) -> str:
        """Reduce with add, max, min, mul or mean; no dims means all of them."""
        shape = self.shape(x)
        over = tuple(sorted(self.dim(x, d) for d in dims)) or tuple(range(len(shape)))
        kept = ((d, extent) for d, extent in enumerate(shape) if keepdim or d not in over)
        out = tuple(1 if d in over else extent for d, extent in kept)
        return self._append(OpKind.REDUCE, (x,), out, ReduceAttrs(op, over, keepdim))

    def contract(
        self, operands: Sequence[str], labels: Sequence[Sequence[str]], output: Sequence[str]
    ) -> str:
        """Sum the product of one or more labelled operands over the labels not in `output`.

        More than two operands are multiplied from left to right.
        """
        names, terms = list(operands), [tuple(term) for term in labels]
        for term in (*terms, tuple(output)):
            if len(set(term)) < len(term):
                raise self.error(f"a diagonal: labels {','.join(term)} repeat one")
        with self.composite("einsum") if len(names) > 2 else nullcontext():
            while len(names) > 2:
                wanted = {label for term in terms[2:] for label in term} | set(output)
                seen = dict.fromkeys(terms[0] + terms[1])
                kept = tuple(label for label in seen if label in wanted)
                names[:2] = [self._contract(names[:2], terms[:2], kept)]
                terms[:2] = [kept]
            return self._contract(names, terms, tuple(output))

    # Index algebra.

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Give `x` another shape of the same size; one extent may be -1."""
        resolved = self._resolve(x, tuple(shape))
        if resolved == self.shape(x):
            return x
        return self._append(OpKind.RESHAPE, (x,), resolved, ShapeAttrs(resolved))

    def permute(self, x: str, order: Sequence[int]) -> str:
        """Reorder dimensions."""
        resolved = tuple(self.dim(x, d) for d in order)
        if sorted(resolved) != list(range(len(self.shape(x)))):
            raise self.error(f"{tuple(order)} is no order of {len(self.shape(x))} dimensions")
        if resolved == tuple(range(len(resolved))):
            return x
        shape = tuple(self.shape(x)[d] for d in resolved)
        return self._append(OpKind.PERMUTE, (x,), shape, PermuteAttrs(resolved))

    def transpose(self, x: str, first: int, second: int) -> str:
        """Exchange two dimensions."""
        order = list(range(len(self.shape(x))))
        a, b = self.dim(x, first), self.dim(x, second)
        order[a], order[b] = order[b], order[a]
        return self.permute(x, order)

    def squeeze(self, x: str, dims: Sequence[int] | None = None) -> str:
        """Drop dimensions of extent 1: the given ones, or all."""
        shape = self.shape(x)
        chosen = range(len(shape)) if dims is None else [self.dim(x, d) for d in dims]
        kept = [e for d, e in enumerate(shape) if not (d in chosen and e == 1)]
        return self.reshape(x, kept)

    def unsqueeze(self, x: str, dims: Sequence[int]) -> str:
        """Insert dimensions of extent 1; `dims` are positions in the result."""
        rank = len(self.shape(x)) + len(dims)
        places = {d % rank for d in dims}
        rest = iter(self.shape(x))
        return self.reshape(x, [1 if d in places else next(rest) for d in range(rank)])

    def expand(self, x: str, shape: Sequence[int]) -> str:
        """Broadcast to a shape; -1 keeps an extent."""
        own = (1,) * (len(shape) - len(self.shape(x))) + self.shape(x)
        if len(own) > len(shape):
            raise self.error(f"shape {own} cannot be expanded to fewer dimensions {tuple(shape)}")
        wanted = tuple(o if s == -1 else s for o, s in zip(own, shape, strict=True))
        if self._broadcast(own, wanted) != wanted:
            raise self.error(f"shape {self.shape(x)} cannot be expanded to {tuple(shape)}")
        if wanted == self.shape(x):
            return x
        return self._append(OpKind.EXPAND, (x,), wanted, ShapeAttrs(wanted))

    def slice(self, x: str, dim: int, start: int, stop: int, step: int = 1) -> str:
        """Take a range of one dimension, with Python's rules for negative and large bounds."""
        axis = self.dim(x, dim)
        shape = list(self.shape(x))
        start, stop, step = slice(start, stop, step).indices(shape[axis])
        extent = len(range(start, stop, step))
        if step < 0 or extent == 0:
            raise self.error(f"a slice that is empty or runs backwards ({start}:{stop}:{step})")
        if extent == shape[axis]:
            return x
        shape[axis] = extent
        return self._append(OpKind.SLICE, (x,), tuple(shape), SliceAttrs(axis, start, stop, step))

    def select(self, x: str, dim: int, index: int) -> str:
        """Take one coordinate of a dimension and drop the dimension."""
        axis = self.dim(x, dim)
        index %= self.shape(x)[axis]
        return self.squeeze(self.slice(x, axis, index, index + 1), (axis,))

    def split(self, x: str, sizes: Sequence[int], dim: int) -> tuple[str, ...]:
        """Cut one dimension into consecutive parts of the given sizes."""
        stops = np.cumsum(np.asarray(sizes, dtype=np.int64)).tolist()
        starts = [0, *stops[:-1]]
        return tuple(self.slice(x, dim, a, b) for a, b in zip(starts, stops, strict=True))

    def concat(self, operands: Sequence[str], dim: int) -> str:
        """Join operands along one dimension."""
        if len(operands) == 1:
            return operands[0]
        axis = self.dim(operands[0], dim)
        shape = list(self.shape(operands[0]))
        shape[axis] = sum(self.shape(name)[axis] for name in operands)
        return self._append(OpKind.CONCAT, tuple(operands), tuple(shape), ConcatAttrs(axis))

    # Lists of indices.

    def gather(self, x: str, index: str, dim: int) -> str:
        """Take the coordinates of `dim` that the constant list `index` names, in its order."""
        axis = self.dim(x, dim)
        shape = list(self.shape(x))
        (shape[axis],) = self.shape(index)
        return self._append(OpKind.GATHER, (x, index), tuple(shape), GatherAttrs(axis))

    def scatter(
        self, x: str, index: str, dim: int, extent: int, op: str, empty: float = 0.0
    ) -> str:
        """Combine coordinate n of `dim` into coordinate index[n] of a dimension of `extent`.

        `op` is add, max or min; `empty` is what a coordinate gets that the list does not name.
        """
        axis = self.dim(x, dim)
        shape = list(self.shape(x))
        if self.shape(index) != (shape[axis],):
            raise self.error(f"{self.shape(index)[0]} indices for {shape[axis]} coordinates")
        shape[axis] = extent
        attrs = ScatterAttrs(axis, extent, op, empty)
        return self._append(OpKind.SCATTER, (x, index), tuple(shape), attrs)

    # Shared parts.

    def dim(self, x: str, dim: int) -> int:
        """Return dimension `dim` of `x` counted from 0."""
        rank = len(self.shape(x))
        if not -rank <= dim < rank:
            raise self.error(f"dimension {dim} of a tensor of {rank} dimensions")
        return dim % rank

    def error(self, message: str) -> ModelError:
        """Return the error for an operator at `source` whose operands do not fit."""
        return ModelError("I009 operand-shape", message, where=locate(self.source))

    def _append(self, kind: OpKind, operands: Sequence[str], shape: Shape, attrs: OpAttrs) -> str:
        self._counter += 1
        name = f"%{self._counter}"
        self.graph.values[name] = OpValue(name, shape, Role.INTERMEDIATE)
        op = TensorOp(kind, tuple(operands), name, attrs, self.sources, self._composite)
        self.graph.ops.append(op)
        return name

    def _broadcast(self, *shapes: Shape) -> Shape:
        try:
            return tuple(np.broadcast_shapes(*shapes))
        except ValueError:
            text = " and ".join(str(shape) for shape in shapes)
            raise self.error(f"shapes {text} do not broadcast") from None

    def _contract(
        self, names: Sequence[str], terms: Sequence[tuple[str, ...]], output: tuple[str, ...]
    ) -> str:
        extents: dict[str, int] = {}
        for name, term in zip(names, terms, strict=True):
            if len(term) != len(self.shape(name)):
                raise self.error(f"labels {','.join(term)} do not fit shape {self.shape(name)}")
            for label, extent in zip(term, self.shape(name), strict=True):
                if extents.setdefault(label, extent) == 1:
                    extents[label] = extent
                elif extent not in (1, extents[label]):
                    raise self.error(f"an index has extents {extents[label]} and {extent}")
        unknown = [label for label in output if label not in extents]
        if unknown:
            raise self.error(f"the result has an index that no operand has: {unknown[0]}")
        if len(names) == 1:
            return self._sum_and_permute(names[0], terms[0], output)
        shape = tuple(extents[label] for label in output)
        return self._append(OpKind.CONTRACT, names, shape, ContractAttrs(tuple(terms), output))

    def _sum_and_permute(self, x: str, term: tuple[str, ...], output: tuple[str, ...]) -> str:
        summed = [d for d, label in enumerate(term) if label not in output]
        kept = [label for label in term if label in output]
        y = self.reduce("add", x, summed) if summed else x
        return self.permute(y, [kept.index(label) for label in output])

    def _norm(
        self, kind: OpKind, x: str, dims: Sequence[int], eps: float, weight: str, bias: str
    ) -> str:
        over = tuple(sorted(self.dim(x, d) for d in dims))
        with self.composite(str(kind)):
            y = self._append(kind, (x,), self.shape(x), NormAttrs(over, eps))
            y = self.map("mul", y, weight) if weight else y
            return self.map("add", y, bias) if bias else y

    def _resolve(self, x: str, shape: Shape) -> Shape:
        size = self.graph.values[x].size
        known = int(np.prod([extent for extent in shape if extent != -1], dtype=np.int64))
        if shape.count(-1) == 1 and known and size % known == 0:
            shape = tuple(size // known if extent == -1 else extent for extent in shape)
        elif shape.count(-1) or known != size:
            raise self.error(f"shape {self.shape(x)} cannot be viewed as {shape}")
        return shape
