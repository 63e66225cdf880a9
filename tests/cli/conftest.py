"""Small artifacts in files, and commands that run in this process."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.testing import make_graph
from fuseflow.wire import Artifact, write_artifact

Main = Callable[[list[str]], int]
Shell = Callable[[str], subprocess.CompletedProcess[bytes]]


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str


class Stream(io.TextIOWrapper):
    """A standard stream in memory that may claim to be a terminal."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def graph() -> EinsumGraph:
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (np.eye(3), "dense,compressed"), "B": np.arange(6.0).reshape(3, 2)},
        references=True,
    )


@pytest.fixture
def graph_file(graph: EinsumGraph, tmp_path: Path) -> Path:
    path = tmp_path / "graph.pb"
    write_artifact(Artifact(graph), path)
    return path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command's main function with standard streams of its own."""

    def run(main: Main, *words: str | Path, stdin: bytes = b"", terminal: bool = False) -> Result:
        streams = {
            "stdin": Stream(stdin, terminal=terminal),
            "stdout": Stream(terminal=terminal),
            "stderr": Stream(),
        }
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        code = main([str(word) for word in words])
        out, err = (streams[name].buffer.getvalue() for name in ("stdout", "stderr"))
        return Result(code, out, err.decode())

    return run


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a command line as a user does, with the installed commands, in an empty folder."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    folder = tmp_path / "shell"
    folder.mkdir()

    def run(line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", line],
            env={**os.environ, "PATH": paths, "NO_COLOR": "1"},
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=120,
        )

    return run
