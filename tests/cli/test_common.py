"""What all commands have in common, shown on `ff-fuse` and on commands made for the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fuseflow.cli import ff_fuse, ff_show
from fuseflow.cli.common import Context, run
from fuseflow.cli.parser import Parser
from fuseflow.errors import Finding, LimitError, Location, ModelError
from fuseflow.wire import read_dataflow_program
from tests.cli.conftest import Result, Shell

Call = Callable[..., Result]


def command(action: Callable[[Context], int]) -> Callable[[list[str]], int]:
    """A command with no options of its own."""
    return lambda words: run(Parser("ff-test", "A command for tests."), action, words)


def failing(error: BaseException) -> Callable[[list[str]], int]:
    def action(_context: Context) -> int:
        raise error

    return command(action)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_command_reads_standard_input_and_writes_standard_output(
    call: Call, graph_file: Path
) -> None:
    result = call(ff_fuse.main, stdin=graph_file.read_bytes())
    assert (result.code, result.err) == (0, "")
    assert len(read_dataflow_program(result.out).kernels) == 2


def test_files_and_pipes_give_the_same_bytes(call: Call, graph_file: Path) -> None:
    piped = call(ff_fuse.main, stdin=graph_file.read_bytes()).out
    for name in ("one.pb", "other.pb"):
        out = graph_file.with_name(name)
        result = call(ff_fuse.main, graph_file, "-o", out, "--explain")
        assert (result.code, result.out) == (0, b"")
        assert out.read_bytes() == piped


@pytest.mark.parametrize(
    ("words", "code", "first", "second"),
    [
        (
            ["--stratgy", "full"],
            2,
            "U001 unknown-option: unknown option --stratgy",
            "did you mean --strategy?",
        ),
        (
            ["--strat=full"],
            2,
            "U001 unknown-option: unknown option --strat",
            "did you mean --strategy?",
        ),
        (["--zzz"], 2, "U001 unknown-option: unknown option --zzz", "see ff-fuse --help"),
        (
            ["--strategy", "everything"],
            2,
            "U002 bad-option: argument --strategy: invalid choice",
            "see",
        ),
        (
            ["--data-limit", "-1"],
            2,
            "U002 bad-option: argument --data-limit: invalid mebibytes",
            "see",
        ),
        (["a.pb", "b.pb"], 2, 'U002 bad-option: unexpected argument "b.pb"', "see ff-fuse --help"),
        (["--text", "--json"], 2, "U002 bad-option: argument --json: not allowed with", "see"),
        (["missing.pb"], 2, "U003 no-file: missing.pb: there is no such file", None),
        (["."], 2, "U003 no-file: .: this is a folder", None),
        (
            ["-o", "no/such/folder.pb"],
            2,
            "U005 no-folder: no/such/folder.pb: there is no folder",
            None,
        ),
        (["-o", "."], 2, "U005 no-folder: .: this is a folder", None),
        (["--order", "i,,j"], 2, 'U002 bad-option: --order "i,,j" has an empty name', None),
        (
            ["--order", "i,nowhere"],
            1,
            'P002: the schedule names index "nowhere"',
            "the indices are",
        ),
        (["--recompute", "0.5"], 2, "U002 bad-option: --recompute 0.5 is below 1", None),
        (["--data-dir", "/"], 2, "U007 data-dir: --data-dir / is not below", None),
    ],
)
def test_a_wrong_command_gets_one_clear_line(
    call: Call,
    graph_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    first: str,
    second: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    result = call(ff_fuse.main, *words, stdin=graph_file.read_bytes())
    lines = result.err.splitlines()
    assert (result.code, result.out) == (code, b"")
    assert lines[0].startswith(f"ff-fuse: error: {first}")
    if second:
        assert lines[1].startswith(f"  fix: {second}")
    assert len(lines) <= 2
    assert files(tmp_path) == before


@pytest.mark.parametrize("target", ["-", "out.pb"])
@pytest.mark.parametrize(
    ("spoil", "rule"),
    [(lambda data: b"", "W001"), (lambda data: data[:-3], "W005"), (lambda data: data * 2, "W005")],
)
def test_a_broken_input_leaves_no_output(
    call: Call,
    graph_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    spoil: Callable[[bytes], bytes],
    rule: str,
) -> None:
    monkeypatch.chdir(graph_file.parent)
    result = call(ff_fuse.main, "-o", target, stdin=spoil(graph_file.read_bytes()))
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith(f"ff-fuse: error: {rule}: standard input: ")
    assert files(graph_file.parent) == {"graph.pb"}


def test_the_wrong_stage_order_is_explained(call: Call, graph_file: Path) -> None:
    fused = graph_file.with_name("fused.pb")
    assert call(ff_fuse.main, graph_file, "-o", fused).code == 0
    result = call(ff_fuse.main, fused)
    assert result.code == 1
    assert "expected an EinsumGraph, got a DataflowProgram" in result.err


def test_an_error_keeps_the_file_that_was_there(call: Call, graph_file: Path) -> None:
    out = graph_file.with_name("out.pb")
    out.write_bytes(b"precious")
    assert call(ff_fuse.main, graph_file, "--order", "nowhere", "-o", out).code == 1
    assert out.read_bytes() == b"precious"


def test_binary_is_not_written_to_a_terminal(call: Call, graph_file: Path) -> None:
    result = call(ff_fuse.main, graph_file, terminal=True)
    assert (result.code, result.out) == (2, b"")
    assert "U006 binary-to-terminal: will not write binary data to a terminal" in result.err


@pytest.mark.parametrize("view", ["--text", "--json"])
def test_a_view_is_written_to_a_terminal(call: Call, graph_file: Path, view: str) -> None:
    result = call(ff_fuse.main, graph_file, view, terminal=True)
    assert result.code == 0
    assert b"ARTIFACT_KIND_DATAFLOW_PROGRAM" in result.out


def test_a_terminal_is_no_input(call: Call) -> None:
    result = call(ff_show.main, terminal=True)
    assert result.code == 2
    assert "U004 no-input: there is no input" in result.err


def test_a_text_view_is_an_input_too(call: Call, graph_file: Path) -> None:
    text = call(ff_show.main, graph_file, "--text").out
    from_text = call(ff_fuse.main, "--json", stdin=text).out
    assert from_text == call(ff_fuse.main, graph_file, "--json").out


def test_notes_are_dropped_on_request(call: Call, graph_file: Path) -> None:
    text = call(ff_show.main, graph_file, "--text").out.replace(b"major: 1", b"major: 1 minor: 9")
    loud = call(ff_fuse.main, "--text", stdin=text)
    quiet = call(ff_fuse.main, "--text", "--quiet", stdin=text)
    assert loud.err.startswith("ff-fuse: note: schema 1.9 is newer")
    assert quiet.err == ""
    assert quiet.out == loud.out


def test_every_finding_of_an_error_is_shown_with_its_fix(call: Call) -> None:
    findings = [
        Finding("I001", "no rule", Location(node="a")),
        Finding("I002", "dynamic", Location(file="m.onnx", node="b"), fix="give it a shape"),
    ]
    result = call(failing(ModelError.from_findings(findings)))
    assert result.code == 1
    assert result.err.splitlines() == [
        'ff-test: error: I001: node "a": no rule',
        'ff-test: error: I002: m.onnx: node "b": dynamic',
        "  fix: give it a shape",
    ]


def test_many_findings_are_cut_short_unless_asked_for(call: Call) -> None:
    error = ModelError.from_findings([Finding("I001", f"number {n}") for n in range(50)])
    short, long = call(failing(error)), call(failing(error), "-v")
    assert "30 more findings" in short.err
    assert "number 49" not in short.err
    assert "number 49" in long.err
    assert "Traceback" not in long.err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LimitError("S009", "too long"), 3, "error: S009: too long"),
        (
            PermissionError(13, "Permission denied", "x.pb"),
            2,
            "error: U008 file-error: x.pb: Permission",
        ),
        (
            OSError(28, "No space left on device"),
            2,
            "error: U008 file-error: No space left on device",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (MemoryError(), 3, "error: out of memory"),
        (KeyError("x"), 70, "internal error: KeyError: 'x' (this is a bug; run again with -v"),
    ],
)
def test_every_failure_has_its_exit_code_and_one_line(
    call: Call, error: BaseException, code: int, line: str
) -> None:
    result = call(failing(error))
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith(f"ff-test: {line}")
    assert len(result.err.splitlines()) == 1


def test_a_bug_shows_its_traceback_on_request(call: Call) -> None:
    result = call(failing(KeyError("x")), "-v")
    assert result.code == 70
    assert "Traceback" in result.err


def test_errors_are_coloured_on_a_terminal_unless_the_user_objects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for setting, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", setting)
        failing(LimitError("S009", "too long"))([])
        assert ("\x1b[" in capsys.readouterr().err) is coloured


def test_the_recorded_command_has_what_decides_the_result(call: Call, graph_file: Path) -> None:
    words = ["--order", "k", "--strategy", "full", "--recompute", "2.0", "-v", "--json"]
    result = call(ff_fuse.main, graph_file, *words)
    assert '"command_line": "ff-fuse --strategy full --order k --recompute 2.0"' in (
        result.out.decode()
    )


def test_a_closed_pipe_is_no_error(shell: Shell, graph_file: Path) -> None:
    line = f"set -o pipefail; ff-show --json {graph_file} | head -c 1; echo ${{PIPESTATUS[0]}}"
    result = shell(line)
    assert (result.stdout, result.stderr) == (b"{0\n", b"")


def test_large_arrays_of_a_pipe_go_to_the_folder_that_is_named(
    shell: Shell, graph_file: Path
) -> None:
    fuse = f"ff-fuse {graph_file} --data-limit 0"
    assert shell(f"{fuse} --data-dir arrays > fused.pb").returncode == 0
    shown = shell("ff-show < fused.pb && ls -d arrays fused.pb.data")
    assert b"arrays\n" in shown.stdout
    assert b"fused.pb.data" in shown.stderr
    elsewhere = shell("mkdir away && cd away && ff-show < ../fused.pb")
    assert (elsewhere.returncode, b"W008" in elsewhere.stderr) == (1, True)
    inline = shell(f"{fuse} > inline.pb && cd away && ff-show < ../inline.pb")
    assert inline.returncode == 0


def test_a_stage_that_fails_makes_the_next_one_fail(shell: Shell) -> None:
    result = shell("ff-fuse missing.pb | ff-show --json")
    assert (result.returncode, result.stdout) == (1, b"")
    lines = result.stderr.decode().splitlines()
    assert any(line.startswith("ff-fuse: error: U003 no-file: missing.pb") for line in lines)
    assert any("did the previous stage fail?" in line for line in lines)
