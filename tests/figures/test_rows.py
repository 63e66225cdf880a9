"""Rows on disk: written whole, read back equal, and missing rather than half read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.figures.samples import a_row
from tools.figures.rows import KernelRow, Status, load_rows, row_path, store_row


def test_a_row_is_read_back_as_it_was(tmp_path: Path) -> None:
    row = replace(
        a_row("gcn / karate, X (D,C) / full"),
        kernels=(KernelRow("k", "i j", 2, 10, 9, "scan x", 0.25),),
        notes=("a note",),
        max_rel_error=1e-7,
        versions={"fuseflow": "1"},
    )
    store_row(tmp_path, row)
    assert load_rows(tmp_path, [row.case, "another"]) == {row.case: row}
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_row_that_cannot_be_read_is_missing(tmp_path: Path) -> None:
    row = a_row("case")
    store_row(tmp_path, row)
    path = row_path(tmp_path, "case")
    whole = path.read_text()
    for text in (whole[: len(whole) // 2], "[]", "{}", whole.replace('"ok"', '"fine"')):
        path.write_text(text)
        assert load_rows(tmp_path, ["case"]) == {}


def test_a_row_of_another_case_in_its_file_is_missing(tmp_path: Path) -> None:
    store_row(tmp_path, a_row("a / b"))
    assert row_path(tmp_path, "a / b") == row_path(tmp_path, "a * b")
    assert load_rows(tmp_path, ["a * b"]) == {}


def test_only_a_good_row_has_a_ratio() -> None:
    row = replace(a_row("case"), cycles=30, floor=20)
    assert row.ratio == 1.5
    assert replace(row, status=Status.MISMATCH).ratio is None
