"""Figure 12: what may be called agreement, and what may only be called a direction."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.figures.samples import a_row
from tools.figures.cases import SIZES, Case, cases_of
from tools.figures.graphs import GRAPHS, Kind
from tools.figures.rows import KernelRow, Row, Status
from tools.figures.speedups import figure_12, published, verdict
from tools.figures.tables import Table, speedup, to_csv, to_markdown


def cells(table: Table, line: int) -> dict[str, str]:
    return dict(zip(table.columns, table.lines[line], strict=True))


def cora(kind: Kind, name: str, cycles: tuple[int, int]) -> list[Row]:
    fields = {"input": name, "kind": kind.value}
    return [
        a_row(config, config=config, cycles=count, **fields)
        for config, count in zip(("unfused", "partial"), cycles, strict=True)
    ]


def test_a_real_graph_is_compared_by_number() -> None:
    table = figure_12(cora(Kind.REAL, "cora", (160, 100)))
    found = cells(table, 1)
    assert (found["speed-up"], found["paper"]) == ("1.6", "1.63")
    assert found["verdict"] == "agrees with the paper, ratio 0.98"
    table = figure_12(cora(Kind.REAL, "cora", (120, 100)))
    assert cells(table, 1)["verdict"] == "differs from the paper, ratio 0.73"


@pytest.mark.parametrize("kind", [Kind.STAND_IN, Kind.REDUCED_STAND_IN, Kind.REDUCED])
def test_a_stand_in_only_has_a_direction(kind: Kind) -> None:
    same = cells(figure_12(cora(kind, "cora-like", (160, 100))), 1)
    assert same["verdict"] == "same direction"
    assert same["input"] == "cora-like"
    other = cells(figure_12(cora(kind, "cora-like", (100, 160))), 1)
    assert other["verdict"] == "different direction"


def test_another_storage_of_features_only_has_a_direction() -> None:
    found = cells(figure_12(cora(Kind.REAL, "cora, X (D,C)", (160, 100))), 1)
    assert found["verdict"] == "same direction"


def test_graphsage_as_shipped_is_summed_up_from_gcn() -> None:
    unfused, partial = cora(Kind.REAL, "cora", (160, 100))
    kernels = tuple(
        KernelRow(name, "i", 1, cycles, cycles)
        for name, cycles in (
            ("k0_layer1.matmul", 70),
            ("k1_layer1.linear.matmul", 50),
            ("softmax", 9),
        )
    )
    unfused = replace(unfused, kernels=kernels, nodes=3, features=9)
    note = next(note for note in figure_12([unfused, partial]).notes if "as the artifact" in note)
    assert "cora, d 0.4, accumulators free: 200 cycles, 2.00 times" in note


def test_a_failed_row_has_a_line_and_no_speedup() -> None:
    good, bad = cora(Kind.REAL, "cora", (160, 100))
    bad = a_row("x", input="cora", config="partial", status=Status.TIMEOUT, reason="too slow")
    found = cells(figure_12([good, bad]), 1)
    assert (found["speed-up"], found["verdict"]) == ("-", "-")
    assert found["status"] == "timeout: too slow"
    assert speedup(bad, good) is None
    assert verdict(bad, None) == "-"


def test_blocks_are_compared_by_their_share_of_the_sequence() -> None:
    row = a_row("g", model="gpt", input="b4 of S256", config="full", kind=Kind.REDUCED.value)
    assert published(row) == pytest.approx(2.70, abs=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_every_case_says_what_its_input_is(size: str) -> None:
    for case in cases_of(size):
        load = case.workload
        assert case.figures
        if load.kind in (Kind.STAND_IN, Kind.REDUCED_STAND_IN):
            assert "-like" in load.input, case.name
        if load.kind in (Kind.REDUCED, Kind.REDUCED_STAND_IN):
            assert load.scale, case.name
    assert all(name == spec.name for name, spec in GRAPHS.items())


def test_cases_of_two_sizes_share_a_name_only_if_they_are_one() -> None:
    """Rows of all sizes lie in one folder."""
    every: dict[str, Case] = {}
    for size, files in itertools.product(SIZES, ([], ["cora"])):
        for case in cases_of(size, files, opt_in=True):
            same = every.setdefault(case.name, case)
            assert (same.workload, same.config) == (case.workload, case.config)


def test_tables_are_printed_for_people_and_programs() -> None:
    table = Table("t", "A title", ("name", "count"), (("a|b", "1,000"),), ("A note.",))
    assert to_markdown(table) == (
        "### A title\n\n| name | count |\n| --- | ---: |\n| a/b | 1,000 |\n\nA note.\n"
    )
    assert to_csv(table) == "name,count\na|b,1000\n"
