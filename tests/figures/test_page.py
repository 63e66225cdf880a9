"""The page on reproduction is made from the rows in the repository, and from nothing else."""

from __future__ import annotations

import re

from tests.figures.samples import a_row
from tools.figures.page import PAGE, make_page, published_rows
from tools.figures.rows import KernelRow, Status


def test_the_page_is_what_the_kept_rows_give() -> None:
    assert PAGE.read_text() == make_page(published_rows())


def test_every_kept_row_says_where_it_comes_from() -> None:
    for rows in published_rows().values():
        assert rows
        for row in rows:
            assert row.figures
            assert row.kind
            assert row.versions
            assert row.status is Status.OK or row.reason


def test_cycles_never_stand_without_floor_and_quotient() -> None:
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and re.search(r"\| cycles \|", line):
            assert "| floor | cycles / floor |" in line


def test_a_larger_size_speaks_for_a_case_of_both() -> None:
    small = a_row("x", figures=("fig18",), config="ikjl", cycles=11)
    large = a_row("x", figures=("fig18",), config="ikjl", cycles=22)
    page = make_page({"small": [small], "paper": [large]})
    assert "| ikjl | karate | real | full size | 22 |" in page
    assert "| 11 |" not in page


def test_a_row_far_above_its_floor_says_what_it_waits_for() -> None:
    kernel = KernelRow("k", "i j", 1, 200, 90, "scan x", 0.25)
    page = make_page({"small": [a_row("x", cycles=200, kernels=(kernel,))]})
    assert "| x | k | 1 | 200 | 90 | 2.22 | scan x | 25 % |" in page
