# SPDX-License-Identifier: MIT
"""EinsumGraph: a model as an SSA list of single operations over named index variables.

One einsum is one scalar function over accesses, followed by at most one reduction operator over
some of its indices. Composite operators (softmax, layer norm) are written as several einsums that
share a `composite` tag. Shapes operators do not exist here: the importer turns them into index
names. Dimensions of extent 1 carry no index.

Not here: streams, orders, kernels (see `dataflow`), and bytes (see `fuseflow.wire`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fuseflow.ir.tensor import Format, Tensor, tile_counts

__all__ = ["Access", "Einsum", "EinsumGraph", "Output", "Role", "SourceLoc", "Value"]


class Role(enum.StrEnum):
    """What a value is to the model."""

    INPUT = "input"
    PARAMETER = "parameter"
    CONSTANT = "constant"
    INTERMEDIATE = "intermediate"


@dataclass(frozen=True, slots=True)
class SourceLoc:
    """Where an operation comes from in the user's model; empty parts are unknown.

    `scopes` is the chain of enclosing modules, outermost first, as (path, class) pairs; the last
    one is the module that executed the operation.
    """

    op: str = ""
    node: str = ""
    file: str = ""
    line: int = 0
    scopes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """One use of a value: an index name for each of its dimensions."""

    value: str
    indices: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.value}[{','.join(self.indices)}]"


@dataclass(slots=True, eq=False)
class Value:
    """A named tensor of a graph, with or without data.

    `format` None leaves the choice to the fusion stage. `fill` is the value of everything that is
    not stored; for intermediates the fusion stage derives it. `origin` says which rule decided the
    sparsity of this tensor ("user", "layout", "zeros", "dense", ...). `tile` has the extent of a
    tile along each dimension if values are tiles; a format and a tensor have the same one.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    dtype: str = "float32"
    format: Format | None = None
    fill: float = 0.0
    tensor: Tensor | None = None
    origin: str = ""
    tile: tuple[int, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """Return the number of coordinates along each dimension: of elements, or of tiles."""
        return tile_counts(self.shape, self.tile)


@dataclass(frozen=True, slots=True)
class Einsum:
    """One operation: output = reduce over `over` of fn(operands; parameters).

    `fn` is a key of `SCALAR_FUNCTIONS`, `reduce` a key of `REDUCTIONS` or None. Operands may lack
    indices of the output: they are broadcast. Every index of the output that no operand has must
    not occur; every reduced index occurs in some operand. Several operations of one source
    operator carry the same `composite` name.
    """

    name: str
    output: Access
    fn: str
    operands: tuple[Access, ...]
    reduce: str | None = None
    over: tuple[str, ...] = ()
    parameters: tuple[float, ...] = ()
    composite: str = ""
    sources: tuple[SourceLoc, ...] = ()

    def __str__(self) -> str:
        args = ", ".join([*map(str, self.operands), *map(str, self.parameters)])
        body = f"{self.fn}({args})"
        if self.reduce:
            body = f"{self.reduce}[{','.join(self.over)}] {body}"
        return f"{self.output} = {body}"

    @property
    def indices(self) -> tuple[str, ...]:
        """Return all index names, those of the output first, then the reduced ones."""
        return self.output.indices + self.over


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the model: which value, and how the user sees it.

    The user's array is the dense value transposed by `permutation` and reshaped to `shape`
    (C order). `reference` is what the framework computed, of that shape, float32.
    """

    name: str
    value: str
    permutation: tuple[int, ...]
    shape: tuple[int, ...]
    reference: npt.NDArray[np.float32] | None = None

    def view(self, dense: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the value's dense array as the user sees it."""
        return dense.transpose(self.permutation).reshape(self.shape)


@dataclass(slots=True)
class EinsumGraph:
    """A model: values by name, operations in evaluation order, outputs.

    `notes` are remarks of the importer that a user should see (formats chosen, rewrites made).
    """

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    einsums: list[Einsum] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def producers(self) -> dict[str, Einsum]:
        """Return the einsum that computes each intermediate value."""
        return {op.output.value: op for op in self.einsums}

    def consumers(self) -> dict[str, list[Einsum]]:
        """Return the einsums that read each value, in evaluation order, each once."""
        users: dict[str, list[Einsum]] = {name: [] for name in self.values}
        for op in self.einsums:
            for name in dict.fromkeys(access.value for access in op.operands):
                users[name].append(op)
        return users

    def index_sizes(self) -> dict[str, int]:
        """Return the extent of every index name (the verifier guarantees that it is unique)."""
        return {name: size for access in self.accesses() for name, size in self.extents(access)}

    def accesses(self) -> Iterator[Access]:
        """Yield every access of every einsum."""
        for op in self.einsums:
            yield op.output
            yield from op.operands

    def extents(self, access: Access) -> Iterator[tuple[str, int]]:
        """Yield (index name, extent) for each dimension of an access."""
        yield from zip(access.indices, self.values[access.value].shape, strict=True)
