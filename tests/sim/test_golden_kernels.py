"""Whole kernels agree with the golden Comal cases: every token, every stamp, cycles, results."""

import json
from pathlib import Path
from typing import Any

import pytest

from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.sim import simulate
from fuseflow.sim.build import build_machine
from fuseflow.sim.tokens import Stop, format_token
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator

CASES = {"spmv": kernels.spmv, "spmspm_ikj": kernels.spmspm}


def load(shared: Path, case: str) -> tuple[dict[str, Any], list[Value]]:
    expected = json.loads((shared / "golden" / "comal" / case / "expected.json").read_text())
    values = [
        kernels.operand(name, spec["dense"], ",".join(spec["level_formats"]))
        for name, spec in expected["tensors"].items()
    ]
    out = expected["output"]
    values.append(
        kernels.result(out["tensor"], tuple(out["shape"]), ",".join(out["level_formats"]))
    )
    return expected, values


def unmarked(tokens: list[Any]) -> list[str]:
    """Tokens as text, without the marks that the golden cases do not know."""
    return [f"S{t.n}" if isinstance(t, Stop) else format_token(t) for t in tokens]


@every_simulator
@pytest.mark.parametrize("case", CASES)
def test_kernel_has_the_golden_streams_and_stamps(shared: Path, case: str, simulator: str) -> None:
    expected, values = load(shared, case)
    kernel = CASES[case]()
    tensors = {value.name: value for value in values}
    machine = build_machine(kernel.graph, tensors, HardwareConfig())
    run = simulators.load(simulator)(machine, record=True)
    index = {channel.stream: i for i, channel in enumerate(machine.channels)}
    for stream in expected["streams"]:
        recorded = run.channels[index[kernel.streams[stream["id"]]]].recorded
        assert recorded is not None
        wanted = [t if isinstance(t, str) else format_token(t) for t in stream["tokens"]]
        assert unmarked(recorded.tokens()) == wanted
        assert recorded.stamps.tolist() == stream["stamps"]
    assert run.elapsed == expected["cycles"]["value"]


@every_simulator
@pytest.mark.parametrize("case", CASES)
def test_kernel_writes_the_golden_result(shared: Path, case: str, simulator: str) -> None:
    simulators.load(simulator)
    expected, values = load(shared, case)
    out = expected["output"]
    program = kernels.program(values, [CASES[case]().graph], out["tensor"], out["dense"])
    report = simulate(program, engine=simulator, check=True, rtol=0, atol=0)
    assert report.check.passed
    tensor = report.outputs[0].tensor
    assert tensor is not None
    assert tensor.values is not None
    assert tensor.values.tolist() == out["stored"]["vals"]
    for level, stored in zip(tensor.levels, out["stored"]["levels"], strict=True):
        assert level.segments is not None
        assert level.coordinates is not None
        assert level.segments.tolist() == stored["seg"]
        assert level.coordinates.tolist() == stored["crd"]
