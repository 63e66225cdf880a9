"""Hypothesis strategies: formats, tensors and einsum graphs that every stage must get right.

A graph grows by one operation at a time, evaluated on the spot, so that only operations are drawn
whose result says something about the stage under test: numbers stay small, and nothing hangs on
the last bit of a sum. What is left over as a difference is then an error, not rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.evaluate import Dense, evaluate_einsum
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.tensor import Format, LevelFormat, Tensor, tensor_from_dense

Draw = Callable[[st.SearchStrategy[Any]], Any]

LIMIT = 8.0  # largest magnitude of a rounded result, so that errors do not grow along a chain
EXACT_LIMIT = 64.0  # largest magnitude of a result without rounding errors
GRID = 2.0**12  # multiples of 1/GRID up to EXACT_LIMIT add up exactly in float32
STORED_FILL = 17  # drawn integer that stands for a stored entry whose value is the fill

# Functions that keep numbers on the grid, so that their result is the same in any order.
EXACT = {
    "copy", "neg", "abs", "relu", "leaky_relu", "square", "add_scalar", "mul_scalar",
    "rsub_scalar", "max_scalar", "min_scalar", "mul", "add", "sub", "max", "min", "masked",
}  # fmt: skip
# Functions whose last operand must stay away from 0 (and from negative numbers, for the second
# set), unless it is an input: a rounding error there would turn a number into inf or NaN.
DIVIDING = {"reciprocal", "rdiv_scalar", "div"}
POSITIVE = {"log", "sqrt", "rsqrt"}
# They belong into a softmax, where the strategy puts them.
COMPOSITE_ONLY = {"safe_sub", "safe_div"}
PARAMETERS: dict[str, tuple[tuple[float, ...], ...]] = {
    "leaky_relu": ((0.5,),),
    "pow_scalar": ((2.0,), (3.0,)),
    "masked": ((0.0,), (-1.0,), (-np.inf,)),
}


@dataclass(frozen=True, slots=True)
class GraphShape:
    """What graphs may contain."""

    max_ops: int = 4
    max_rank: int = 3
    extents: tuple[int, ...] = (1, 2, 3, 4)
    fills: tuple[float, ...] = (0.0, 0.0, 0.0, 0.5, -1.0)
    softmax: bool = True
    nonfinite: bool = False


@st.composite
def formats(draw: Draw, order: int) -> Format:
    """Dense and compressed levels in any mode order."""
    kinds = st.sampled_from([LevelFormat.COMPRESSED, LevelFormat.DENSE])
    levels = draw(st.tuples(*[kinds] * order))
    modes = draw(st.permutations(range(order)))
    return Format(levels, tuple(modes))


@st.composite
def tensors(
    draw: Draw, shape: tuple[int, ...], fills: Sequence[float] = (0.0, 0.5, -1.0)
) -> Tensor:
    """A tensor of multiples of 1/8 up to 2: empty rows and tensors, stored fills, any format."""
    fill = draw(st.sampled_from(fills))
    integers = draw(
        hnp.arrays(np.int64, shape, elements=st.integers(-16, STORED_FILL), fill=st.just(0))
    )
    dense = np.where(np.isin(integers, (0, STORED_FILL)), np.float32(fill), integers / 8)
    return tensor_from_dense(dense, draw(formats(len(shape))), fill=fill, stored=integers != 0)


@st.composite
def masks(draw: Draw, shape: tuple[int, ...]) -> Tensor:
    """A pattern tensor; its format ends in a compressed level, or it has no levels."""
    pattern = draw(hnp.arrays(np.bool_, shape))
    fmt = draw(formats(len(shape)))
    if not shape:
        return tensor_from_dense(pattern, fmt)
    levels = (*fmt.levels[:-1], LevelFormat.COMPRESSED)
    return tensor_from_dense(pattern, Format(levels, fmt.mode_order), pattern=True)


@st.composite
def einsum_graphs(draw: Draw, shape: GraphShape | None = None) -> EinsumGraph:
    """Chains, diamonds, broadcasts, contractions, reductions, masks and softmax, with data.

    Every value that nothing reads is an output, and some others are too; references are stored.
    """
    growing = _Growing(draw, shape or GraphShape())
    for _ in range(draw(st.integers(1, growing.shape.max_ops))):
        growing.add_operation()
    growing.add_outputs()
    return growing.graph


@dataclass(slots=True)
class _Known:
    """A value so far: the index names it was made with, what it denotes, how well it is known."""

    name: str
    indices: tuple[str, ...]
    dense: Dense
    exact: bool = True
    is_input: bool = False

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.dense).all())


@dataclass(slots=True)
class _Growing:
    """A graph that grows by one operation at a time."""

    draw: Draw
    shape: GraphShape
    graph: EinsumGraph = field(default_factory=lambda: EinsumGraph("random"))
    known: list[_Known] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes = {name: self.draw(st.sampled_from(self.shape.extents)) for name in "ijkl"}

    # Operations --------------------------------------------------------------------------------

    def add_operation(self) -> None:
        kinds = [self.add_unary, self.add_binary, self.add_contraction, self.add_reduction]
        kinds += [self.add_contraction, self.add_contraction]
        if self.shape.softmax:
            kinds.append(self.add_softmax)
        self.draw(st.sampled_from(kinds))()

    def add_unary(self) -> None:
        operand = self.draw_operand()
        functions = [fn for fn in SCALAR_FUNCTIONS if fn != "copy"]
        self.add_drawn((operand,), self.draw_order(operand.indices), functions)

    def add_reduction(self) -> None:
        operand = self.draw_operand()
        kept = self.draw_kept(operand.indices)
        self.add_drawn((operand,), kept)

    def add_binary(self) -> None:
        operands = (self.draw_operand(), self.draw_operand())
        self.add_drawn(operands, self.draw_order(_union(operands)))

    def add_contraction(self) -> None:
        operands = (self.draw_operand(), self.draw_operand())
        kept = self.draw_kept(_union(operands))
        self.add_drawn(operands, kept, functions=("mul", "mul", "add", "max"))

    def add_softmax(self) -> None:
        """Add a softmax over one index, of scores that a mask may cut."""
        scores = self.draw_operand()
        choices = [name for name in scores.indices if self.sizes[name]]
        if not choices or not scores.is_finite:
            return
        over = self.draw(st.sampled_from(choices))
        rows = tuple(name for name in scores.indices if name != over)
        full = scores.indices
        if self.draw(st.booleans()):
            mask = self.add_mask(full)
            scores = self.compute("masked", (mask, scores), full, parameters=(-np.inf,))
        top = self.compute("copy", (scores,), rows, reduce="max")
        shifted = self.compute("safe_sub", (scores, top), full)
        powers = self.compute("exp", (shifted,), full)
        total = self.compute("copy", (powers,), rows, reduce="add")
        self.compute("safe_div", (powers, total), full)

    def add_drawn(
        self,
        operands: tuple[_Known, ...],
        kept: tuple[str, ...],
        functions: Sequence[str] = tuple(SCALAR_FUNCTIONS),
    ) -> None:
        """Add an operation on these operands; the function is one that suits their numbers."""
        reduced = tuple(name for name in _union(operands) if name not in kept)
        is_empty = any(self.sizes[name] == 0 for name in reduced)
        reductions = [
            row.name for row in REDUCTIONS.values() if not (is_empty and np.isinf(row.identity))
        ]
        reduce = self.draw(st.sampled_from(reductions)) if reduced else None
        candidates = [
            (fn, parameters)
            for fn in functions
            for parameters in _parameters(fn)
            if self.is_suitable(fn, parameters, operands, kept, reduce)
        ]
        if candidates:
            fn, parameters = self.draw(st.sampled_from(candidates))
            self.compute(fn, operands, kept, reduce=reduce, parameters=parameters)

    # Choices -----------------------------------------------------------------------------------

    def draw_operand(self) -> _Known:
        """Return a known value under some of its possible bindings, or a new input."""
        if not self.known or self.draw(st.sampled_from([False, False, True])):
            return self.add_input()
        value = self.draw(st.sampled_from(self.known[::-1]))
        bound: list[str] = []
        for name in value.indices:
            others = [x for x in self.sizes if self.sizes[x] == self.sizes[name] and x != name]
            free = [x for x in (name, *others) if x not in bound]
            bound.append(self.draw(st.sampled_from(free)))
        return _Known(value.name, tuple(bound), value.dense, value.exact, value.is_input)

    def draw_order(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.draw(st.permutations(names)))

    def draw_kept(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the indices of a result that reduces at least one index, if there is any."""
        order = self.draw_order(names)
        return order[: self.draw(st.integers(0, max(len(names) - 1, 0)))]

    def is_suitable(
        self,
        fn: str,
        parameters: tuple[float, ...],
        operands: tuple[_Known, ...],
        kept: tuple[str, ...],
        reduce: str | None,
    ) -> bool:
        """Tell whether the operation is legal, and its result as good as its operands."""
        if SCALAR_FUNCTIONS[fn].arity != len(operands) or fn in COMPOSITE_ONLY:
            return False
        if len(kept) > self.shape.max_rank or not _is_conditioned(fn, operands):
            return False
        result = self.evaluate(self.make(fn, operands, kept, reduce, parameters))
        finite = result[np.isfinite(result)]
        if finite.size < result.size and not self.shape.nonfinite:
            return False
        limit = EXACT_LIMIT if _is_exact(fn, operands, result) else LIMIT
        return bool((np.abs(finite) <= limit).all())

    # Bookkeeping -------------------------------------------------------------------------------

    def add_input(self) -> _Known:
        ranks = [rank for rank in (2, 2, 2, 1, 1, 3, 0) if rank <= self.shape.max_rank]
        rank = self.draw(st.sampled_from(ranks))
        indices = self.draw(st.sampled_from(list(permutations(self.sizes, rank))))
        extents = tuple(self.sizes[name] for name in indices)
        return self.add_tensor(indices, self.draw(tensors(extents, self.shape.fills)))

    def add_mask(self, indices: tuple[str, ...]) -> _Known:
        return self.add_tensor(indices, self.draw(masks(tuple(self.sizes[x] for x in indices))))

    def add_tensor(self, indices: tuple[str, ...], tensor: Tensor) -> _Known:
        name = f"in{len(self.graph.values)}"
        self.graph.values[name] = Value(
            name, tensor.shape, Role.INPUT, format=tensor.format, fill=tensor.fill, tensor=tensor
        )
        self.known.append(_Known(name, indices, tensor.to_dense(), is_input=True))
        return self.known[-1]

    def compute(
        self,
        fn: str,
        operands: tuple[_Known, ...],
        kept: tuple[str, ...],
        *,
        reduce: str | None = None,
        parameters: tuple[float, ...] = (),
    ) -> _Known:
        op = self.make(fn, operands, kept, reduce, parameters)
        dense = self.evaluate(op)
        self.graph.einsums.append(op)
        self.graph.values[op.name] = Value(op.name, dense.shape, Role.INTERMEDIATE)
        self.known.append(_Known(op.name, kept, dense, _is_exact(fn, operands, dense)))
        return self.known[-1]

    def make(
        self,
        fn: str,
        operands: tuple[_Known, ...],
        kept: tuple[str, ...],
        reduce: str | None,
        parameters: tuple[float, ...],
    ) -> Einsum:
        name = f"t{len(self.graph.einsums)}"
        return Einsum(
            name=name,
            output=Access(name, kept),
            fn=fn,
            operands=tuple(Access(operand.name, operand.indices) for operand in operands),
            reduce=reduce,
            over=tuple(x for x in _union(operands) if x not in kept) if reduce else (),
            parameters=parameters,
        )

    def evaluate(self, op: Einsum) -> Dense:
        return evaluate_einsum(op, {value.name: value.dense for value in self.known})

    def add_outputs(self) -> None:
        """Make outputs of what nothing reads and of some other results, in any permutation.

        Inputs for which no operation was found are left out of the graph.
        """
        if not self.graph.einsums:
            self.compute("copy", (self.add_input(),), self.known[-1].indices)
        read = {access.value for op in self.graph.einsums for access in op.operands}
        used = read | {op.name for op in self.graph.einsums}
        self.graph.values = {k: value for k, value in self.graph.values.items() if k in used}
        for value in [value for value in self.known if not value.is_input]:
            may_show = value.is_finite or self.shape.nonfinite
            if value.name in read and not (may_show and self.draw(st.booleans())):
                continue
            order = tuple(self.draw(st.permutations(range(value.dense.ndim))))
            moved = value.dense.transpose(order)
            shape = (moved.size,) if self.draw(st.booleans()) else moved.shape
            self.graph.outputs.append(
                Output(value.name, value.name, order, shape, moved.reshape(shape))
            )


def _union(operands: Sequence[_Known]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for operand in operands for name in operand.indices))


def _parameters(fn: str) -> Iterator[tuple[float, ...]]:
    """Yield the parameter tuples that a function is tried with."""
    if SCALAR_FUNCTIONS[fn].parameters:
        yield from PARAMETERS.get(fn, ((0.5,), (-2.0,)))
    else:
        yield ()


def _is_conditioned(fn: str, operands: tuple[_Known, ...]) -> bool:
    """Tell whether a small error in the operands stays a small error in the result."""
    last = operands[-1]
    if fn in DIVIDING | POSITIVE and not last.is_input:
        least = last.dense if fn in POSITIVE else np.abs(last.dense)
        if not (least >= 0.5).all():
            return False
    if fn == "masked":
        return operands[0].exact
    # Where one operand is not finite, the other one may not be annihilated by it, nor add to it.
    if len(operands) == 1 or all(operand.is_finite for operand in operands):
        return True
    return fn in {"add", "sub", "max", "min"} and any(operand.is_finite for operand in operands)


def _is_exact(fn: str, operands: tuple[_Known, ...], result: Dense) -> bool:
    """Tell whether a result has no rounding error, in whatever order it is computed."""
    scaled = result[np.isfinite(result)] * GRID
    on_grid = bool((scaled == np.round(scaled)).all())
    return fn in EXACT and all(operand.exact for operand in operands) and on_grid
