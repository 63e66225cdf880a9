"""The command: a small run from end to end, stopped and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.figures import budget, driver, runner
from tools.figures.cases import Case, cases_of
from tools.figures.configs import CONFIGS
from tools.figures.graphs import GRAPHS, Kind, WrongGraphError, load_graph
from tools.figures.rows import Status, load_rows, row_path
from tools.figures.workloads import Autoencoder, GraphNetwork

CASES = [
    Case(("fig12",), GraphNetwork("gcn", GRAPHS["karate"]), config)
    for config in (CONFIGS["gcn"]["unfused"], CONFIGS["gcn"]["partial"])
]


@pytest.fixture(autouse=True)
def small_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cases, and no calibration."""
    monkeypatch.setattr(driver, "cases_of", lambda size, files, opt_in: list(CASES))
    monkeypatch.setattr(budget, "_tokens_per_second", lambda runner: 1e6)


def run(folder: Path, *words: str) -> int:
    return driver.main(["--out", str(folder), *words])


def rows_of(folder: Path) -> dict[str, float]:
    rows = load_rows(folder / "rows", [case.name for case in CASES])
    return {name: row.wall_s for name, row in rows.items()}


def test_a_run_writes_rows_and_tables_and_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    first = capsys.readouterr()
    assert "2 cases to run, 0 done before; about " in first.err
    assert "2 of 2 cases have a row" in first.out
    rows = load_rows(tmp_path / "rows", [case.name for case in CASES])
    for case in CASES:
        row = rows[case.name]
        assert row.status is Status.OK
        assert len(row.kernels) == case.config.kernels
        assert 0.999 * row.floor_bare <= row.cycles <= 1.2 * row.floor
        assert (row.nodes, row.entries, row.two_hops, row.features) == (34, 156, 1212, 34)
        assert row.digest == GRAPHS["karate"].digest
        assert row.max_rel_error is not None
    table = (tmp_path / "smoke" / "fig12.md").read_text()
    assert table.count("| gcn | karate | real | full size | 0.4 |") == 2

    before = rows_of(tmp_path)
    row_path(tmp_path / "rows", CASES[1].name).unlink()
    assert run(tmp_path) == 0
    assert "1 cases to run, 1 done before" in capsys.readouterr().err
    assert rows_of(tmp_path)[CASES[0].name] == before[CASES[0].name]
    assert (tmp_path / "smoke" / "fig12.md").read_text() == table


def test_what_does_not_fit_is_said_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--budget", "0") == 0
    rows = load_rows(tmp_path / "rows", [case.name for case in CASES])
    assert {row.status for row in rows.values()} == {Status.SKIPPED_BUDGET}
    assert "skipped-budget: the budget of 0 s" in (tmp_path / "smoke" / "fig12.md").read_text()
    capsys.readouterr()
    assert run(tmp_path, "--budget", "0") == 0
    assert "2 cases to run, 0 done" in capsys.readouterr().err


def test_cycles_below_the_floor_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "kernel_floor", lambda stages, ops, lanes, joint: (10**9, 10**9))
    assert run(tmp_path) == 1
    assert "are below its floor 1000000000" in capsys.readouterr().err


def test_a_row_of_other_versions_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--budget", "0")
    path = row_path(tmp_path / "rows", CASES[0].name)
    path.write_text(path.read_text().replace('"skipped-budget"', '"ok"'))
    capsys.readouterr()
    run(tmp_path, "--budget", "0")
    assert "1 cases to run, 1 done before" in capsys.readouterr().err
    monkeypatch.setattr(runner, "versions", lambda: {"fuseflow": "another"})
    run(tmp_path, "--budget", "0")
    assert "2 cases to run, 0 done before" in capsys.readouterr().err


def test_the_most_expendable_case_is_left_out_first() -> None:
    load = Autoencoder("x", 8, 4, 2, 0.5, Kind.REDUCED, "D 8")
    configs = list(CONFIGS["sae"].values())
    cases = [
        Case((), load, config, expendable=n) for n, config in zip((0, 2, 1), configs, strict=True)
    ]
    assert budget.choose(cases, [5, 1, 1], None) == set(cases)
    assert budget.choose(cases, [5, 1, 1], 6.5) == {cases[0], cases[2]}
    assert budget.choose(cases, [5, 1, 1], 5.0) == {cases[0]}


def test_a_model_that_does_not_fit_into_memory_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Autoencoder("x", 1 << 20, 512, 2, 0.5, Kind.REDUCED, "D 8")
    case = Case(("fig12",), load, CONFIGS["sae"]["full"])
    assert budget.shortage(case, None) == ""
    assert budget.shortage(case, 1 << 40) == ""
    monkeypatch.setattr(driver, "cases_of", lambda size, files, opt_in: [case])
    monkeypatch.setattr(driver, "free_memory", lambda: 1 << 30)
    assert run(tmp_path) == 0
    (row,) = load_rows(tmp_path / "rows", [case.name]).values()
    assert row.status is Status.SKIPPED_BUDGET
    assert row.reason == "needs about 24 GiB of memory, 1 are free"


def test_mag_fully_fused_at_full_size_is_run_on_request_only() -> None:
    usual, every = (
        {case.name for case in cases_of("paper", opt_in=opt_in)} for opt_in in (False, True)
    )
    assert usual < every
    assert all("mag-like" in name and "full" in name for name in every - usual)


def test_a_wrong_word_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--only", "fig99"], ["--graph", "cora"], ["--graph", f"cora={tmp_path}/no.npz"]):
        with pytest.raises(SystemExit, match="2"):
            run(tmp_path, *words)
        assert "error: argument" in capsys.readouterr().err


@pytest.mark.parametrize("name", [n for n, s in GRAPHS.items() if s.digest and s.nodes < 20_000])
def test_a_stand_in_is_the_same_everywhere(name: str) -> None:
    spec = GRAPHS[name]
    graph = load_graph(spec, {}).graph
    assert graph.digest() == spec.digest
    assert (graph.nodes, graph.entries) == (spec.nodes, spec.entries)
    if spec.kind is not Kind.REAL and spec.tuned:
        assert graph.two_hops == pytest.approx(spec.two_hops, rel=0.01)


def test_a_file_must_hold_the_graph_that_it_is_named_after(tmp_path: Path) -> None:
    with pytest.raises(WrongGraphError, match="no file of cora"):
        load_graph(GRAPHS["cora"], {})
