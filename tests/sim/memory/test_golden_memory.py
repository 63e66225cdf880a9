"""The memory models answer the golden requests in the golden cycles."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.ir.hardware import ComalHbmConfig, Hbm2Config, MemoryConfig
from fuseflow.sim.machine import ChannelKind, UnitKind
from fuseflow.sim.memory import Dram, MemoryModel, QueueServer, Request
from fuseflow.sim.params import ScanParams
from fuseflow.sim.tokens import DONE, Stop
from tests.sim import golden, simulators
from tests.sim.simulators import every_simulator
from tests.sim.test_golden_primitives import node_machine

ROOT = Path(__file__).resolve().parents[3]
FILE = Path(os.environ.get("FUSEFLOW_SHARED", ROOT.parent / "shared")) / "golden/primitives.json"
VECTORS = golden.load(FILE) if FILE.exists() else ()
OUTCOMES = {"hit": "row_hits", "empty": "row_opens", "conflict": "row_conflicts"}


def vectors(primitive: str) -> list[Any]:
    chosen = [v for v in VECTORS if v["primitive"] == primitive]
    return [pytest.param(v, id=v["name"]) for v in chosen]


def dram_config(params: dict[str, Any]) -> Hbm2Config:
    """The configuration of a vector; its names drop the underscore."""
    names = {f"t_{key[1:].lower()}": value for key, value in params.items() if key[0] == "t"}
    same = ("channels", "banks", "row_bytes", "policy", "window", "bypass", "client_window")
    names |= {key: params[key] for key in same if key in params}
    return Hbm2Config(line_bytes=params["line"], **names)


def answer(memory: MemoryModel, requests: list[Request]) -> list[int]:
    for request in requests:
        memory.submit(request)
    while memory.serve():
        pass
    return [request.response for request in requests]


@pytest.mark.parametrize("vector", vectors("comal-hbm"))
def test_queue_server_answers_in_the_cycles_of_its_vector(vector: golden.Vector) -> None:
    memory = QueueServer(ComalHbmConfig(**vector["params"]))
    asked = [Request(r["t"], r["client"], 0, words=r["addresses"]) for r in vector["requests"]]
    assert answer(memory, asked) == vector["response_times"]


@pytest.mark.parametrize("vector", vectors("hbm2"))
def test_dram_answers_in_the_cycles_of_its_vector(vector: golden.Vector) -> None:
    memory = Dram(dram_config(vector["params"]))
    asked = [
        Request(r["t"], r["client"], r["seq"], r["addr"], write=bool(r["write"]))
        for r in vector["requests"]
    ]
    assert answer(memory, asked) == vector["response_times"]
    for outcome, name in OUTCOMES.items():
        assert memory.figures.total(name) == vector["row_outcome"].count(outcome)


@every_simulator
@pytest.mark.parametrize("vector", [v for v in VECTORS if v.get("memory")], ids=lambda v: v["name"])
def test_a_unit_alone_waits_for_the_queue_server(vector: golden.Vector, simulator: str) -> None:
    machine = replace(node_machine(vector), memory=MemoryConfig("comal-hbm"))
    result = simulators.load(simulator)(machine, record=True)
    channels = {channel.name: i for i, channel in enumerate(machine.channels)}
    for port, texts in vector["outputs"].items():
        recorded = result.channels[channels[f"out {port}"]].recorded
        assert recorded is not None
        assert recorded.text() == texts
        assert recorded.stamps.tolist() == vector["stamps"][port]


@every_simulator
@pytest.mark.parametrize("vector", vectors("hbm2-scanner"))
def test_a_scanner_alone_reads_ahead(vector: golden.Vector, simulator: str) -> None:
    params = vector["params"]
    fibers, length = params["fibers"], params["fiber_length"]
    builder = golden.MachineBuilder()
    refs, crds, out = (builder.channel(name, ChannelKind.REF) for name in ("refs", "crds", "out"))
    builder.source(refs, [*vector["refs"], Stop(0), DONE], range(1, fibers + 3))
    segments = np.arange(fibers + 1, dtype=np.int64) * length
    coordinates = np.tile(np.arange(length, dtype=np.int64), fibers)
    scan = ScanParams("compressed", length, fibers, segments, coordinates)
    node = builder.unit(UnitKind.SCAN, "scan", (refs,), (crds, out), scan)
    builder.units[node] = replace(
        builder.units[node], bases=(params["base_seg"], params["base_crd"])
    )
    builder.sink(crds)
    builder.sink(out)
    memory = MemoryConfig("hbm2", hbm2=dram_config(params))
    result = simulators.load(simulator)(replace(builder.build(), memory=memory))
    assert result.units[node].clock == vector["finish"]
    assert result.memory is not None
    assert result.memory.total("reads") == vector["line_requests"]
