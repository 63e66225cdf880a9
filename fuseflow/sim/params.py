# SPDX-License-Identifier: MIT
"""Parameters of the units of a Machine: one record per kind, with all data bound.

Ports are given as (inputs -> outputs), in the positional order that both simulators use; it is the
order of `fuseflow.ir.op_specs`. What each kind does, token by token and cycle by cycle, is
docs/streams.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fuseflow.ir.dataflow import TileOp
from fuseflow.sim.tokens import TokenStream

__all__ = [
    "AluParams",
    "ArrayParams",
    "ConcatParams",
    "Fill",
    "Floats",
    "FullParams",
    "GatherParams",
    "Ints",
    "JoinParams",
    "LevelWriteParams",
    "LocateParams",
    "MaskParams",
    "NoParams",
    "ReduceParams",
    "RepeatParams",
    "ReplayParams",
    "ScanParams",
    "SourceParams",
    "SpaccParams",
    "UnitParams",
    "ValDropParams",
    "ValWriteParams",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Fill = float | Floats
"""A fill value; an array of the tile shape where the value differs within a tile."""


@dataclass(frozen=True, slots=True)
class NoParams:
    """Parameters of a kind that has none: sink, repsig, root, hold, drop, broadcast, fork."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceParams:
    """source (out): sends these tokens; `stream.stamps` are the earliest stamps."""

    stream: TokenStream


@dataclass(frozen=True, slots=True, eq=False)
class ScanParams:
    """scan (ref -> crd, ref). `parents` bounds the references that may arrive.

    compressed: `segments` of length parents + 1 and `coordinates`; singleton: `coordinates` of
    length parents; dense: `size` alone.
    """

    format: str
    size: int
    parents: int
    segments: Ints | None = None
    coordinates: Ints | None = None


@dataclass(frozen=True, slots=True)
class FullParams:
    """full (in -> crd): all coordinates below `size`."""

    size: int


@dataclass(frozen=True, slots=True, eq=False)
class LocateParams:
    """locate (crd, parent?, pay* -> crd, loc, pay*).

    Dense: loc = parent * parent_stride + crd * stride + base, crd < size. `search`: position of
    crd in the fiber of parent, in `segments` and `coordinates`; absent gives a missing token.
    """

    size: int
    stride: int = 1
    base: int = 0
    parent_stride: int = 0
    search: bool = False
    segments: Ints | None = None
    coordinates: Ints | None = None


@dataclass(frozen=True, slots=True)
class JoinParams:
    """join (crd0, pay0_0.., crd1, .. -> crd, all payloads in that order).

    `keep` has 2**inputs entries, indexed by the presence mask (bit j = input j); `payloads` counts
    the payload ports of each input.
    """

    keep: tuple[bool, ...]
    payloads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RepeatParams:
    """repeat (in, sig -> out). `lookahead`: every closing stop peeks at the outer stream.

    Without it only a signal stop of level 1 or more does (it has an outer stop to retire).
    """

    lookahead: bool = True


@dataclass(frozen=True, slots=True)
class ReplayParams:
    """replay (in, sig -> out): elements are `depth`-deep lists, depth >= 1."""

    depth: int


@dataclass(frozen=True, slots=True)
class MaskParams:
    """mask (outer, inner, pay* -> inner, pay*): keep where outer OP inner; lt le eq ne ge gt."""

    keep: str


@dataclass(frozen=True, slots=True, eq=False)
class ValDropParams:
    """valdrop (crd, val -> crd, val): removes values equal to `fill`."""

    fill: Fill = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ArrayParams:
    """array (ref -> val). `values` f32[positions, *tile]; None: a pattern, every value is 1.

    `positions` bounds the references that may arrive. A pattern causes no memory traffic.
    """

    values: Floats | None
    positions: int
    fill: Fill = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class AluParams:
    """alu (a, b? -> val): `fn` is a key of SCALAR_FUNCTIONS; arity = fills.

    `tile_op` says how tiles are combined, None: element by element. `flops` counts one application
    to one token (a whole tile).
    """

    fn: str
    fills: tuple[Fill, ...]
    parameters: tuple[float, ...]
    flops: int
    tile_op: TileOp | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReduceParams:
    """reduce (val, shape? -> val): `op` is a key of REDUCTIONS. `init` starts every list.

    `empty` is the value of an empty list; `extent` the number of entries of a full list (None: no
    correction); an empty list is then all fill, whatever `empty`. `tile_axis` "cols" folds the
    columns of a tile too; "" does not. `wide`: folds in float64, and rounds the result.
    """

    op: str
    init: float
    empty: float
    fill: Fill = 0.0
    extent: int | None = None
    tile_axis: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SpaccParams:
    """spacc (crd_n .. crd_0, val, shape? -> crd_{n-1} .. crd_0, val) of order n >= 1.

    `full[i]` is the extent of the key on output port i if it is emitted densely, else 0; leaves
    that this creates are `missing` (with an extent: `init` corrected as in reduce). The first value
    starts an entry. `wide`: as in reduce.
    """

    op: str
    init: float
    order: int
    full: tuple[int, ...]
    missing: Fill = 0.0
    fill: Fill = 0.0
    extent: int | None = None
    wide: bool = False


@dataclass(frozen=True, slots=True)
class GatherParams:
    """gather (in_0 .. in_{lanes-1}, sel? -> out): elements are `depth`-deep lists."""

    lanes: int
    depth: int


@dataclass(frozen=True, slots=True)
class ConcatParams:
    """concat: mode "mix" (in_0.. -> out) or "pad" (crd_0, pay_0, .. -> crd, pay_0, ..)."""

    mode: str
    depth: int
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LevelWriteParams:
    """level_write (crd): keeps level `level` of `tensor` in `format`; `size` bounds coordinates."""

    tensor: str
    level: int
    format: str = "compressed"
    size: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ValWriteParams:
    """val_write (val, ref?): keeps the values of `tensor`.

    Without ref the values are appended. With ref they go to the positions that ref names, of
    `positions` many; those never named keep `fill`.
    """

    tensor: str
    fill: Fill = 0.0
    positions: int | None = None


UnitParams = (
    NoParams
    | SourceParams
    | ScanParams
    | FullParams
    | LocateParams
    | JoinParams
    | RepeatParams
    | ReplayParams
    | MaskParams
    | ValDropParams
    | ArrayParams
    | AluParams
    | ReduceParams
    | SpaccParams
    | GatherParams
    | ConcatParams
    | LevelWriteParams
    | ValWriteParams
)
