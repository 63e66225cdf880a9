# SPDX-License-Identifier: MIT
"""What random machines are drawn with: shapes of streams, units, channels and sources.

Streams with one `Shape` hold equal lists; a child shape has a list for every element of its parent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fuseflow.sim import params as pm
from fuseflow.sim.machine import Channel, ChannelKind, Cost, Unit, UnitKind
from fuseflow.sim.nested import encode
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token, TokenStream

MAX_DEPTH = 4
CRD, REF, VAL, SIG = ChannelKind.CRD, ChannelKind.REF, ChannelKind.VAL, ChannelKind.SIG
UNARY = ("relu", "neg", "exp", "sigmoid", "gelu", "gelu_tanh", "rsqrt", "square", "copy", "tanh")
BINARY = ("mul", "add", "sub", "div", "max", "min", "safe_sub", "safe_div")


@dataclass(eq=False)
class Shape:
    """The structure of a stream: `parent` is one level out, `elements` bounds the elements."""

    depth: int
    elements: int
    parent: Shape | None = None

    def outer(self) -> Shape:
        if self.parent is None:
            self.parent = Shape(self.depth - 1, self.elements)
        return self.parent


@dataclass(eq=False)
class Stream:
    """An unread channel. `bound` limits integer values; `ascending` lists may be joined."""

    channel: int
    kind: ChannelKind
    shape: Shape
    bound: int = 0
    ascending: bool = False


class Drawing:
    """One machine in the making: random choices, units, and streams that are still unread."""

    def __init__(self, seed: int, capacity: int | None, scale: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.scale = scale
        self.limit = 60 * scale * scale
        self.capacity = capacity
        self.units: list[Unit] = []
        self.channels: list[Channel] = []
        self.open: list[Stream] = []

    # Drawing.

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def floats(self, n: int) -> pm.Floats:
        return (self.rng.integers(-8, 9, n) / 4).astype(np.float32)

    def fill(self) -> float:
        return float(self.rng.choice([0.0, 0.0, 1.0, -0.5, -np.inf]))

    def cost(self) -> Cost:
        if self.chance(0.6):
            return Cost(done=self.below(2))
        ii, latency, n_cost, flush, startup, done, inner = self.rng.integers(0, 5, 7).tolist()
        return Cost(max(ii, 1), max(latency, 1), n_cost, flush, startup, done, inner)

    def unit(
        self,
        kind: UnitKind,
        inputs: list[int],
        outputs: list[int],
        params: pm.UnitParams | None = None,
    ) -> None:
        name = f"{kind.name.lower()}{len(self.units)}"
        record = params or pm.NoParams()
        self.units.append(Unit(kind, name, tuple(inputs), tuple(outputs), record, self.cost()))

    def stream(
        self, kind: ChannelKind, shape: Shape, bound: int = 0, ascending: bool = False
    ) -> Stream:
        interval = self.below(3) if self.chance(0.05) else 0
        channel = Channel(kind, self.capacity, (), interval, shape.depth, f"c{len(self.channels)}")
        self.channels.append(channel)
        return Stream(len(self.channels) - 1, kind, shape, bound, ascending)

    def emit(self, *streams: Stream) -> list[int]:
        """Open streams for further units; a few outputs are void."""
        self.open += streams
        return [stream.channel for stream in streams]

    def use(self, stream: Stream) -> int:
        """Return a channel that carries the stream, which is copied first if it stays open."""
        if not self.chance(0.8):
            self.open.remove(stream)
            return stream.channel
        copies = [
            self.stream(stream.kind, stream.shape, stream.bound, stream.ascending) for _ in range(2)
        ]
        self.unit(UnitKind.BROADCAST, [stream.channel], [c.channel for c in copies])
        self.open[self.open.index(stream)] = copies[0]
        return copies[1].channel

    def pick(self, accept: Callable[[Stream], bool]) -> Stream | None:
        fitting = [stream for stream in self.open if accept(stream)]
        return fitting[self.below(len(fitting))] if fitting else None

    # Sources.

    def sources(self) -> None:
        for _ in range(1 + self.below(2)):
            depth = self.below(3)
            nested = self.nested(depth)
            shape = Shape(depth, max(1, count(nested)))
            for kind in (REF, CRD, VAL)[: 1 + self.below(3)]:
                self.source(nested, shape, kind)

    def nested(self, depth: int) -> object:
        if depth == 0:
            return 0
        length = 0 if self.chance(0.25) else self.below(4 * self.scale if depth == 1 else 4)
        return [self.nested(depth - 1) for _ in range(length)]

    def source(self, nested: object, shape: Shape, kind: ChannelKind) -> None:
        stream = self.stream(kind, shape, bound=6)
        tokens: list[Token] = [
            token if isinstance(token, Stop) or token is DONE else self.element(kind)
            for token in encode(nested, shape.depth)
        ]
        gaps = self.rng.integers(1, 4, len(tokens)) if self.chance(0.5) else np.ones(len(tokens))
        stamps = np.cumsum(gaps).astype(int).tolist()
        packed = TokenStream.of(tokens, stamps, number=kind is VAL)
        self.unit(UnitKind.SOURCE, [], self.emit(stream), pm.SourceParams(packed))

    def element(self, kind: ChannelKind) -> Token:
        if kind is not CRD and self.chance(0.2):
            return MISSING
        return self.floats(1)[0] if kind is VAL else self.below(6)

    # Steps.


def above(shape: Shape, levels: int) -> Shape:
    """The shape that lies around the lists of this level."""
    for _ in range(levels + 1):
        shape = shape.outer()
    return shape


def count(nested: object) -> int:
    """Number of elements of a nested list."""
    return sum(map(count, nested)) if isinstance(nested, list) else 1
