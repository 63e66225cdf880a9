"""Einsums as text: imported with data, run, checked and shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.cli import ff_fuse, ff_import, ff_show, ff_sim
from fuseflow.wire import read_einsum_graph

Call = Callable[..., Any]

KERNEL = """kernel layer
input A[6,6] dense,compressed random=3 density=0.4
parameter W[6,4] from=w.npy
input m[6,4] compressed,compressed pattern random=5 density=0.5
H[i,j] = relu(A[i,k] * W[k,j] - 0.25)
Z[i,j] = masked(m[i,j], H[i,j], 0)
"""


@pytest.fixture
def kernel_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "w.npy", np.arange(24, dtype=np.float32).reshape(6, 4) / 8)
    (tmp_path / "layer.ein").write_text(KERNEL)
    return tmp_path / "layer.ein"


def test_kernel_runs_through_the_pipe_and_passes_the_check(call: Call, kernel_file: Path) -> None:
    imported = call(ff_import.main, kernel_file)
    assert imported.code == 0, imported.err
    fused = call(ff_fuse.main, "--strategy", "full", stdin=imported.out)
    checked = call(ff_sim.main, "--check", "-v", stdin=fused.out)
    assert checked.code == 0, checked.err
    assert "check passed" in checked.err


def test_data_is_the_same_every_time_and_as_declared(call: Call, kernel_file: Path) -> None:
    first, second = (call(ff_import.main, kernel_file).out for _ in range(2))
    assert first == second
    graph = read_einsum_graph(first)
    mask, weight = graph.values["m"].tensor, graph.values["W"].tensor
    assert mask is not None
    assert mask.values is None
    assert 0 < mask.density < 1
    assert weight is not None
    assert weight.to_dense()[1, 0] == 0.5


def test_options_win_over_the_text(call: Call, tmp_path: Path, kernel_file: Path) -> None:
    np.save(tmp_path / "ones.npy", np.ones((6, 6), np.float32))
    words = ["--bind", f"A={tmp_path}/ones.npy", "--format", "A=compressed,compressed"]
    graph = read_einsum_graph(call(ff_import.main, kernel_file, *words, "--no-reference").out)
    tensor = graph.values["A"].tensor
    assert tensor is not None
    assert str(tensor.format) == "compressed,compressed"
    np.testing.assert_array_equal(tensor.to_dense(), np.ones((6, 6)))
    assert graph.outputs[0].reference is None


def test_background_is_kept(call: Call, tmp_path: Path) -> None:
    (tmp_path / "s.ein").write_text(
        "input S[3,3] dense,compressed fill=-inf random=1 density=0.5\nE[i,j] = exp(S[i,j])\n"
    )
    tensor = read_einsum_graph(call(ff_import.main, tmp_path / "s.ein").out).values["S"].tensor
    assert tensor is not None
    assert (tensor.fill, tensor.density < 1) == (-np.inf, True)


def test_shown_text_is_imported_again(call: Call, tmp_path: Path, kernel_file: Path) -> None:
    imported = call(ff_import.main, kernel_file)
    shown = call(ff_show.main, "--einsum", stdin=imported.out)
    assert shown.code == 0
    (tmp_path / "again.ein").write_bytes(shown.out)
    again = call(ff_import.main, tmp_path / "again.ein", "--random-inputs", "1")
    assert (
        call(ff_show.main, "--einsum", stdin=again.out).out.split(b"\nH")[1:]
        == (shown.out.split(b"\nH")[1:])
    )


@pytest.mark.parametrize(
    ("text", "words", "code", "message"),
    [
        (
            "input a[3]\nb[i] = 2 * a[i]",
            [],
            1,
            'I205 unbound-input: {file}: tensor "a" has no data',
        ),
        ("b[i] = 2 * a[i]", [], 1, 'E102: {file}: field "line 1": "a" is not declared'),
        ("input a[3] random=1\nb[i] = tan(a[i])", [], 1, "unknown function"),
        ("input a[3] from=no.npy\nb[i] = 2 * a[i]", [], 2, "U203"),
        ("input a[3] random=1\nb[i] = 2 * a[i]", ["--bind", "c=a.npy"], 2, "U120"),
        ("input a[3] random=1\nb[i] = 2 * a[i]", ["--format", "c*=dense"], 2, "U120"),
        ("input a[3] random=1\nb[i] = 2 * a[i]", ["--set", "k=1"], 2, "U011"),
    ],
)
def test_what_is_wrong_is_said(
    call: Call, tmp_path: Path, text: str, words: list[str], code: int, message: str
) -> None:
    path = tmp_path / "k.ein"
    path.write_text(text)
    refused = call(ff_import.main, path, *words)
    assert (refused.code, refused.out) == (code, b"")
    assert message.format(file=path) in refused.err


def test_programs_are_not_shown_as_einsums(call: Call, kernel_file: Path) -> None:
    fused = call(ff_fuse.main, stdin=call(ff_import.main, kernel_file).out)
    refused = call(ff_show.main, "--einsum", stdin=fused.out)
    assert refused.code == 2
    assert "U030" in refused.err
