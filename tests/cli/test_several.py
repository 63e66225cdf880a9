"""Several artifacts in one stream pass through every stage, in order."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.cli import ff_convert, ff_fuse, ff_import, ff_show, ff_sim
from fuseflow.ir.testing import make_graph
from fuseflow.wire import (
    Artifact,
    delimit,
    iterate_delimited,
    read_any_artifact,
    read_report,
    write_artifact,
)

Call = Callable[..., Any]
NAMES = ("first", "second", "third")


def artifact(name: str, size: int = 3) -> bytes:
    graph = make_graph(
        ["T[i] = add[k] mul(A[i,k], b[k])"],
        {"A": (np.eye(size), "dense,compressed"), "b": np.arange(float(size))},
        name=name,
        references=True,
    )
    buffer = io.BytesIO()
    write_artifact(Artifact(graph), buffer)
    return buffer.getvalue()


@pytest.fixture
def stream() -> bytes:
    return b"".join(delimit(artifact(name, size)) for size, name in enumerate(NAMES, start=2))


def parts(data: bytes) -> list[bytes]:
    return list(iterate_delimited(io.BytesIO(data)))


def test_every_stage_takes_and_gives_as_many_artifacts(call: Call, stream: bytes) -> None:
    fused = call(ff_fuse.main, "--delimited", stdin=stream)
    assert [read_any_artifact(part).root.name for part in parts(fused.out)] == list(NAMES)
    copied = call(ff_convert.main, "--delimited", stdin=fused.out)
    checked = call(ff_sim.main, "--delimited", "--check", stdin=copied.out)
    assert checked.code == 0, checked.err
    reports = [read_report(part) for part in parts(checked.out)]
    assert [report.name for report in reports] == list(NAMES)
    assert all(report.check.passed for report in reports)
    shown = call(ff_show.main, "--delimited", stdin=checked.out)
    assert [name for name in NAMES if f"SimulationReport {name}".encode() in shown.out] == list(
        NAMES
    )


def test_each_is_what_it_would_be_alone(call: Call, stream: bytes) -> None:
    together = parts(call(ff_fuse.main, "--delimited", stdin=stream).out)
    alone = [call(ff_fuse.main, stdin=part).out for part in parts(stream)]
    assert together == alone


def test_import_writes_a_part_of_a_stream(call: Call, tmp_path: Path) -> None:
    (tmp_path / "k.ein").write_text("input a[3] random=1\nb[i] = 2 * a[i]\n")
    one = call(ff_import.main, tmp_path / "k.ein", "--delimited").out
    assert [read_any_artifact(part).root.name for part in parts(one + one)] == ["k", "k"]


def test_suffix_of_a_file_says_that_it_holds_several(
    call: Call, tmp_path: Path, stream: bytes
) -> None:
    (tmp_path / "graphs.pbs").write_bytes(stream)
    call(ff_fuse.main, tmp_path / "graphs.pbs", "-o", tmp_path / "programs.pbs")
    assert len(parts((tmp_path / "programs.pbs").read_bytes())) == len(NAMES)
    shown = call(ff_show.main, tmp_path / "programs.pbs", "-o", tmp_path / "all.txt")
    assert shown.out == b""
    text = (tmp_path / "all.txt").read_text()
    assert [text.count(f"DataflowProgram {name}") for name in NAMES] == [1, 1, 1]


def test_failures_are_numbered_and_lose_none_of_the_others(call: Call, tmp_path: Path) -> None:
    report = call(ff_sim.main, stdin=call(ff_fuse.main, stdin=artifact("x")).out).out
    names = ["a", "", "b", "", "c"]
    mixed = b"".join(delimit(artifact(name) if name else report) for name in names)
    failed = call(ff_fuse.main, "--delimited", stdin=mixed)
    assert failed.code == 1
    assert failed.err.count("W003") == 2
    for number in (2, 4):
        assert f"W003: artifact {number}: expected an EinsumGraph" in failed.err
    assert [read_any_artifact(part).root.name for part in parts(failed.out)] == ["a", "b", "c"]
    again = call(ff_fuse.main, "--delimited", "-o", tmp_path / "programs.pbs", stdin=mixed)
    assert again.code == 1
    assert (tmp_path / "programs.pbs").read_bytes() == failed.out


def test_check_that_fails_shows_in_the_exit_code_of_all(call: Call) -> None:
    wrong = make_graph(["T[i] = relu(a[i])"], {"a": np.ones(3)}, name="wrong", references=True)
    wrong.outputs[0].reference[...] = 5
    buffer = io.BytesIO()
    write_artifact(Artifact(wrong), buffer)
    stream = delimit(artifact("a")) + delimit(buffer.getvalue()) + delimit(artifact("b"))
    fused = call(ff_fuse.main, "--delimited", stdin=stream)
    checked = call(ff_sim.main, "--delimited", "--check", stdin=fused.out)
    assert checked.code == 1
    passed = [read_report(part).check.passed for part in parts(checked.out)]
    assert passed == [True, False, True]


def test_broken_stream_leaves_no_file(call: Call, tmp_path: Path, stream: bytes) -> None:
    out = tmp_path / "out.pbs"
    failed = call(ff_fuse.main, "--delimited", "-o", out, stdin=stream + b"\x05\x0a")
    assert failed.code == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (lambda data: artifact("x"), ["--delimited"], "W012: artifact 1 of the stream is none"),
        (lambda data: data, [], "W012: standard input: these are artifacts with lengths"),
        (lambda data: data[:-3], ["--delimited"], "W005: the input is truncated"),
        (lambda data: data + b"\x80", ["--delimited"], "W005: the input is truncated"),
        (lambda data: data + b"\x02ab", ["--delimited"], "W012: artifact 4 of the stream is none"),
        (lambda data: b"", ["--delimited"], "W001: no input"),
        (lambda data: data, ["--delimited", "--data-dir", "d"], "U009 no-data-dir"),
    ],
)
def test_mistakes_with_lengths_are_named(
    call: Call, stream: bytes, make: Callable[[bytes], bytes], words: list[str], message: str
) -> None:
    failed = call(ff_fuse.main, *words, stdin=make(stream))
    assert failed.code in (1, 2)
    assert message in failed.err


def test_pipe_of_stages_in_a_shell(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "shell" / "k.ein").write_text("input a[3] random=1\nb[i] = 2 * a[i]\n")
    line = (
        "(ff-import k.ein --delimited; ff-import k.ein --delimited) | ff-fuse --delimited"
        " | ff-sim --delimited --check | ff-show --delimited"
    )
    done = shell(f"set -o pipefail; {line}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"SimulationReport k") == 2
