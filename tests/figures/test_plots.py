"""Plots are drawn from good rows, the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.figures.samples import a_row
from tools.figures.graphs import Kind
from tools.figures.plots import draw_plots
from tools.figures.rows import Row, Status

pytest.importorskip("matplotlib", reason="matplotlib draws the plots: pip install 'fuseflow[dev]'")


def rows() -> list[Row]:
    cora = {"input": "cora-like", "kind": Kind.STAND_IN.value}
    return [
        a_row("u", config="unfused", cycles=160, **cora),
        a_row("p", config="partial", cycles=100, **cora),
        a_row("f", config="full", status=Status.TIMEOUT, **cora),
        a_row("o", figures=("fig18",), config="ikjl", cycles=10),
    ]


def test_figures_with_rows_are_drawn_and_named_after_their_inputs(tmp_path: Path) -> None:
    written = draw_plots(rows(), tmp_path)
    assert [path.name for path in written] == ["fig12.svg", "fig18.svg"]
    text = written[0].read_text()
    assert "cora-like" in text
    assert "paper" in text


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first = [path.read_text() for path in draw_plots(rows(), tmp_path)]
    second = [path.read_text() for path in draw_plots(rows(), tmp_path / "again")]
    assert first == second
