# SPDX-License-Identifier: MIT
"""Schedule: which operations are fused into one kernel, and how each kernel is built.

Mirrors `schedule.proto`. A schedule only names things (operations, values, indices); whether they
exist, and whether what it asks for is legal, is decided where it meets a graph
(`fuseflow.fusion`). The text form is in `fuseflow.ir.schedule_text`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from fuseflow.ir.tensor import LevelFormat

__all__ = [
    "PRESETS",
    "Assoc",
    "Block",
    "Budget",
    "Choice",
    "Directive",
    "Fifo",
    "FuseGroup",
    "Glob",
    "IndexRef",
    "IndexTile",
    "Iterate",
    "Iteration",
    "JoinPoint",
    "KindOf",
    "Not",
    "OpName",
    "OpRange",
    "Order",
    "Parallel",
    "Permute",
    "Route",
    "Schedule",
    "ScopeOf",
    "Scoped",
    "Selector",
    "Store",
    "Strategy",
    "ValueRoute",
]


class Strategy(enum.StrEnum):
    """Presets of the fusion granularity; `AUTO` leaves it to the compiler."""

    UNFUSED = "unfused"
    LAYER = "layer"
    FULL = "full"
    AUTO = "auto"


PRESETS = (Strategy.UNFUSED, Strategy.LAYER, Strategy.FULL)
"""The strategies that need no search."""


class Iteration(enum.StrEnum):
    """How operations share loops: each has its own, or all run in one joint space."""

    FACTORED = "factored"
    GLOBAL = "global"


class JoinPoint(enum.StrEnum):
    """Where parallel lanes meet again."""

    EARLY = "early"
    LATE = "late"


class ValueRoute(enum.StrEnum):
    """How a value travels from its producer to its consumers."""

    STREAM = "stream"
    RECOMPUTE = "recompute"
    REPLAY = "replay"
    BUFFER = "buffer"
    MATERIALISE = "materialise"


@dataclass(frozen=True, slots=True)
class IndexRef:
    """An index: of one operation, or (`op` "") the one of this name in the kernel."""

    name: str
    op: str = ""

    def __str__(self) -> str:
        return f"{self.op}.{self.name}" if self.op else self.name


@dataclass(frozen=True, slots=True)
class OpName:
    """The operation of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Glob:
    """All operations whose name matches a pattern with * and ?."""

    pattern: str


@dataclass(frozen=True, slots=True)
class ScopeOf:
    """All operations in modules whose path matches a pattern."""

    pattern: str


@dataclass(frozen=True, slots=True)
class KindOf:
    """All operations of a kind: a scalar function, a reduction, or an operator of the model."""

    name: str


@dataclass(frozen=True, slots=True)
class OpRange:
    """All operations from one to another in evaluation order, both included."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Not:
    """All operations but those of another selector."""

    inner: Selector


Selector = OpName | Glob | ScopeOf | KindOf | OpRange | Not


@dataclass(frozen=True, slots=True)
class Order:
    """Outer indices before inner ones; `total` names every index of the kernel."""

    chain: tuple[IndexRef, ...]
    total: bool = False


@dataclass(frozen=True, slots=True)
class Iterate:
    """Factored or global iteration."""

    mode: Iteration


@dataclass(frozen=True, slots=True)
class Assoc:
    """Association of a chain of products, e.g. "(A X) W"."""

    expression: str


@dataclass(frozen=True, slots=True)
class Store:
    """How a tensor is stored: levels outermost first, the index of each level, tile, fill.

    Without `modes` the levels store the dimensions in their own order.
    """

    tensor: str
    levels: tuple[LevelFormat, ...]
    modes: tuple[IndexRef, ...] = ()
    tile: tuple[int, ...] = ()
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class Parallel:
    """Lanes along an index; several of them nest."""

    index: IndexRef
    factor: int
    join: JoinPoint | None = None


@dataclass(frozen=True, slots=True)
class IndexTile:
    """Elements per tile along one index."""

    index: IndexRef
    size: int


@dataclass(frozen=True, slots=True)
class Block:
    """Tile sizes along indices."""

    tiles: tuple[IndexTile, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """How a value travels; `use` is the operation that a recomputation is for, "" for all."""

    value: str
    route: ValueRoute
    use: str = ""


@dataclass(frozen=True, slots=True)
class Permute:
    """A tensor is read from a copy that is stored in this order, outermost index first."""

    tensor: str
    order: tuple[IndexRef, ...]


@dataclass(frozen=True, slots=True)
class Fifo:
    """Tokens that each channel holds; None leaves it to the compiler."""

    capacity: int | None = None


Choice = Order | Iterate | Assoc | Store | Parallel | Block | Route | Permute | Fifo


@dataclass(frozen=True, slots=True)
class Directive:
    """One choice; `reason` says why the compiler made it, "" for a user's own."""

    choice: Choice
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FuseGroup:
    """Operations that become one kernel, with directives for it."""

    name: str
    members: tuple[Selector, ...]
    directives: tuple[Directive, ...] = ()


@dataclass(frozen=True, slots=True)
class Scoped:
    """Directives for all operations that a selector matches."""

    target: Selector
    directives: tuple[Directive, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None is no limit, and for `recompute` what the strategy allows."""

    lanes: int | None = None
    nodes: int | None = None
    spacc_bytes: int | None = None
    fifo_bytes: int | None = None
    recompute: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole schedule. Of two statements on one thing the later one wins.

    Directives of `scoped` come after those of `groups`. `strategy` None leaves the preset to the
    caller; `scope_depth` 0 derives layers from the model.
    """

    strategy: Strategy | None = None
    scope_depth: int = 0
    groups: tuple[FuseGroup, ...] = ()
    scoped: tuple[Scoped, ...] = ()
    budget: Budget = field(default_factory=Budget)
    reassociate: bool = False
    strict_nonfinite: bool = False
