"""Reads the golden vectors of the primitives and turns each into a Machine."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuseflow.ir.dataflow import TileAxes, TileOp
from fuseflow.ir.scalar import REDUCTIONS
from fuseflow.sim import params as pm
from fuseflow.sim.machine import Channel, ChannelKind, Cost, Machine, Unit, UnitKind
from fuseflow.sim.tokens import TokenStream, parse_token

Vector = dict[str, Any]

FUNCTIONS = {f"scalar_{name}": f"{name}_scalar" for name in ("add", "mul", "div", "max")}
COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">=": "ge", ">": "gt"}
KINDS = {
    "repeat_pair": UnitKind.REPEAT,
    "intersect": UnitKind.JOIN,
    "union": UnitKind.JOIN,
    "joiner": UnitKind.JOIN,
    "alu1": UnitKind.ALU,
    "alu2": UnitKind.ALU,
}
NUMBER_PORTS = {"val", "a", "b"}


@cache
def load(path: Path) -> tuple[Vector, ...]:
    return tuple(json.loads(path.read_text())["vectors"])


def number(text: Any) -> Any:
    """A fill or value as it stands in a vector: text of a number or of a tile, or a number."""
    return parse_token(str(text).replace(" ", ""), number=True)


def unit_kind(primitive: str) -> UnitKind:
    return KINDS.get(primitive) or UnitKind[primitive.upper()]


class MachineBuilder:
    """Collects units and named channels; test sources and sinks are added on request."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.units: list[Unit] = []
        self.channels: list[Channel] = []
        self.index: dict[str, int] = {}

    def channel(
        self, name: str, kind: ChannelKind, tile: tuple[int, ...] = (), depth: int = -1
    ) -> int:
        self.channels.append(Channel(kind, self.capacity, tile, depth=depth, name=name))
        self.index[name] = len(self.channels) - 1
        return self.index[name]

    def unit(
        self,
        kind: UnitKind,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        params: pm.UnitParams | None = None,
        cost: Cost | None = None,
    ) -> int:
        self.units.append(
            Unit(kind, name, tuple(inputs), tuple(outputs), params or pm.NoParams(), cost or Cost())
        )
        return len(self.units) - 1

    def source(self, channel: int, tokens: Sequence[Any], stamps: Sequence[int]) -> int:
        made = self.channels[channel]
        stream = TokenStream.of(tokens, stamps, number=made.kind is ChannelKind.VAL, tile=made.tile)
        name = f"source {made.name}"
        return self.unit(UnitKind.SOURCE, name, (), (channel,), pm.SourceParams(stream))

    def sink(self, channel: int) -> int:
        name = f"sink {self.channels[channel].name}"
        return self.unit(UnitKind.SINK, name, (channel,), ())

    def build(self, name: str = "test") -> Machine:
        return Machine(name, tuple(self.units), tuple(self.channels))


def input_ports(primitive: str, ports: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Names of the input ports of a vector in the positional order of units; "" if absent."""
    if primitive in ("intersect", "union", "joiner"):
        count = sum(name.startswith("crd") for name in ports)
        order = []
        for j in range(count):
            pays = [p for p in ports if p == f"pay{j}" or p.startswith(f"pay{j}_")]
            order += [f"crd{j}", *sorted(pays)]
        return order
    if primitive == "spacc":
        keys = [f"crd{params['order'] - j}" for j in range(params["order"] + 1)]
        return [*keys, "val", "shape" if "shape" in ports else ""]
    if primitive == "gather":
        return [*(f"in{j}" for j in range(params["lanes"])), "sel" if "sel" in ports else ""]
    if primitive == "concat":
        count = sum(name.startswith(("in", "crd")) for name in ports)
        if params["mode"] == "pad":
            return [f"{kind}{j}" for j in range(count) for kind in ("crd", "pay")]
        return [f"in{j}" for j in range(count)]
    fixed = {
        "locate": ["crd", "parent" if "parent" in ports else ""],
        "repeat": ["ref", "sig"],
        "repeat_pair": ["ref", "sig"],
        "replay": ["in", "sig"],
        "hold": ["outer", "inner"],
        "drop": ["outer", "inner"],
        "mask": ["outer", "inner"],
        "valdrop": ["crd", "val"],
        "alu2": ["a", "b"],
        "reduce": ["val", "shape" if "shape" in ports else ""],
    }.get(primitive, [])
    return [*fixed, *sorted(set(ports) - set(fixed))]


def output_ports(primitive: str, ports: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    if primitive == "spacc":
        return [*(f"crd{params['order'] - 1 - j}" for j in range(params["order"])), "val"]
    if primitive == "fork":
        return [*(f"out{j}" for j in range(params["lanes"])), "sel" if "sel" in ports else ""]
    fixed = {
        "scan": ["crd", "ref"],
        "locate": ["crd", "loc"],
        "hold": ["outer", "inner"],
        "drop": ["outer", "inner"],
        "mask": ["inner"],
        "valdrop": ["crd", "val"],
        "intersect": ["crd"],
        "union": ["crd"],
        "joiner": ["crd"],
    }.get(primitive, [])
    return [*fixed, *sorted(set(ports) - set(fixed))]


def channel_kind(port: str, texts: Sequence[str] = ()) -> ChannelKind:
    """Kind of the channel at a port; payloads are numbers where a text has a fraction."""
    if port == "sig":
        return ChannelKind.SIG
    is_number = port in NUMBER_PORTS or any("." in text for text in texts)
    return ChannelKind.VAL if is_number else ChannelKind.REF


def cost_of(primitive: str, params: Mapping[str, Any]) -> Cost:
    done = {"val_write": 1, "fork": 1, "gather": params.get("lanes", 1) - 1}.get(primitive, 0)
    return Cost(
        ii=params.get("ii", 1),
        latency=params.get("latency", 1),
        flush_ii=params.get("flush_ii", 0),
        done=done,
    )


def params_of(
    primitive: str,
    params: Mapping[str, Any],
    inputs: Sequence[str],
    tile: tuple[int, ...] = (),
) -> pm.UnitParams:
    """Parameters of a unit from those of a vector, with the defaults of the vectors' format."""
    arity = sum(name.startswith(("crd", "in")) for name in inputs)
    builders = {
        "scan": lambda: _scan(params),
        "full": lambda: pm.FullParams(params["dim"]),
        "locate": lambda: _locate(params),
        "intersect": lambda: _join(params.get("keep", "all"), inputs, arity),
        "union": lambda: _join(params.get("keep", "any"), inputs, arity),
        "joiner": lambda: _join(params["keep"], inputs, arity),
        "repeat": lambda: pm.RepeatParams(params.get("lookahead", True)),
        "repeat_pair": lambda: pm.RepeatParams(),
        "replay": lambda: pm.ReplayParams(params["depth"]),
        "mask": lambda: pm.MaskParams(COMPARE[params["keep"].split()[1]]),
        "valdrop": lambda: pm.ValDropParams(number(params["fill"])),
        "array": lambda: _array(params),
        "alu1": lambda: _alu(params, 1, tile),
        "alu2": lambda: _alu(params, 2, tile),
        "reduce": lambda: _reduce(params, tile),
        "spacc": lambda: _spacc(params),
        "gather": lambda: pm.GatherParams(params["lanes"], params["depth"]),
        "concat": lambda: pm.ConcatParams(
            params["mode"], params["depth"], tuple(params.get("offsets", [0] * arity))
        ),
        "level_write": lambda: pm.LevelWriteParams("X", 0),
        "val_write": lambda: pm.ValWriteParams("X", float(params.get("fill", 0))),
    }
    return builders[primitive]() if primitive in builders else pm.NoParams()


def _ints(values: Any) -> Any:
    return None if values is None else np.array(values, np.int64)


def _scan(params: Mapping[str, Any]) -> pm.ScanParams:
    seg, crd = _ints(params.get("seg")), _ints(params.get("crd"))
    parents = 1 << 40 if params["format"] == "dense" else len(crd if seg is None else seg)
    size = params.get("dim", 1 << 32)
    return pm.ScanParams(params["format"], size, parents - (seg is not None), seg, crd)


def _locate(params: Mapping[str, Any]) -> pm.LocateParams:
    size = params.get("dim", 1 << 32)
    return pm.LocateParams(
        size,
        params.get("stride", 1),
        params.get("base", 0),
        params.get("parent_stride", size),
        params.get("search", False),
        _ints(params.get("seg")),
        _ints(params.get("crd")),
    )


def _join(keep: Any, inputs: Sequence[str], arity: int) -> pm.JoinParams:
    count = 1 << arity
    tables = {
        "all": [mask == count - 1 for mask in range(count)],
        "any": [mask > 0 for mask in range(count)],
        "left": [bool(mask & 1) for mask in range(count)],
    }
    table = tables[keep] if isinstance(keep, str) else keep
    payloads = tuple(
        sum(p == f"pay{j}" or p.startswith(f"pay{j}_") for p in inputs) for j in range(arity)
    )
    return pm.JoinParams(tuple(map(bool, table)), payloads)


def _array(params: Mapping[str, Any]) -> pm.ArrayParams:
    values = np.array([number(v) for v in params["vals"]], np.float32)
    return pm.ArrayParams(values, len(values), number(params["fill"]))


def _alu(params: Mapping[str, Any], arity: int, tile: tuple[int, ...]) -> pm.AluParams:
    fn = FUNCTIONS.get(params["op"], params["op"])
    fills = params.get("fill", 0)
    fills = fills if isinstance(fills, list) else [fills] * arity
    constants = (float(params["scalar"]),) if fn.endswith("_scalar") else ()
    points, tile_op = int(np.prod(tile or 1)), None
    if fn == "matmul":
        side = tile[0]
        fn, points = "mul", 2 * side**3
        operands = (TileAxes((0, 2)), TileAxes((2, 1)))
        tile_op = TileOp((side,) * 3, operands, TileAxes((0, 1)), "add")
    return pm.AluParams(fn, tuple(number(f) for f in fills), constants, points, tile_op)


def _reduce(params: Mapping[str, Any], tile: tuple[int, ...]) -> pm.ReduceParams:
    init = REDUCTIONS[params["op"]].identity
    if "init" in params and not tile:
        init = float(params["init"])
    return pm.ReduceParams(
        params["op"],
        init,
        float(params.get("empty", init)),
        float(params.get("fill", 0)),
        params.get("extent"),
        params.get("tile_axis") or "",
    )


def _spacc(params: Mapping[str, Any]) -> pm.SpaccParams:
    order = params["order"]
    full = params.get("full") or {}
    return pm.SpaccParams(
        params["op"],
        REDUCTIONS[params["op"]].identity,
        order,
        tuple(full.get(str(order - 1 - i), 0) for i in range(order)),
        float(params.get("missing", 0)),
        float(params.get("fill", 0)),
        params.get("extent"),
    )
