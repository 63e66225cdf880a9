# SPDX-License-Identifier: MIT
"""DataflowProgram: kernels of streaming primitives, joined by streams, and their DRAM tensors.

A kernel is one `DataflowGraph`: nodes joined by streams with one producer and one consumer each
(fan-out is an explicit broadcast). An op is data: the enum `Op` plus a record of attributes; what
is legal stands in `fuseflow.ir.op_specs`. Kernels run one after the other and meet in tensors.

Primitives and streams follow the Sparse Abstract Machine as extended by FuseFlow (ASPLOS'26,
section 4); their exact meaning is documented in `docs/streams.md`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from fuseflow.ir.einsum import Output, Value

__all__ = [
    "MAX_DEPTH",
    "AluAttrs",
    "ArrayAttrs",
    "BroadcastAttrs",
    "ConcatAttrs",
    "DataflowGraph",
    "DataflowProgram",
    "ForkAttrs",
    "FullAttrs",
    "GatherAttrs",
    "JoinAttrs",
    "LevelWriteAttrs",
    "LocateAttrs",
    "MaskAttrs",
    "NoAttrs",
    "Node",
    "NodeAttrs",
    "Op",
    "ReduceAttrs",
    "ReplayAttrs",
    "RootAttrs",
    "ScanAttrs",
    "SpaccAttrs",
    "Stream",
    "StreamKind",
    "TileAxes",
    "TileOp",
    "ValDropAttrs",
    "ValWriteAttrs",
]


# How deep streams nest: the token that closes a list names one of eight levels.
MAX_DEPTH = 8


class StreamKind(enum.StrEnum):
    """What the elements of a stream are."""

    CRD = "crd"
    REF = "ref"
    VAL = "val"


class Op(enum.StrEnum):
    """The streaming primitives."""

    ROOT = "root"
    SCAN = "scan"
    FULL = "full"
    LOCATE = "locate"
    JOIN = "join"
    REPEAT = "repeat"
    REPLAY = "replay"
    HOLD = "hold"
    DROP = "drop"
    MASK = "mask"
    VALDROP = "valdrop"
    ARRAY = "array"
    ALU = "alu"
    REDUCE = "reduce"
    SPACC = "spacc"
    FORK = "fork"
    GATHER = "gather"
    BROADCAST = "broadcast"
    CONCAT = "concat"
    LEVEL_WRITE = "level_write"
    VAL_WRITE = "val_write"


@dataclass(frozen=True, slots=True)
class NoAttrs:
    """Attributes of an op that has none (repeat, hold, drop)."""


@dataclass(frozen=True, slots=True)
class RootAttrs:
    """root: emits the single reference 0. `tensor` names what is entered ("" for a dense index)."""

    tensor: str = ""


@dataclass(frozen=True, slots=True)
class ScanAttrs:
    """scan: each reference becomes the fiber of `level` of `tensor` below it."""

    tensor: str
    level: int


@dataclass(frozen=True, slots=True)
class FullAttrs:
    """full: each element becomes all coordinates 0..size-1."""

    size: int


@dataclass(frozen=True, slots=True)
class LocateAttrs:
    """locate: random access into a dense level.

    The reference is parent * parent_stride + coordinate * stride + base. With `search` the level
    is compressed and the position of the coordinate in the fiber of the parent is looked up.
    """

    tensor: str
    level: int
    size: int
    stride: int = 1
    base: int = 0
    parent_stride: int = 0
    search: bool = False


@dataclass(frozen=True, slots=True)
class JoinAttrs:
    """join: merges ascending coordinate lists.

    `keep` is "intersect" (all inputs present), "union" (any), "left" (input 0 present) or a text
    of 2**inputs characters "0"/"1", indexed by the presence mask (bit j = input j). `payloads`
    counts the payload streams of each input.
    """

    keep: str
    payloads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReplayAttrs:
    """replay: repeats elements that are `depth`-deep lists."""

    depth: int


@dataclass(frozen=True, slots=True)
class MaskAttrs:
    """mask: keeps inner elements for which `outer keep inner` holds: lt, le, eq, ne, ge, gt."""

    keep: str


@dataclass(frozen=True, slots=True)
class ValDropAttrs:
    """valdrop: removes (coordinate, value) pairs whose value equals `fill` or is missing."""

    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class ArrayAttrs:
    """array: reference to value of `tensor`; a missing reference becomes `fill`."""

    tensor: str
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class TileAxes:
    """The axes of one tile, as positions in `TileOp.sizes`; empty for a number."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TileOp:
    """How an ALU handles tiles: a small einsum over the axes `sizes`.

    The function is applied at every point of the axes that the operands have, and the axes that
    `result` lacks are folded with the reduction `fold`, in ascending order. A matrix product of
    tiles is mul with operands (0, 2) and (2, 1), result (0, 1) and fold "add".
    """

    sizes: tuple[int, ...]
    operands: tuple[TileAxes, ...]
    result: TileAxes
    fold: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the tile that is made."""
        return tuple(self.sizes[axis] for axis in self.result.axes)

    @property
    def folded(self) -> int:
        """Return how many points are folded into each of its elements."""
        kept = self.result.axes
        return math.prod(size for axis, size in enumerate(self.sizes) if axis not in kept)


@dataclass(frozen=True, slots=True)
class AluAttrs:
    """alu: `fn` of one or two value streams; `fills` replace missing operands, one each.

    Without `tile_op` numbers are combined, or tiles of equal shape element by element.
    """

    fn: str
    fills: tuple[float, ...]
    parameters: tuple[float, ...] = ()
    tile_op: TileOp | None = None


@dataclass(frozen=True, slots=True)
class ReduceAttrs:
    """reduce: folds each innermost list into one value.

    `fill` is the value of a missing element. `extent` (optional): entries that were not iterated
    take part with the fill, up to this many. `empty` (optional) is the value of an empty list,
    default the identity of `op`. `tile_axis` folds that axis of a tile as well.
    """

    op: str
    fill: float = 0.0
    extent: int | None = None
    empty: float | None = None
    tile_axis: str = ""


@dataclass(frozen=True, slots=True)
class SpaccAttrs:
    """spacc: sums lists of `order` nested keys over an outer coordinate, keys ascending.

    `full[j]` is the extent of key j (outermost key first) if it must be emitted densely, else 0;
    `missing` is the value of leaves that this creates. `fill` and `extent` as in reduce.
    """

    op: str
    order: int
    full: tuple[int, ...]
    missing: float = 0.0
    fill: float = 0.0
    extent: int | None = None


@dataclass(frozen=True, slots=True)
class ForkAttrs:
    """fork: deals the elements of each innermost list to `lanes` outputs in turn."""

    lanes: int


@dataclass(frozen=True, slots=True)
class GatherAttrs:
    """gather: inverse of fork for elements that are `depth`-deep lists."""

    lanes: int
    depth: int


@dataclass(frozen=True, slots=True)
class BroadcastAttrs:
    """broadcast: copies every token to each of `copies` outputs."""

    copies: int


@dataclass(frozen=True, slots=True)
class ConcatAttrs:
    """concat: appends level-`depth` lists; mode "mix" or "pad"; `offsets` shift coordinates."""

    mode: str
    depth: int
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LevelWriteAttrs:
    """level_write: stores a coordinate stream as level `level` of `tensor`."""

    tensor: str
    level: int


@dataclass(frozen=True, slots=True)
class ValWriteAttrs:
    """val_write: stores a value stream as the values of `tensor`; missing becomes `fill`."""

    tensor: str
    fill: float = 0.0


NodeAttrs = (
    NoAttrs
    | RootAttrs
    | ScanAttrs
    | FullAttrs
    | LocateAttrs
    | JoinAttrs
    | ReplayAttrs
    | MaskAttrs
    | ValDropAttrs
    | ArrayAttrs
    | AluAttrs
    | ReduceAttrs
    | SpaccAttrs
    | ForkAttrs
    | GatherAttrs
    | BroadcastAttrs
    | ConcatAttrs
    | LevelWriteAttrs
    | ValWriteAttrs
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A typed FIFO between two nodes.

    `indices` is the tuple of open index variables, outermost first: its length is the depth of the
    stream. `domains` has one id per index; streams that are read together must agree in both.
    `capacity` in tokens; None leaves it to the simulator's configuration.
    """

    id: int
    kind: StreamKind
    indices: tuple[str, ...]
    domains: tuple[int, ...] = ()
    name: str = ""
    capacity: int | None = None

    @property
    def depth(self) -> int:
        """Return how deep the nested list is that this stream carries."""
        return len(self.indices)


@dataclass(frozen=True, slots=True)
class Node:
    """One primitive. Ports are positional (see `OP_SPECS`); None is an unconnected port.

    An output that is None is void: its tokens are dropped at no cost. `sources` names the einsums
    that this node came from.
    """

    id: int
    op: Op
    name: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    attrs: NodeAttrs = field(default_factory=NoAttrs)
    sources: tuple[str, ...] = ()


@dataclass(slots=True)
class DataflowGraph:
    """One kernel. Ids of nodes and streams are unique in the graph; stream ids start at 1."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    streams: dict[int, Stream] = field(default_factory=dict)
    einsums: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    def producers(self) -> dict[int, Node]:
        """Return the node that writes each stream."""
        return {sid: node for node in self.nodes for sid in node.outputs if sid is not None}

    def consumers(self) -> dict[int, Node]:
        """Return the node that reads each stream."""
        return {sid: node for node in self.nodes for sid in node.inputs if sid is not None}

    def tensors_read(self) -> tuple[str, ...]:
        """Return the names of the tensors that scans, locates and arrays touch, in node order."""
        kinds = (ScanAttrs, LocateAttrs, ArrayAttrs)
        names = (node.attrs.tensor for node in self.nodes if isinstance(node.attrs, kinds))
        return tuple(dict.fromkeys(name for name in names if name))

    def tensors_written(self) -> tuple[str, ...]:
        """Return the names of the tensors that writers produce, in node order."""
        kinds = (LevelWriteAttrs, ValWriteAttrs)
        names = (node.attrs.tensor for node in self.nodes if isinstance(node.attrs, kinds))
        return tuple(dict.fromkeys(names))


@dataclass(slots=True)
class DataflowProgram:
    """A whole model as kernels in execution order.

    Every tensor that a kernel touches is a `Value` here and has a format; those that are inputs,
    parameters or constants have data. `schedule` is the resolved schedule as text; `notes` are
    remarks of the fusion stage (barriers, densified values, copies).
    """

    name: str
    tensors: dict[str, Value] = field(default_factory=dict)
    kernels: list[DataflowGraph] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    schedule: str = ""
    notes: list[str] = field(default_factory=list)

    def nodes(self) -> Iterator[tuple[DataflowGraph, Node]]:
        """Yield every node with its kernel."""
        for kernel in self.kernels:
            for node in kernel.nodes:
                yield kernel, node
