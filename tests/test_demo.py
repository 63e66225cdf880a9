"""The demo: what it prints is true, what it writes stays, and it fails when something is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuseflow.ir.testing import make_graph
from fuseflow.wire import Artifact, read_report, write_artifact
from tools import demo

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[demo.Run]:
    """Everything that the demo runs, once."""
    return list(demo.run_models(demo.MODELS, folder))


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table, without the last digits: the error."""
    rows = [line.split() for line in text.splitlines() if re.match(r"\w+ +\w+ +\d+ ", line)]
    return [row[:6] + row[7:] for row in rows]


def printed(runs: list[demo.Run], capsys: pytest.CaptureFixture[str]) -> str:
    from rich.console import Console

    Console(width=200).print(demo.make_table(runs))
    return capsys.readouterr().out


def test_all_runs_pass_and_leave_their_reports(runs: list[demo.Run], folder: Path) -> None:
    assert [(run.model, run.strategy) for run in runs] == [
        (model, strategy)
        for model in demo.MODELS
        for strategy in ("unfused", "layer", "full", "auto")
    ]
    for run in runs:
        assert (run.exit_code, run.verdict) == (0, "passed")
        stored = read_report(folder / f"{run.model}.{run.strategy}.report.pb")
        assert run.report is not None
        assert stored.totals == run.report.totals


def test_more_fusion_means_fewer_kernels(runs: list[demo.Run]) -> None:
    kernels = [run.report.totals.kernels for run in runs if run.report is not None]
    for unfused, layer, full in zip(kernels[::4], kernels[1::4], kernels[2::4], strict=True):
        assert unfused > layer > full


def test_no_preset_takes_fewer_cycles_than_what_was_chosen(runs: list[demo.Run]) -> None:
    cycles = [run.report.totals.cycles for run in runs if run.report is not None]
    for chosen, *presets in zip(cycles[3::4], cycles[::4], cycles[1::4], cycles[2::4], strict=True):
        assert chosen <= min(presets)


def test_the_results_in_the_readme_are_those_of_the_demo(
    runs: list[demo.Run], capsys: pytest.CaptureFixture[str]
) -> None:
    told = rows_of((ROOT / "README.md").read_text())
    assert told == rows_of(printed(runs, capsys)), "run `make demo` and copy the table"


def write_small_graph(path: Path, error: float) -> None:
    graph = make_graph(["Z[i] = relu(A[i])"], tensors={"A": [1.0, -1.0]}, references=True)
    reference = graph.outputs[0].reference
    assert reference is not None
    reference += error
    write_artifact(Artifact(graph), path)


@pytest.mark.parametrize(("error", "verdict", "code"), [(0.0, "passed", 0), (1.0, "failed", 1)])
def test_a_failed_check_fails_the_demo(
    error: float,
    verdict: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def import_small(arguments: list[str]) -> int:
        write_small_graph(Path(arguments[-1]), error)
        return 0

    monkeypatch.setattr(demo.ff_import, "main", import_small)
    assert demo.main(["sae", "--out", str(tmp_path / "new" / "folder")]) == code
    out, err = capsys.readouterr()
    assert [row[-1] for row in rows_of(out)] == [verdict] * 4
    assert str(tmp_path / "new" / "folder") in out
    assert err.count("$ ff-import zoo:sae") == 1
    assert err.count("$ ff-sim --check") == 4


def test_a_model_that_cannot_be_imported_leaves_no_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "sae.einsum.pb"
    write_small_graph(old, 0.0)
    monkeypatch.setattr(demo.ff_import, "main", lambda arguments: 2)
    assert demo.main(["sae", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("none") == 4
    assert not old.exists()


def test_an_unknown_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo.main(["sea", "--out", str(tmp_path)])
    assert "gcn, graphsage, sae, gpt" in capsys.readouterr().err
