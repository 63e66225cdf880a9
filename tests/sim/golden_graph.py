"""Turns the graph vectors of the golden file into Machines."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fuseflow.sim import params as pm
from fuseflow.sim.machine import ChannelKind, Machine
from tests.sim import golden


def build_graph(vector: golden.Vector) -> tuple[Machine, dict[str, int]]:
    """Return the machine of a graph vector and its channels by name."""
    builder = golden.MachineBuilder(vector["capacity"])
    for node in vector["nodes"]:
        for port, channel in node["out"].items():
            if channel is not None:
                kind = _kind(builder, node, port)
                builder.channel(channel, kind)
    for node in vector["nodes"]:
        _add_unit(builder, node, vector["tensors"])
    return builder.build(vector["name"]), builder.index


def _kind(builder: golden.MachineBuilder, node: dict[str, Any], port: str) -> ChannelKind:
    """Kind of an output channel: copies and payloads have the kind of what they come from."""
    copied = {
        "broadcast": "in",
        "fork": "in",
        "gather": "in0",
        "repeat": "ref",
    }.get(node["op"])
    if port in node["in"]:
        copied = port
    if copied is None:
        return golden.channel_kind(port)
    return builder.channels[builder.index[node["in"][copied]]].kind


def _add_unit(
    builder: golden.MachineBuilder, node: dict[str, Any], tensors: Mapping[str, Any]
) -> None:
    op = node["op"]
    params = dict(node["params"])
    if op in ("fork", "gather"):
        params["lanes"] = sum(
            name.startswith(("out", "in")) for name in node["out" if op == "fork" else "in"]
        )
    if op == "spacc":
        params.setdefault("flush_ii", 0)
    names = golden.input_ports(op, node["in"], params)
    inputs = [builder.index[node["in"][name]] if name else -1 for name in names]
    outputs = [
        -1 if not name or node["out"][name] is None else builder.index[node["out"][name]]
        for name in golden.output_ports(op, node["out"], params)
    ]
    record = _bound(op, params, tensors) or golden.params_of(op, params, names)
    builder.unit(
        golden.unit_kind(op), node["id"], inputs, outputs, record, golden.cost_of(op, params)
    )


def _bound(op: str, params: Mapping[str, Any], tensors: Mapping[str, Any]) -> pm.UnitParams | None:
    """Parameters of the units that touch a tensor."""
    if op == "scan":
        level = tensors[params["tensor"]]["levels"][params["level"]]
        return golden.params_of("scan", level, [])
    if op == "array":
        values = [float(v) for v in tensors[params["tensor"]]["vals"]]
        return pm.ArrayParams(np.array(values, np.float32), len(values), 0.0)
    if op == "level_write":
        return pm.LevelWriteParams(params["name"], 0)
    if op == "val_write":
        return pm.ValWriteParams(params["name"])
    return None
