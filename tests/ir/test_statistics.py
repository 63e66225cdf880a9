"""The table of statistics and the records of a report say the same."""

import dataclasses
import typing
from collections import Counter

import pytest

from fuseflow.ir import report as rp
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.statistics import RECORDS, STATISTICS, figures

NUMBERS = {int, float, int | None}


def numeric_fields(record: type) -> set[str]:
    hints = typing.get_type_hints(record)
    return {f.name for f in dataclasses.fields(record) if hints[f.name] in NUMBERS} - {"id"}


def properties(record: type) -> set[str]:
    return {name for name, value in vars(record).items() if isinstance(value, property)}


@pytest.mark.parametrize("name", RECORDS)
def test_every_figure_of_a_record_is_described(name: str) -> None:
    described = {s.field for s in STATISTICS if s.record == name}
    assert numeric_fields(RECORDS[name]) <= described
    assert described <= numeric_fields(RECORDS[name]) | properties(RECORDS[name])


def test_names_are_unique_and_every_one_has_unit_and_description() -> None:
    assert set(Counter(s.name for s in STATISTICS).values()) == {1}
    assert all(s.unit and s.description for s in STATISTICS)
    assert {s.kind for s in STATISTICS} == {"counter", "level", "ratio"}


def test_figures_of_a_report_have_paths_of_their_own() -> None:
    node = rp.NodeStats(3, "n", "alu", 8, 6, 2, 4, 4, 2, 8, 0)
    stream = rp.StreamStats(1, "val", rp.TokenCounts(3, 0, 1))
    kernel = rp.KernelStats(
        "k",
        16,
        4,
        2,
        8,
        0,
        (node,),
        (stream,),
        (rp.FunctionFlops("mul", 2),),
        (rp.TensorTraffic("A", 8, 0),),
        rp.MemoryStats(
            "hbm2",
            3,
            1,
            256,
            16,
            row_hits=1,
            row_opens=3,
            answers=4,
            latency_total=180,
            last_response=8,
            peak_bytes_per_cycle=256.0,
            by_channel=(rp.MemoryChannelStats(2, 3, 1),),
            latencies=(rp.LatencyBucket(32, 4),),
            clients=(rp.MemoryClientStats(3, "vals", "A", False, 4, 60, 7),),
        ),
        rp.CriticalResource("node", "n", 6),
    )
    report = rp.SimulationReport("m", HardwareConfig(), [kernel], rp.Totals(16, kernels=1))
    found = {figure.path: figure.value for figure in figures(report)}
    assert found["totals.cycles"] == 16
    assert found["kernel.0.node.3.utilisation"] == 0.75
    assert found["kernel.0.bytes_per_cycle"] == 0.5
    assert found["kernel.0.memory.row_hit_rate"] == 0.25
    assert found["kernel.0.memory.latency_mean"] == 45
    assert found["kernel.0.memory.bytes_per_cycle"] == 32
    assert found["kernel.0.memory.share_of_peak"] == 0.125
    assert found["kernel.0.memory.channel.2.reads"] == 3
    assert found["kernel.0.memory.latency.32.requests"] == 4
    assert found["kernel.0.memory.client.3.vals.words_per_request"] == 15
    assert found["kernel.0.memory.client.3.vals.window_full"] == 7
    assert found["kernel.0.stream.1.tokens.stops"] == 1
    assert found["kernel.0.function.mul.flops"] == 2
    assert found["kernel.0.critical.node.n.busy"] == 6
    assert "kernel.0.stream.1.peak" not in found
    assert not any(path.startswith(("check", "host")) for path in found)
