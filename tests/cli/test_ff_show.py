"""`ff-show` shows every kind of artifact in every form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fuseflow.cli import ff_fuse, ff_show
from fuseflow.ir.einsum import Role, Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.report import (
    CheckResult,
    Deadlock,
    KernelStats,
    MemoryStats,
    NodeStats,
    SimulationReport,
    Totals,
)
from fuseflow.wire import Artifact, write_artifact
from tests.cli.conftest import Result

Call = Callable[..., Result]


@pytest.fixture
def program_file(call: Call, graph_file: Path) -> Path:
    path = graph_file.with_name("program.pb")
    assert call(ff_fuse.main, graph_file, "--strategy", "unfused", "-o", path).code == 0
    return path


@pytest.fixture
def report_file(tmp_path: Path) -> Path:
    node = NodeStats(4, "mul T", "alu", 5000, 3000, 2000, 40, 4, 2, 8, 0, ("T",))
    kernel = KernelStats("k0", 5000, 40, 2, 8, 16, (node,))
    report = SimulationReport(
        "model",
        HardwareConfig(),
        [kernel],
        Totals(5000, 40, 2, 8, 16, 1),
        CheckResult(True, False, 0.5, 0.25, 1e-4, 1e-5, ("output Z: 1 of 6 elements differ",)),
        [Value("Z", (3, 2), Role.INTERMEDIATE)],
    )
    path = tmp_path / "report.pb"
    write_artifact(Artifact(report), path)
    return path


def shown(call: Call, *words: str | Path) -> str:
    result = call(ff_show.main, *words)
    assert (result.code, result.err) == (0, "")
    return result.out.decode()


def test_a_graph_is_shown_with_values_and_einsums(call: Call, graph_file: Path) -> None:
    text = shown(call, graph_file)
    assert text.startswith("EinsumGraph test\n")
    assert "T[i,j] = add[k] mul(A[i,k], B[k,j])" in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["A"])
    assert row.split() == ["A", "input", "3x3", "dense,compressed", "0.333", "0"]


def test_a_program_is_shown_with_its_kernels_and_how_it_was_made(
    call: Call, program_file: Path
) -> None:
    text = shown(call, program_file)
    assert text.startswith("DataflowProgram test\n")
    assert "fuseflow 0" in text
    kernels = text[text.index("\nkernels\n") : text.index("\noutputs\n")]
    assert kernels.count("->") >= 2


def test_a_report_is_shown_with_totals_and_verdict(call: Call, report_file: Path) -> None:
    text = shown(call, report_file)
    assert "5,000" in text
    assert "check FAILED: largest error absolute 0.5, relative 0.25" in text
    assert "output Z: 1 of 6 elements differ" in text
    assert "4 mul T" in text


def test_a_report_shows_how_well_memory_was_used(call: Call, tmp_path: Path) -> None:
    dram = MemoryStats("hbm2", 90, 10, 6400, 16, 75, 15, 10, peak_bytes_per_cycle=256.0)
    dram = replace(dram, last_response=100, answers=100, latency_total=3550, latency_p99=127)
    kernels = [KernelStats("k0", 5000, 40, 2, 8, 16), KernelStats("k1", 9, 4, 2, 8, 16)]
    for memory, shows in ((dram, True), (None, False)):
        kernels[1] = replace(kernels[1], memory=memory)
        write_artifact(
            Artifact(SimulationReport("m", HardwareConfig(), kernels)), tmp_path / "r.pb"
        )
        rows = [line.split() for line in shown(call, tmp_path / "r.pb").splitlines()]
        used = ["k1", "100", "64", "25.0%", "75%", "35.5", "127"]
        assert (used in rows) is shows
        assert (["memory"] in rows) is shows


def test_an_incomplete_report_says_so(call: Call, tmp_path: Path) -> None:
    deadlock = Deadlock("k0", "capacity", ('node 3 "join": waits for room on stream 7',))
    report = SimulationReport("m", HardwareConfig(), complete=False, deadlock=deadlock)
    write_artifact(Artifact(report), tmp_path / "r.pb")
    text = shown(call, tmp_path / "r.pb")
    assert "INCOMPLETE" in text
    assert "DEADLOCK (capacity) in kernel k0" in text
    assert "waits for room on stream 7" in text
    assert "outputs were not checked" in text


def test_every_figure_of_a_report_is_listed_with_its_meaning(call: Call, report_file: Path) -> None:
    first, *lines, last = shown(call, report_file, "--stats").splitlines()
    assert (first, last) == ("---- begin statistics ----", "---- end statistics ----")
    assert all(line.split("#")[1].endswith(")") for line in lines)
    listed = {line.split()[0]: line.split()[1] for line in lines}
    assert listed["totals.cycles"] == "5000"
    assert listed["check.max_abs_error"] == "0.5"


def test_only_a_report_has_statistics(call: Call, graph_file: Path) -> None:
    result = call(ff_show.main, graph_file, "--stats")
    assert (result.code, result.out) == (2, b"")
    assert "U031 no-report" in result.err


def test_the_json_of_a_report_has_the_promised_keys(call: Call, report_file: Path) -> None:
    plain = json.loads(shown(call, report_file, "--json"))
    counts = {"cycles", "tokens", "flops", "dram_read_bytes", "dram_write_bytes"}
    assert plain["totals"].keys() == counts | {"kernels", "functions", "tensors"}
    assert all(isinstance(plain["totals"][name], int) for name in counts)
    assert plain["check"].keys() >= {"performed", "passed", "max_abs_error", "max_rel_error"}
    assert plain["kernels"][0].keys() >= counts | {"name", "nodes"}
    assert plain["kernels"][0]["nodes"][0]["busy"] == 3000


def test_wide_tables_are_whole_in_a_file(call: Call, program_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "summary.txt"
    assert shown(call, program_file, "-o", out) == ""
    text = out.read_text()
    assert "\x1b" not in text
    assert "…" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_graph_is_drawn_with_an_edge_per_operand(call: Call, graph_file: Path) -> None:
    lines = shown(call, graph_file, "--dot").splitlines()
    assert lines[0] == 'digraph "test" {'
    assert lines[-1] == "}"
    edges = [line.strip() for line in lines if "->" in line]
    assert edges[:2] == [
        '"value A" -> "T" [label="A"]',
        '"value B" -> "T" [label="B"]',
    ]
    assert len(edges) == 4


def test_a_program_is_drawn_with_every_stream(call: Call, program_file: Path) -> None:
    plain = json.loads(shown(call, program_file, "--json"))
    text = shown(call, program_file, "--dot")
    streams = sum(len(kernel["streams"]) for kernel in plain["kernels"])
    nodes = sum(len(kernel["nodes"]) for kernel in plain["kernels"])
    lines = text.splitlines()
    assert len([line for line in lines if "->" in line]) == streams
    assert len([line for line in lines if "[label=" in line and "->" not in line]) == nodes
    assert text.count("{") == text.count("}")


def test_one_kernel_can_be_drawn_alone(call: Call, program_file: Path) -> None:
    plain = json.loads(shown(call, program_file, "--json"))
    name = plain["kernels"][1]["name"]
    text = shown(call, program_file, "--dot", "--kernel", name)
    assert text.count("subgraph") == 1
    assert f'label="{name}"' in text


def test_names_with_quotes_are_drawn_safely(call: Call, tmp_path: Path) -> None:
    from fuseflow.ir.einsum import Access, Einsum, EinsumGraph

    value = Value('a"b', (2,), Role.INPUT)
    op = Einsum("back\\slash", Access("z", ("i",)), "relu", (Access('a"b', ("i",)),))
    graph = EinsumGraph("g", {'a"b': value, "z": Value("z", (2,), Role.INTERMEDIATE)}, [op])
    write_artifact(Artifact(graph), tmp_path / "g.pb")
    text = shown(call, tmp_path / "g.pb", "--dot")
    assert '"value a\\"b" -> "back\\\\slash" [label="a\\"b"]' in text


def test_what_cannot_be_drawn_is_refused(call: Call, program_file: Path, report_file: Path) -> None:
    result = call(ff_show.main, program_file, "--dot", "--kernel", "nowhere")
    assert (result.code, result.out) == (2, b"")
    assert 'U009 nothing-to-draw: graph "test": there is no kernel "nowhere"' in result.err
    assert call(ff_show.main, report_file, "--dot").code == 2


class Page(HTMLParser):
    """What a browser finds in a page: open elements, cells, and whatever it would have to load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_a_page_has_every_node_and_needs_no_other_file(call: Call, report_file: Path) -> None:
    text = shown(call, "--html", report_file)
    page = Page(text)
    assert (page.open, page.loaded) == ([], [])
    assert "url(" not in text
    assert {"4 mul T", "5,000", "3,000", "output Z: 1 of 6 elements differ"} <= set(page.cells)


def test_a_page_shows_names_that_are_no_html(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "report.pb"
    report = SimulationReport("<b>&amp;", HardwareConfig(), notes=["<script>1 < 2</script>"])
    write_artifact(Artifact(report), path)
    page = Page(shown(call, "--html", path))
    assert page.open == []
    assert "<script>1 < 2</script>" in page.cells


@pytest.mark.parametrize("file", ["graph_file", "program_file"])
def test_graphs_are_pages_too(call: Call, file: str, request: pytest.FixtureRequest) -> None:
    page = Page(shown(call, "--html", request.getfixturevalue(file)))
    assert page.open == []
    assert "made by" in page.cells
