"""Every golden vector of the primitives holds: tokens, stamps, clocks, results, errors."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.sim import faults
from fuseflow.sim.machine import ChannelKind, Machine, UnitKind
from fuseflow.sim.nested import decode, encode
from fuseflow.sim.result import MachineResult
from fuseflow.sim.tokens import parse_token
from tests.sim import golden, simulators
from tests.sim.golden_graph import build_graph
from tests.sim.simulators import every_simulator

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(os.environ.get("FUSEFLOW_SHARED", ROOT.parent / "shared")) / "golden/primitives.json"
VECTORS = golden.load(FILE) if FILE.exists() else ()
MISFITS = {faults.MISALIGNED, faults.OUT_OF_RANGE, faults.OVERFULL}


def strict(*kinds: str) -> list[Any]:
    """Vectors of these kinds that hold for our semantics."""
    return [
        pytest.param(v, id=v["name"])
        for v in VECTORS
        if v["kind"] in kinds and "strict" in v["semantics"]
    ]


def test_the_golden_file_is_here() -> None:
    if not VECTORS:
        pytest.skip("no external data: set FUSEFLOW_SHARED to the folder that holds it")
    assert len(strict("node", "tile", "capacity", "graph", "codec")) == 215


def node_machine(vector: golden.Vector) -> Machine:
    """The unit of a vector between sources and sinks."""
    primitive, params = vector["primitive"], vector.get("params", {})
    tile = tuple(params.get("block", ()))
    builder = golden.MachineBuilder(vector.get("capacity"))
    names = golden.input_ports(primitive, vector["inputs"], params)
    inputs = [_source(builder, vector, name, tile) if name else -1 for name in names]
    if primitive == "repeat_pair":
        signal = builder.channel("signal", ChannelKind.SIG)
        builder.unit(UnitKind.REPSIG, "repsig", (inputs[1],), (signal,))
        inputs[1] = signal
    ports = vector.get("outputs") or _default_outputs(primitive, names)
    outputs = [_output(builder, vector, name, tile) for name in _outputs(vector, ports)]
    builder.unit(
        golden.unit_kind(primitive),
        "node",
        inputs,
        outputs,
        golden.params_of(primitive, params, names, tile),
        golden.cost_of(primitive, params),
    )
    for channel in outputs:
        if channel >= 0:
            builder.sink(channel)
    return builder.build(vector["name"])


def _default_outputs(primitive: str, inputs: list[str]) -> list[str]:
    """Output ports of a vector that states an error instead."""
    fixed = {"locate": ["crd", "loc"], "alu2": ["val"], "reduce": ["val"], "repeat": ["ref"]}
    return fixed.get(primitive, ["crd", *(name for name in inputs if name.startswith("pay"))])


def _outputs(vector: golden.Vector, ports: Any) -> list[str]:
    if vector["primitive"] in ("level_write", "val_write"):
        return []
    return golden.output_ports(vector["primitive"], ports, vector.get("params", {}))


def _source(
    builder: golden.MachineBuilder, vector: golden.Vector, name: str, tile: tuple[int, ...]
) -> int:
    texts = vector["inputs"][name]
    kind = golden.channel_kind(name, texts)
    is_number = kind is ChannelKind.VAL
    channel = builder.channel(f"in {name}", kind, tile if is_number else ())
    stamps = vector.get("feed", {}).get(name) or range(1, len(texts) + 1)
    builder.source(channel, [parse_token(text, number=is_number) for text in texts], stamps)
    return channel


def _output(
    builder: golden.MachineBuilder, vector: golden.Vector, name: str, tile: tuple[int, ...]
) -> int:
    if not name:
        return -1
    kind = golden.channel_kind(name, vector.get("outputs", {}).get(name, ()))
    return builder.channel(f"out {name}", kind, tile if kind is ChannelKind.VAL else ())


def assert_tokens(
    result: MachineResult, machine: Machine, channel: int, texts: list[str], tolerance: float
) -> None:
    recorded = result.channels[channel].recorded
    assert recorded is not None
    is_number = machine.channels[channel].kind is ChannelKind.VAL
    expected = [parse_token(text, number=is_number) for text in texts]
    got = recorded.tokens()
    assert len(got) == len(expected)
    for mine, wanted in zip(got, expected, strict=True):
        if is_number and isinstance(wanted, np.floating | np.ndarray):
            np.testing.assert_allclose(mine, wanted, rtol=tolerance, atol=0)
        else:
            assert mine == wanted, f"{recorded.text()} is not {texts}"


@every_simulator
@pytest.mark.parametrize("vector", strict("node", "tile", "capacity"))
def test_primitive_reproduces_its_vector(vector: golden.Vector, simulator: str) -> None:
    run = simulators.load(simulator)
    machine = node_machine(vector)
    if "error" in vector:
        with pytest.raises(GraphError) as caught:
            run(machine)
        assert caught.value.rule in MISFITS
        return
    result = run(machine, record=True)
    channels = {channel.name: i for i, channel in enumerate(machine.channels)}
    assert result.complete
    for port, texts in vector["outputs"].items():
        index = channels[f"out {port}"]
        assert_tokens(result, machine, index, texts, vector.get("tolerance", 0))
    stamps = {f"out {port}": s for port, s in vector["stamps"].items()}
    stamps |= {f"in {port}": s for port, s in vector.get("input_stamps", {}).items()}
    got = {name: result.channels[channels[name]].recorded for name in stamps}
    assert {name: r.stamps.tolist() for name, r in got.items() if r} == stamps
    node = next(i for i, unit in enumerate(machine.units) if unit.name == "node")
    assert result.units[node].clock == vector["clock"]
    assert result.elapsed == vector["elapsed"]
    assert_written(result.units[node], vector.get("result", {}))


def assert_written(unit: Any, expected: dict[str, list[Any]]) -> None:
    if "seg" in expected:
        assert unit.level.segments.tolist() == expected["seg"]
        assert unit.level.coordinates.tolist() == expected["crd"]
    if "vals" in expected:
        assert unit.values.tolist() == [float(text) for text in expected["vals"]]


@every_simulator
@pytest.mark.parametrize("vector", strict("graph"))
def test_graph_reproduces_its_vector(vector: golden.Vector, simulator: str) -> None:
    run = simulators.load(simulator)
    machine, channels = build_graph(vector)
    result = run(machine, record=True)
    if vector.get("error") == "deadlock":
        assert result.deadlock is not None
        assert result.deadlock.kind == "capacity"
        assert {blocked.waits_for for blocked in result.deadlock.blocked} >= {"slot", "token"}
        return
    clocks = {u.name: r.clock for u, r in zip(machine.units, result.units, strict=True)}
    assert {name: clocks[name] for name in vector["clocks"]} == vector["clocks"]
    assert result.elapsed == vector["elapsed"]
    recorded = {name: result.channels[index].recorded for name, index in channels.items()}
    counts = {name: len(stream) for name, stream in recorded.items() if stream}
    assert {n: counts[n] for n in vector["tokens_per_channel"]} == vector["tokens_per_channel"]
    for name, texts in vector.get("streams", {}).items():
        assert_tokens(result, machine, channels[name], texts, vector.get("tolerance", 0))
        stream = recorded[name]
        assert stream is not None
        assert stream.stamps.tolist() == vector["stamps"][name]
    for unit, figures in zip(machine.units, result.units, strict=True):
        written = vector["written"].get(getattr(unit.params, "tensor", ""), {})
        assert_written(figures, {"vals": written} if isinstance(written, list) else written)


@pytest.mark.parametrize("vector", strict("codec"))
def test_code_reproduces_its_vector(vector: golden.Vector) -> None:
    depth = vector["params"]["depth"]
    tokens = [parse_token(text, number=False) for text in vector["tokens"]]
    if vector.get("error") == "malformed":
        with pytest.raises(GraphError) as caught:
            decode(tokens, depth)
        assert caught.value.rule == faults.MALFORMED
        return
    assert encode(vector["nested"], depth) == tokens
    assert decode(tokens, depth) == vector["nested"]
