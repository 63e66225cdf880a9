"""`ff-sim` reports every run, and its exit code says how the run went."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.cli import ff_fuse, ff_import, ff_show, ff_sim, watching
from fuseflow.cli.console import Console
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.op_specs import OP_SPECS
from fuseflow.sim import Watch, simulate
from fuseflow.sim.profiles import MEMORY_MODELS, PROFILES
from fuseflow.sim.run import SIMULATORS
from fuseflow.wire import (
    Artifact,
    read_dataflow_program,
    read_einsum_graph,
    read_report,
    write_artifact,
)
from tests.cli.conftest import Result

Call = Callable[..., Result]


@pytest.fixture
def program_file(call: Call, graph_file: Path) -> Path:
    path = graph_file.with_name("program.pb")
    assert call(ff_fuse.main, graph_file, "--strategy", "full", "-o", path).code == 0
    return path


def simulated(call: Call, *words: str | Path) -> dict[str, Any]:
    result = call(ff_sim.main, *words, "--json")
    assert (result.code, result.err) == (0, "")
    plain: dict[str, Any] = json.loads(result.out)
    return plain


def spoil_reference(graph_file: Path) -> None:
    graph = read_einsum_graph(graph_file)
    for output in graph.outputs:
        assert output.reference is not None
        output.reference[0, 0] += 1
    write_artifact(Artifact(graph), graph_file)


def test_a_run_that_passes_its_check_exits_0(call: Call, program_file: Path) -> None:
    plain = simulated(call, program_file, "--check")
    assert plain["check"]["passed"] is True
    assert plain["totals"]["cycles"] > 0
    assert plain["totals"]["kernels"] == 1


def test_without_the_option_nothing_is_checked(call: Call, program_file: Path) -> None:
    assert simulated(call, program_file)["check"]["performed"] is False


def test_outputs_are_in_the_report(call: Call, program_file: Path, graph: EinsumGraph) -> None:
    report = read_report(call(ff_sim.main, program_file).out)
    (value,) = report.outputs
    assert value.tensor is not None
    expected = graph.outputs[0].reference
    np.testing.assert_allclose(value.tensor.to_dense(), expected)


def test_a_failed_check_exits_1_and_the_report_is_written(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    spoil_reference(graph_file)
    program = call(ff_fuse.main, graph_file).out
    out = tmp_path / "report.pb"
    result = call(ff_sim.main, "--check", "-o", out, stdin=program)
    assert result.code == 1
    assert result.err.startswith('ff-sim: error: S023 wrong-result: graph "test": Z[0,0]: got 0')
    check = read_report(out).check
    assert (check.performed, check.passed, check.max_abs_error) == (True, False, 1.0)
    shown = call(ff_show.main, out)
    assert "check FAILED" in shown.out.decode()


def test_a_tolerance_can_be_set(call: Call, graph_file: Path) -> None:
    spoil_reference(graph_file)
    program = call(ff_fuse.main, graph_file).out
    assert call(ff_sim.main, "--check", "--atol", "0.1", stdin=program).code == 1
    assert call(ff_sim.main, "--check", "--atol", "1", stdin=program).code == 0


def test_a_check_without_references_fails(call: Call, program_file: Path) -> None:
    program = read_dataflow_program(program_file)
    outputs = [
        type(out)(out.name, out.value, out.permutation, out.shape) for out in program.outputs
    ]
    program.outputs = outputs
    write_artifact(Artifact(program), program_file)
    result = call(ff_sim.main, "--check", program_file)
    assert result.code == 1
    assert "S022 no-reference" in result.err


def test_a_limit_exits_3_and_the_report_is_written(call: Call, program_file: Path) -> None:
    result = call(ff_sim.main, "--max-cycles", "3", program_file)
    assert result.code == 3
    assert "S021 cycle-limit" in result.err
    assert read_report(result.out).complete is False


def test_a_deadlock_exits_3_and_the_report_names_who_waits(call: Call, program_file: Path) -> None:
    """Channels of one token cannot hold the list that a scanner sends on two ways."""
    result = call(ff_sim.main, "--fifo-depth", "1", program_file)
    assert result.code == 3
    assert "S020 deadlock" in result.err
    assert "--fifo-depth" in result.err
    report = read_report(result.out)
    assert report.deadlock is not None
    assert report.deadlock.blocked


def test_reports_are_bit_identical_and_host_figures_come_on_request(
    call: Call, program_file: Path
) -> None:
    first, second = (call(ff_sim.main, program_file).out for _ in range(2))
    assert first == second
    assert call(ff_sim.main, program_file, "--engine", "twin").out == first
    plain = simulated(call, program_file, "--profile")
    host = plain["simulator"]
    assert host.keys() == {"wall_seconds", "tokens_per_second", "peak_rss_bytes", "threads"}
    assert host["wall_seconds"] > 0
    assert host["peak_rss_bytes"] > 2**20


def test_the_machine_comes_from_the_file_and_then_from_options(
    call: Call, program_file: Path, tmp_path: Path
) -> None:
    hw = tmp_path / "machine.txtpb"
    hw.write_text("timing { capacity: 100 costs { kind: 'alu' ii: 7 } }\n")
    plain = simulated(call, program_file, "--hw", hw)
    assert plain["hardware"]["timing"]["capacity"] == 100
    assert plain["hardware"]["memory"]["hbm2"]["channels"] == 16
    deeper = simulated(call, program_file, "--hw", hw, "--fifo-depth", "200")
    assert deeper["hardware"]["timing"]["capacity"] == 200
    assert deeper["hardware"]["timing"]["costs"][0]["ii"] == 7
    assert plain["totals"]["cycles"] > simulated(call, program_file)["totals"]["cycles"]


def test_a_report_can_be_simulated_again_from_its_own_machine(
    call: Call, program_file: Path, tmp_path: Path
) -> None:
    """The resolved configuration in a report is a configuration file."""
    from fuseflow.wire import format_hardware

    report = read_report(call(ff_sim.main, program_file, "--timing", "native").out)
    hw = tmp_path / "machine.txtpb"
    hw.write_text(format_hardware(report.hardware))
    again = read_report(call(ff_sim.main, program_file, "--hw", hw).out)
    assert again.totals == report.totals
    assert again.hardware == report.hardware


@pytest.mark.parametrize(
    ("text", "words", "code", "line"),
    [
        ("memory { modle: 1 }", [], 1, 'W011: machine.txtpb: field "modle": line 1'),
        ("", ["--memory", "hbm9"], 2, "U302 unknown-memory"),
        ("", ["--memory", "hbm2,chanels=4"], 2, 'U321 unknown-parameter: unknown parameter "chan'),
        ("", ["--memory", "ideal,channels=4"], 2, "U321 unknown-parameter"),
        ("", ["--memory", "hbm2,channels"], 2, "U320 no-value"),
        ("", ["--memory", "hbm2,channels=many"], 2, "U322 bad-value: memory parameter channels"),
        ("", ["--memory", "hbm2,refresh=1"], 2, "U322 bad-value: memory parameter refresh"),
        ("", ["--memory", "hbm2,channels=0"], 2, 'U307 bad-figure: field "memory.hbm2.channels'),
        ("", ["--memory", "hbm2,map=chan:row:bank:col"], 2, 'U313 bad-map: field "memory.hbm2.map'),
        ("", ["--memory", "hbm2,map=row:bank"], 2, 'U313 bad-map: field "memory.hbm2.map'),
        ("", ["--memory", "hbm2,refresh=true,t_refi=200"], 2, "U312 bad-refresh"),
        ("", ["--memory", "hbm2,window.arry=4"], 2, "U314 unknown-client: unknown node kind or"),
        (
            "",
            ["--memory", "hbm2,window.array=1"],
            2,
            'U307 bad-figure: field "memory.hbm2.windows.lines',
        ),
        ("", ["--timing", "fast"], 2, "U002 bad-option: argument --timing"),
        ("timing { costs { kind: 'adder' } }", [], 2, "U304 unknown-kind"),
        ("", ["--fifo-depth", "0"], 2, "U307 bad-figure"),
        ("", ["--hw", "missing.txtpb"], 2, "U008 file-error: missing.txtpb: No such file"),
    ],
)
def test_a_wrong_machine_gets_one_clear_line(
    call: Call,
    program_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    words: list[str],
    code: int,
    line: str,
) -> None:
    monkeypatch.chdir(program_file.parent)
    Path("machine.txtpb").write_text(text)
    result = call(ff_sim.main, program_file, "--hw", "machine.txtpb", *words)
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith(f"ff-sim: error: {line}")
    assert len(result.err.splitlines()) <= 2


def test_parameters_of_a_memory_can_be_given_with_its_model(call: Call, program_file: Path) -> None:
    words = "hbm2,channels=4,map=row:chan:bank:col,t_cl=40,window.scan=4,window.array=8"
    report = simulated(call, program_file, "--memory", f"{words},align=64")
    memory = report["hardware"]["memory"]
    assert (memory["model"], int(memory["align"])) == ("MEMORY_MODEL_HBM2", 64)
    assert memory["hbm2"]["channels"] == 4
    assert memory["hbm2"]["map"] == "row:chan:bank:col"
    assert memory["hbm2"]["t_cl"] == 40
    windows = [(window["of"], window["lines"]) for window in memory["hbm2"]["windows"]]
    assert windows == [("scan", 4), ("array", 8)]
    plain = simulated(call, program_file, "--memory", "hbm2")
    assert report["totals"]["cycles"] > plain["totals"]["cycles"]


def test_the_wrong_stage_order_is_explained(call: Call, graph_file: Path) -> None:
    result = call(ff_sim.main, graph_file)
    assert (result.code, result.out) == (1, b"")
    assert "expected a DataflowProgram, got an EinsumGraph: run ff-fuse first" in result.err


def test_what_is_on_offer_is_what_the_simulator_has() -> None:
    assert set(ff_sim.ENGINES) == set(SIMULATORS)
    assert set(ff_sim.PROFILES) == set(PROFILES)
    assert set(ff_sim.MEMORIES) == set(MEMORY_MODELS)


def test_ops_in_a_report_are_those_of_the_program(call: Call, program_file: Path) -> None:
    plain = simulated(call, program_file)
    ops = {node["op"] for kernel in plain["kernels"] for node in kernel["nodes"]}
    assert ops <= {op.value for op in OP_SPECS}


def test_automatic_depths_let_a_program_run_that_short_channels_block(
    call: Call, program_file: Path
) -> None:
    plain = simulated(call, program_file, "--fifo-depth", "auto", "--check")
    assert plain["check"]["passed"] is True
    assert plain["hardware"]["timing"]["auto_capacity"] is True
    assert all(s["capacity"] > 1 for k in plain["kernels"] for s in k["streams"])


def test_a_deadlock_names_what_would_have_been_enough(call: Call, program_file: Path) -> None:
    result = call(ff_sim.main, "--fifo-depth", "1", program_file)
    deadlock = read_report(result.out).deadlock
    assert deadlock is not None
    assert deadlock.sufficient
    least = max(found.capacity for found in deadlock.sufficient)
    assert f"--fifo-depth {least}" in result.err
    assert call(ff_sim.main, "--fifo-depth", str(least), program_file).code == 0


@pytest.mark.parametrize("engine", ff_sim.ENGINES)
@pytest.mark.parametrize("memory", ff_sim.MEMORIES)
def test_every_memory_model_gives_the_same_values_and_bytes(
    call: Call, program_file: Path, memory: str, engine: str
) -> None:
    ideal = simulated(call, program_file)
    plain = simulated(call, program_file, "--memory", memory, "--engine", engine, "--check")
    assert plain["check"]["passed"] is True
    assert plain["totals"]["dram_read_bytes"] == ideal["totals"]["dram_read_bytes"]
    assert (plain["totals"]["cycles"] > ideal["totals"]["cycles"]) == (memory != "ideal")
    assert ("memory" in plain["kernels"][0]) == (memory != "ideal")


def test_detailed_statistics_come_on_request_and_change_nothing_else(
    call: Call, program_file: Path
) -> None:
    plain, detailed = (simulated(call, program_file, *more) for more in ([], ["--stats"]))
    assert plain["totals"] == detailed["totals"]
    for stream in detailed["kernels"][0]["streams"]:
        assert stream["peak"] > 0
        assert stream["longest"] >= 0
    assert all("peak" not in stream for stream in plain["kernels"][0]["streams"])


def test_a_memory_limit_exits_3_and_the_report_is_written(
    call: Call, program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
    result = call(ff_sim.main, "--max-memory", "1", "--engine", "twin", program_file)
    assert result.code == 3
    assert "S024 memory-limit" in result.err
    report = read_report(result.out)
    assert not report.complete
    assert report.stopped == "the limit of 1 MiB of memory"


def test_an_interrupted_run_writes_what_it_has_and_exits_130(
    call: Call, program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.Progress, "__call__", interrupt)
    result = call(ff_sim.main, "--engine", "twin", program_file)
    assert result.code == 130
    report = read_report(result.out)
    assert not report.complete
    assert report.stopped == "interrupted"


def test_progress_names_kernel_and_cycle(
    call: Call, program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(watching, "TELL_SECONDS", 0.0)
    result = call(ff_sim.main, "-v", program_file)
    assert result.code == 0
    assert result.err.startswith("ff-sim: note: kernel 1 of 1 (")
    assert call(ff_sim.main, program_file).err == "", "only a terminal is told unasked"


def test_a_run_ends_when_nobody_reads_its_output(
    program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(watching, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(sys, "stdout", out)
        args = argparse.Namespace(output="-", max_memory=None, verbose=False)
        progress = watching.Progress(Console("ff-sim"), 1, args)
        with pytest.raises(BrokenPipeError):
            simulate(read_dataflow_program(program_file), watch=Watch(progress=progress))


@pytest.mark.parametrize("name", ["trace.json", "trace.json.gz"])
def test_a_trace_has_a_process_per_kernel_and_a_thread_per_node(
    call: Call, program_file: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    plain = simulated(call, program_file, "--trace", path)
    data = path.read_bytes()
    events = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)["traceEvents"]
    named = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert {node["name"] for node in plain["kernels"][0]["nodes"]} <= named
    assert {e["pid"] for e in events} == {1}
    assert max(e["ts"] + e.get("dur", 0) for e in events if e["ph"] == "X") > 0


@pytest.mark.parametrize("window", ["9", "5:4", "-1:4", "a:b"])
def test_a_window_that_is_none_is_refused(call: Call, program_file: Path, window: str) -> None:
    result = call(ff_sim.main, program_file, "--trace", "x.json", f"--trace-window={window}")
    assert (result.code, result.out) == (2, b"")
    assert "argument --trace-window" in result.err


@pytest.mark.parametrize(
    "options", [[], ["--memory", "hbm2"], ["--max-cycles", "3000"], ["--max-cycles", "20"]]
)
def test_any_number_of_threads_writes_the_same_report(
    call: Call, tmp_path: Path, options: list[str]
) -> None:
    """The kernels of an unfused model do not all wait for each other."""
    graph, program = tmp_path / "graph.pb", tmp_path / "unfused.pb"
    call(ff_import.main, "zoo:graphsage", "-o", graph)
    call(ff_fuse.main, "--strategy", "unfused", graph, "-o", program)
    one = call(ff_sim.main, *options, "--threads", "1", program)
    assert one.out
    for threads in ("2", "4"):
        assert call(ff_sim.main, *options, "--threads", threads, program).out == one.out


def test_a_number_of_threads_below_one_is_refused(call: Call, program_file: Path) -> None:
    result = call(ff_sim.main, "--threads", "0", program_file)
    assert (result.code, result.out) == (2, b"")
    assert "argument --threads" in result.err


def test_sigterm_ends_a_run_with_its_report(
    call: Call, program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(*_args: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(watching.Progress, "__call__", terminate)
    before = signal.getsignal(signal.SIGTERM)
    result = call(ff_sim.main, "--engine", "twin", program_file)
    assert result.code == 143
    assert read_report(result.out).stopped == "interrupted"
    assert signal.getsignal(signal.SIGTERM) == before
