"""`ff-fuse`: options reach the compiler, listings replace the program, nothing else is printed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fuseflow.cli import ff_fuse
from fuseflow.fusion.passes.sequence import PASSES
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.wire import read_dataflow_program

Call = Callable[..., object]
SCHEDULE = "fuse all = T, Z { order i -> k -> j; fifo 40; };\n"


def test_a_schedule_decides_the_program(call: Call, graph_file: Path, tmp_path: Path) -> None:
    schedule, out = tmp_path / "s.ff", tmp_path / "out.pb"
    schedule.write_text(SCHEDULE)
    result = call(ff_fuse.main, graph_file, "--schedule", schedule, "-o", out)
    assert (result.code, result.out, result.err) == (0, b"", "")
    (kernel,) = read_dataflow_program(out).kernels
    assert (kernel.name, kernel.order) == ("all", ("i", "k", "j"))
    assert {stream.capacity for stream in kernel.streams.values()} == {40}


def test_options_win_over_the_schedule(call: Call, graph_file: Path, tmp_path: Path) -> None:
    schedule, out = tmp_path / "s.ff", tmp_path / "out.pb"
    schedule.write_text("strategy unfused;")
    words = ("--schedule", schedule, "--strategy", "full", "-o", out)
    call(ff_fuse.main, graph_file, *words)
    assert len(read_dataflow_program(out).kernels) == 1


def test_the_printed_schedule_compiles_to_the_same_program(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    schedule, first, again = (tmp_path / name for name in ("s.ff", "a.pb", "b.pb"))
    words = ("--strategy", "full", "--parallelize", "outer=2")
    call(ff_fuse.main, graph_file, *words, "-o", first)
    call(ff_fuse.main, graph_file, *words, "--print-schedule", "-o", schedule)
    call(ff_fuse.main, graph_file, "--schedule", schedule, "-o", again)
    one, two = read_dataflow_program(first), read_dataflow_program(again)
    assert one.schedule == two.schedule == schedule.read_text()
    assert one.kernels == two.kernels


def test_a_mistake_in_a_schedule_names_file_line_and_column(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    schedule = tmp_path / "s.ff"
    schedule.write_text("strategy full;\nfuse a = T { ordr i; };\n")
    result = call(ff_fuse.main, graph_file, "--schedule", schedule)
    assert (result.code, result.out) == (1, b"")
    assert f"P010: {schedule}:2:14: " in result.err
    assert 'fix: did you mean "order"?' in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("--parallelize", "i"),
        ("--parallelize", "i=0"),
        ("--lanes-budget", "0"),
        ("--nodes-budget", "0"),
        ("--objective", "bytes"),
        ("--strategy", "full", "--blocks", "auto"),
        ("--strategy", "layer", "--verify-top", "2"),
        ("--strategy", "auto", "--verify-top", "0"),
        ("--strategy", "auto", "--hw", "machine.txtpb"),
        ("--strategy", "auto", "--candidates", "list.txt"),
        ("--parallelize", "i=2,,j=2"),
        ("--parallelize", "=2"),
        ("--order", "i,,j"),
        ("--limit", "-1"),
        ("--recompute", "nan"),
        ("--iteration", "both"),
        ("--schedule", "-"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    call: Call, graph_file: Path, words: tuple[str, ...]
) -> None:
    result = call(ff_fuse.main, graph_file, *words)
    assert (result.code, result.out) == (2, b"")


def test_passes_are_listed_without_an_input(call: Call) -> None:
    result = call(ff_fuse.main, "--list-passes", terminal=True)
    assert [line.split()[0] for line in result.out.decode().splitlines()] == [
        each.name for each in PASSES
    ]


def test_stopping_prints_what_the_pass_made_and_no_program(call: Call, graph_file: Path) -> None:
    result = call(ff_fuse.main, graph_file, "--strategy", "full", "--stop-after", "group")
    assert result.out.decode() == "group 0: T, Z\n"


def test_what_a_pass_made_and_the_time_go_to_standard_error(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    words = ("--print-after", "group", "--print-after", "plan", "--time-passes")
    result = call(ff_fuse.main, graph_file, *words, "-o", tmp_path / "out.pb")
    assert result.out == b""
    lines = result.err.splitlines()
    assert {"after group:", "after plan:"} <= set(lines)
    timed = [line.split()[-1] for line in lines if " ms  " in line]
    assert timed == [*(each.name for each in PASSES), "total"]


def test_tables_and_explanations_accompany_the_program(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    words = ("--strategy", "full", "--explain", "--print-table")
    result = call(ff_fuse.main, graph_file, *words, "-o", tmp_path / "out.pb")
    assert result.code == 0
    assert "2 operations fused" in result.err
    assert "table k0_Z" in result.err


def test_orders_are_listed_or_only_counted(call: Call, graph_file: Path) -> None:
    words = ("--strategy", "full", "--list-orders")
    listed = call(ff_fuse.main, graph_file, *words).out.decode().splitlines()
    counted = call(ff_fuse.main, graph_file, *words, "--count").out.decode().splitlines()
    per_use = call(ff_fuse.main, graph_file, *words, "--views", "per-use").out.decode()
    assert listed[:5] == counted
    assert listed[0] == "kernel k0_Z: 3 indices"
    assert any(line.endswith("<- chosen") for line in listed)
    assert per_use.splitlines() == counted


def test_candidates_are_written_and_the_best_one_was_simulated(
    call: Call, graph_file: Path, tmp_path: Path
) -> None:
    words = ("--strategy", "auto", "--verify-top", "2", "--candidates")
    for name in ("list.json", "list.csv"):
        result = call(ff_fuse.main, graph_file, *words, tmp_path / name, "-o", tmp_path / "p.pb")
        assert result.code == 0
    rows = json.loads((tmp_path / "list.json").read_text())
    assert [row["chosen"] for row in rows] == [True] + [False] * (len(rows) - 1)
    assert rows[0]["simulated_cycles"] > 0
    parse_schedule(rows[0]["schedule"])
    with (tmp_path / "list.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["label"] for row in table] == [row["label"] for row in rows]
    assert [int(row["bytes"]) for row in table] == [row["bytes"] for row in rows]
