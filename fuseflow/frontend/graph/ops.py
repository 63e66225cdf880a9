# SPDX-License-Identifier: MIT
"""OpGraph: a model as a list of tensor operators, before shapes become index algebra.

Both loaders produce it, and every operator of a framework is spelled in this small vocabulary
(`OpKind`). Operators have one output and read values by name; the list is in evaluation order.
Data types of computed values do not occur: everything that is computed is float32, and whatever
works on integers or booleans must have been folded into a constant by the loader.

Not here: construction with shape inference (see `builder`), and einsums (see `lower`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.entries import Entries
from fuseflow.ir.einsum import Role, SourceLoc

__all__ = [
    "ATTRS_OF",
    "ConcatAttrs",
    "ContractAttrs",
    "DimAttrs",
    "GatherAttrs",
    "MapAttrs",
    "NoAttrs",
    "NormAttrs",
    "OpAttrs",
    "OpGraph",
    "OpKind",
    "OpOutput",
    "OpValue",
    "PermuteAttrs",
    "ReduceAttrs",
    "ScatterAttrs",
    "ShapeAttrs",
    "SliceAttrs",
    "TensorOp",
]


class OpKind(enum.StrEnum):
    """The vocabulary. Dimensions count from 0; broadcasting aligns shapes at the right."""

    MAP = "map"  # a scalar function of broadcast operands
    REDUCE = "reduce"  # add, max, min, mul or mean over dimensions
    CONTRACT = "contract"  # sum of products of one or two labelled operands
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    LAYER_NORM = "layer_norm"  # without scale and shift, which are MAPs after it
    RMS_NORM = "rms_norm"  # the same
    WHERE = "where"  # condition ? operand 1 : operand 2; the condition is a constant or an input
    RESHAPE = "reshape"
    PERMUTE = "permute"
    EXPAND = "expand"
    SLICE = "slice"  # a strided range of one dimension
    CONCAT = "concat"
    GATHER = "gather"  # coordinates of operand 0 that the constant list of operand 1 names
    SCATTER = "scatter"  # the inverse: coordinates of operand 0 reduced where operand 1 says


@dataclass(frozen=True, slots=True)
class NoAttrs:
    """Attributes of an operator that has none (where)."""


@dataclass(frozen=True, slots=True)
class MapAttrs:
    """map: `fn` is a key of `SCALAR_FUNCTIONS`, `parameters` its constants."""

    fn: str
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ReduceAttrs:
    """reduce: `op` is add, max, min, mul or mean; reduced dimensions stay as 1 with `keepdim`."""

    op: str
    dims: tuple[int, ...]
    keepdim: bool = False


@dataclass(frozen=True, slots=True)
class ContractAttrs:
    """contract: one label per dimension of each operand; labels not in `output` are summed over.

    An operand whose dimension has extent 1 is broadcast along that label.
    """

    operands: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DimAttrs:
    """softmax, log_softmax: the dimension that is normalised.

    `zero_rows` says that the framework gives 0, not NaN, where all entries are -inf.
    """

    dim: int
    zero_rows: bool = False


@dataclass(frozen=True, slots=True)
class NormAttrs:
    """layer_norm, rms_norm: the dimensions that are normalised, and what is added to the mean."""

    dims: tuple[int, ...]
    eps: float


@dataclass(frozen=True, slots=True)
class ShapeAttrs:
    """reshape, expand: the resolved shape of the result."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PermuteAttrs:
    """permute: dimension d of the result is dimension `order[d]` of the operand."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SliceAttrs:
    """slice: coordinates start, start + step, ... below stop of `dim`; all resolved, step > 0."""

    dim: int
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class ConcatAttrs:
    """concat: the dimension along which the operands are joined."""

    dim: int


@dataclass(frozen=True, slots=True)
class GatherAttrs:
    """gather: the dimension whose coordinates are chosen, in the order of the list."""

    dim: int


@dataclass(frozen=True, slots=True)
class ScatterAttrs:
    """scatter: `dim` of the operand becomes one of `extent`.

    Coordinates with the same target are combined with `op` (add, max or min); targets of none are
    `empty`.
    """

    dim: int
    extent: int
    op: str
    empty: float = 0.0


OpAttrs = (
    NoAttrs
    | MapAttrs
    | ReduceAttrs
    | ContractAttrs
    | DimAttrs
    | NormAttrs
    | ShapeAttrs
    | PermuteAttrs
    | SliceAttrs
    | ConcatAttrs
    | GatherAttrs
    | ScatterAttrs
)

ATTRS_OF: Mapping[OpKind, type[OpAttrs]] = {
    OpKind.MAP: MapAttrs,
    OpKind.REDUCE: ReduceAttrs,
    OpKind.CONTRACT: ContractAttrs,
    OpKind.SOFTMAX: DimAttrs,
    OpKind.LOG_SOFTMAX: DimAttrs,
    OpKind.LAYER_NORM: NormAttrs,
    OpKind.RMS_NORM: NormAttrs,
    OpKind.WHERE: NoAttrs,
    OpKind.RESHAPE: ShapeAttrs,
    OpKind.PERMUTE: PermuteAttrs,
    OpKind.EXPAND: ShapeAttrs,
    OpKind.SLICE: SliceAttrs,
    OpKind.CONCAT: ConcatAttrs,
    OpKind.GATHER: GatherAttrs,
    OpKind.SCATTER: ScatterAttrs,
}


@dataclass(frozen=True, slots=True, eq=False)
class OpValue:
    """A tensor of the graph. `data` is there for parameters, constants and bound inputs.

    An input or constant whose dense form would be too large has `entries` in place of `data`.
    `layout` is a format text ("dense,compressed") that the source itself states for this tensor,
    for example by a sparse layout; `layout_rule` says which rule found it. `label` is the name that
    the user knows it by; names are unique, labels need not be.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    data: npt.NDArray[Any] | None = None
    layout: str = ""
    layout_rule: str = ""
    label: str = ""
    entries: Entries | None = None

    @property
    def is_constant(self) -> bool:
        """True if the value is known and no input of the model."""
        return self.role in (Role.PARAMETER, Role.CONSTANT)

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class TensorOp:
    """One operator. Operators that spell one source operator together share `composite`."""

    kind: OpKind
    inputs: tuple[str, ...]
    output: str
    attrs: OpAttrs
    sources: tuple[SourceLoc, ...] = ()
    composite: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class OpOutput:
    """A result of the model: its name, the value, and what the framework computed (float32)."""

    name: str
    value: str
    reference: npt.NDArray[np.float32] | None = None


@dataclass(slots=True)
class OpGraph:
    """A model over tensor operators: values by name, inputs in the order of the signature."""

    name: str
    values: dict[str, OpValue] = field(default_factory=dict)
    ops: list[TensorOp] = field(default_factory=list)
    outputs: list[OpOutput] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def consumers(self) -> dict[str, list[TensorOp]]:
        """Return the operators that read each value, in evaluation order, each once."""
        users: dict[str, list[TensorOp]] = {name: [] for name in self.values}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                users[name].append(op)
        return users

    def producers(self) -> dict[str, TensorOp]:
        """Return the operator that computes each intermediate value."""
        return {op.output: op for op in self.ops}
