"""`ff-sweep`: all combinations run once, results are those of the pipe, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fuseflow.cli import ff_sweep
from fuseflow.cli.sweep.steps import make_steps
from fuseflow.cli.sweep.study import Study, make_axis, read_study
from fuseflow.errors import UsageError
from fuseflow.wire import read_report
from tests.cli.conftest import Result, Shell

MODEL = """input A[8,6] dense,compressed random=1
input B[6,4] random=2
T[i,j] = A[i,k] * B[k,j]
C[i,j] = relu(T[i,j])
"""
Call = Callable[..., Result]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write einsums to the current folder, a new one, and return their file's name."""
    monkeypatch.chdir(tmp_path)
    Path("model.ein").write_text(MODEL)
    return "model.ein"


def results(folder: str = "sweep") -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(Path(folder, "results.json").read_text())
    return found


def test_every_combination_is_a_case_and_the_last_axis_varies_fastest() -> None:
    axes = (
        make_axis("fuse", "strategy", ["layer", "full"]),
        make_axis("sim", "timing", [None, "native"]),
        make_axis("sim", "check", [True]),
    )
    cases = list(Study(("a", "b"), axes).cases())
    assert [(case.model, *case.labels) for case in cases] == [
        (model, strategy, timing)
        for model in "ab"
        for strategy in ("layer", "full")
        for timing in ("-", "native")
    ]
    assert cases[0].words == {
        "import": ("a",),
        "fuse": ("--strategy=layer",),
        "sim": ("--check",),
    }


def test_a_list_repeats_an_option_and_a_switch_is_on_or_off() -> None:
    assert make_axis("import", "set", [["a=1", "b=2"], "a=3"]).choices == (
        ("--set=a=1", "--set=b=2"),
        ("--set=a=3",),
    )
    assert make_axis("sim", "stats", ["yes", "no", False]).choices == (("--stats",), (), ())


@pytest.mark.parametrize(
    ("stage", "option", "values", "rule", "text"),
    [
        ("fuse", "stategy", ["full"], "U040", "did you mean strategy?"),
        ("fuse", "output", ["x"], "U040", "no option"),
        ("sim", "trace", ["x"], "U040", "no option"),
        ("fuse", "strategy", ["fulll"], "U002", "fulll"),
        ("sim", "stats", ["perhaps"], "U002", "neither"),
    ],
)
def test_an_axis_that_no_command_has_is_refused(
    stage: str, option: str, values: list[str], rule: str, text: str
) -> None:
    with pytest.raises(UsageError, match=rf"{rule} .*{re.escape(text)}"):
        make_axis(stage, option, values)


def test_a_study_in_a_file_has_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("models: [a]\nfuse: {strategy: [layer, full]}\nsim: {fifo-depth: auto}\n")
    models, axes = read_study(path)
    assert models == ["a"]
    assert [(axis.stage, axis.option, axis.labels) for axis in axes] == [
        ("fuse", "strategy", ("layer", "full")),
        ("sim", "fifo-depth", ("auto",)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "no mapping"),
        ("model: [a]", 'unknown entry "model"'),
        ("fuse: [strategy]", "no mapping from options"),
        ("models: [a", "no YAML"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"U041 .*{message}"):
        read_study(path)


def test_results_are_those_of_the_pipe(model: str, call: Call, shell: Shell) -> None:
    done = call(ff_sweep.main, model, "--fuse", "strategy", "unfused", "full", "--sim", "memory",
                "ideal", "hbm2", "--jobs", "2")  # fmt: skip
    assert done.code == 0, done.err
    found = results()
    assert [(row["strategy"], row["memory"], row["status"]) for row in found] == [
        (strategy, memory, "passed")
        for strategy in ("unfused", "full")
        for memory in ("ideal", "hbm2")
    ]
    for row in found:
        piped = shell(f"cd {Path.cwd()} && {row['command']}")
        assert piped.returncode == 0, piped.stderr
        report = Path("piped.pb")
        report.write_bytes(piped.stdout)
        totals = read_report(report).totals
        assert row["cycles"] == totals.cycles > 0
        assert row["flops"] == totals.flops
        assert read_report(Path("sweep", str(row["report"]))).totals == totals
    with Path("sweep/results.csv").open(newline="") as file:
        assert [row["cycles"] for row in csv.DictReader(file)] == [str(r["cycles"]) for r in found]
    assert found[0]["speedup"] == 1
    lines = [line.split() for line in done.out.decode().splitlines() if line.startswith(" model.")]
    assert [line[1:4] for line in lines] == [
        [str(row["strategy"]), str(row["memory"]), str(row["kernels"])] for row in found
    ]


def test_the_front_is_what_nothing_on_the_same_machine_beats(model: str, call: Call) -> None:
    call(ff_sweep.main, model, "--fuse", "strategy", "unfused", "full", "--sim", "memory", "ideal",
         "hbm2")  # fmt: skip
    found = results()
    for row in found:
        rivals = [other for other in found if other["memory"] == row["memory"]]
        cost = [(r["cycles"], int(str(r["dram_read_bytes"])) + int(str(r["dram_write_bytes"])))
                for r in (row, *rivals)]  # fmt: skip
        beaten = any(
            other != cost[0] and other[0] <= cost[0][0] and other[1] <= cost[0][1]
            for other in cost[1:]
        )
        assert row["on_front"] is not beaten


def test_what_is_unchanged_is_not_run_again(model: str, call: Call) -> None:
    first = call(ff_sweep.main, model, "--fuse", "strategy", "layer")
    stamps = {path: path.stat().st_mtime_ns for path in Path("sweep").rglob("*.pb")}
    again = call(ff_sweep.main, model, "--fuse", "strategy", "layer", "full")
    assert (first.code, again.code) == (0, 0)
    assert "2 of 5 results were there already" not in first.err
    assert "3 of 5 results were there already" in again.err
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    Path(model).write_text(MODEL.replace("random=2", "random=3"))
    changed = call(ff_sweep.main, model, "--fuse", "strategy", "layer")
    assert "there already" not in changed.err


def test_a_changed_factory_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    axes = (make_axis("fuse", "strategy", ["layer"]),)
    for model in ("made.py:build", "made:build"):
        (case,) = Study((model,), axes).cases()
        paths = []
        for text in ("a = 1\n", "a = 2\n"):
            Path("made.py").write_text(text)
            paths.append([step.path for step in make_steps(case, tmp_path, "")])
        assert not set(paths[0]) & set(paths[1])
    assert "made" not in sys.modules


def test_a_case_that_fails_costs_the_others_nothing(model: str, call: Call) -> None:
    done = call(ff_sweep.main, model, "absent.onnx", "--fuse", "order", "-", "q,r")
    assert done.code == 1
    found = results()
    assert [row["status"] for row in found] == ["passed", "error", "error", "error"]
    assert "P002" in str(found[1]["reason"])
    assert "U003" in str(found[2]["reason"])
    assert "absent.onnx - : error" not in done.out.decode()
    assert "absent.onnx -: error: U003" in done.out.decode()


def test_a_deadlock_is_a_result_and_is_kept(model: str, call: Call) -> None:
    # A sum waits for a whole row while the other path of the diamond has room for one token.
    Path(model).write_text("input A[4,64] random=1\nS[i] = A[i,j]\nC[i,j] = A[i,j] * S[i]\n")
    words = (model, "--fuse", "strategy", "full", "--sim", "fifo-depth", "1", "auto")
    done = call(ff_sweep.main, *words)
    assert (done.code, [row["status"] for row in results()]) == (1, ["deadlock", "passed"])
    assert "there already" in call(ff_sweep.main, *words).err


def test_a_command_that_takes_too_long_is_given_up(model: str, call: Call) -> None:
    done = call(ff_sweep.main, model, "--timeout", "0.01")
    assert done.code == 1
    assert results()[0]["reason"] == "took more than 0.01 s"


def test_a_list_shows_the_commands_and_runs_nothing(model: str, call: Call) -> None:
    done = call(ff_sweep.main, model, "--fuse", "strategy", "unfused", "full", "--list")
    assert done.out.decode().splitlines() == [
        "ff-import model.ein | ff-fuse --strategy unfused | ff-sim --check",
        "ff-import model.ein | ff-fuse --strategy full | ff-sim --check",
    ]
    assert not Path("sweep").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "no MODEL"),
        (("m.ein", "--fuse", "strategy"), "names no value"),
        (("m.ein", "--study", "absent.yaml"), "no such file"),
    ],
)
def test_a_wrong_command_is_refused(call: Call, words: tuple[str, ...], text: str) -> None:
    done = call(ff_sweep.main, *words)
    assert (done.code, text in done.err) == (2, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_study_that_is_stopped_goes_on(model: str, number: signal.Signals, code: int) -> None:
    # Large enough that the simulations cannot be over before the signal comes.
    Path(model).write_text(
        "input A[1600,1600] random=1\ninput B[1600,1600] random=2\nC[i,j] = A[i,k] * B[k,j]\n"
    )
    command = [sys.executable, "-m", "fuseflow", "ff-sweep",
               model, "--sim", "timing", "comal", "native", "--no-check"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as study:
        while not list(Path("sweep").glob("reports/*.log")):
            assert study.poll() is None
            time.sleep(0.05)
        os.kill(study.pid, number)
        _, said = study.communicate(timeout=60)
    assert study.returncode == code, said
    assert b"goes on from here" in said
    assert {row["status"] for row in results()} <= {"error", "stopped"}
    assert list(Path("sweep").glob("programs/*.pb"))
