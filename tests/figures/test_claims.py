"""What is said of an item follows from its rows, in either direction."""

from __future__ import annotations

import pytest

from tests.figures.samples import a_row
from tools.figures.claims import Claim, contradictions, make_claims
from tools.figures.graphs import Kind
from tools.figures.rows import Row, Status


def claim(item: str, rows: list[Row]) -> Claim:
    return next(each for each in make_claims(rows) if each.item == item)


def group(figure: str, cycles: dict[str, int], **fields: object) -> list[Row]:
    return [
        a_row(f"{figure} {config}", figures=(figure,), config=config, cycles=count, **fields)
        for config, count in cycles.items()
    ]


def test_what_did_not_run_says_so() -> None:
    found = make_claims([])
    assert {each.verdict for each in found} == {"not run"}
    failed = a_row("x", figures=("fig18",), status=Status.TIMEOUT)
    assert claim("Figure 18", [failed]).verdict == "not run"


@pytest.mark.parametrize(
    ("full", "words"),
    [(540, "reproduced"), (50, "in part: see the exceptions below")],
)
def test_speedups_on_real_inputs_are_counted(full: int, words: str) -> None:
    cycles = {"unfused": 160, "partial": 100, "full": full}
    rows = group("fig12", cycles, input="cora", kind=Kind.REAL.value)
    found = claim("Figure 12, GCN", rows)
    assert found.verdict == words
    assert "of 2 speed-ups on the paper's inputs agree" in found.found
    assert (contradictions(rows) == []) == (words == "reproduced")


def test_an_exception_names_input_and_both_numbers() -> None:
    cycles = {"unfused": 100, "full": 50}
    rows = group("fig12", cycles, input="mag-like", kind=Kind.STAND_IN.value, timing="drained")
    (line,) = contradictions(rows)
    assert line == (
        "GCN on mag-like (d 0.4, accumulators drained), full: 2 here, 0.0862 published; "
        "different direction"
    )


@pytest.mark.parametrize(
    ("factored", "words"), [(70, "same order"), (40, "different order"), (120, "different order")]
)
def test_rewriting_lies_between_unfused_and_partial(factored: int, words: str) -> None:
    cycles = {"unfused": 100, "CS-factored": factored, "CS-global": 300, "partial": 50}
    assert claim("Figure 4b", group("fig4b", cycles)).verdict == words


def test_work_and_traffic_are_relative_to_unfused() -> None:
    rows = [
        a_row(config, figures=("fig14",), config=config, flops=flops, bytes_artifact=moved)
        for config, flops, moved in (("unfused", 10, 100), ("layer 1", 10, 80), ("full", 90, 300))
    ]
    found = claim("Figure 14", rows)
    assert found.found == "karate: bytes x 0.80; FLOPs x 9.0, intensity x 3.00"
    assert found.verdict == "same direction"


def test_partial_fusion_must_rise_with_sparsity() -> None:
    def rows(second: int) -> list[Row]:
        return [
            row
            for percent, partial in ((50, 90), (90, second))
            for pattern in ("uniform", "power-law")
            for row in group(
                "fig15",
                {"unfused": 100, "partial": partial, "full": 1000},
                input=f"{pattern}, {percent} %, n 9",
            )
        ]

    assert claim("Figure 15", rows(50)).verdict.startswith("in part: structure")
    assert "1.11 to 2.00, rising, patterns within 0.0 %" in claim("Figure 15", rows(50)).found
    assert claim("Figure 15", rows(95)).verdict == "in part"


def test_lanes_are_compared_with_published_cycles_at_full_size_only() -> None:
    cycles = {"1 x 1": 806_101_226, "4 x 4": 50_390_209}
    rows = [
        a_row(lanes, figures=("fig16b",), lanes=lanes, cycles=count, input="a")
        for lanes, count in cycles.items()
    ]
    assert claim("Figure 16", rows).found == "a: 16.0 on 4 x 4 lanes (1.000 x the published cycles)"
    small = [a_row(row.case, **{**_fields(row), "scale": "S / 8"}) for row in rows]
    assert claim("Figure 16", small).found == "a: 16.0 on 4 x 4 lanes"


def _fields(row: Row) -> dict[str, object]:
    names = ("figures", "lanes", "cycles", "input")
    return {name: getattr(row, name) for name in names}


def test_tiles_orders_and_compile_times() -> None:
    tiles = group("fig17", {"scalar": 1600}, input="a")
    tiles += group("fig17", {"tiles of 4": 100}, input="a, tiles of 4")
    assert claim("Figure 17", tiles).found == "speed-ups are 1.00 to 1.00 times b x b"
    orders = group("fig18", {"ikjl": 100, "lkji": 2900})
    assert claim("Figure 18", orders).verdict == "agrees with the paper, ratio 1.00"
    slow = [a_row("x", compile_ms=800.0)]
    assert claim("Compile time", slow).verdict.startswith("slower")


def test_loop_orders_are_those_per_use() -> None:
    def row(count: str) -> Row:
        orders = {
            "per use: without constraints": "39,916,800",
            "per use: with every operation row-wise": count,
        }
        return a_row("x", figures=("table4",), model="graphsage", orders=orders)

    assert claim("Table 4", [row("1,134")]).verdict.startswith("agrees if")
    assert claim("Table 4", [row("5,000")]).verdict == "differs from the paper"


def test_errors_of_the_estimator_are_means_over_fusions() -> None:
    rows = [
        a_row(
            config, figures=("table3",), config=config, flops=100, bytes=100, cycles=100,
            estimate={"flops": 100, "bytes": moved, "cycles": 100},
        )
        for config, moved in (("unfused", 104), ("full", 98))
    ]  # fmt: skip
    assert claim("Table 3", rows).found == "GCN 0 %, 3 %; cycles 0 %"
