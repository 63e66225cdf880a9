"""A model whose framework ends the process gets an error, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

PROGRAM = """
import os, sys
from fuseflow.cli.isolate import run_isolated
from fuseflow.errors import Finding, Location, ModelError

parent = os.getpid()

def work(stage):
    stage("thinking")
    {work}

try:
    print("result", run_isolated(work, "model.py", preload=("numpy",)))
except BaseException as error:
    print(type(error).__name__, error)
    if isinstance(error, ModelError):
        print(len(error.findings), error.rule)
    if "{work}".startswith("1 /"):
        print(*error.__notes__)
"""

FACTORY = """
import os, sys
import torch
from torch import nn

def abort():
    os.abort()

def leave():
    sys.exit(0)

def vanish():
    os._exit(0)

class Compressed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3).to_sparse_csr())

    def forward(self, x):
        if torch.compiler.is_exporting():
            os.abort()
        return nn.functional.linear(x, self.weight)

def compressed():
    return Compressed(), (torch.ones(2, 3),)

class Inside(nn.Module):
    def forward(self, x):
        rows, columns = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
        return torch.sparse_csr_tensor(rows, columns, x[0]) @ x

def inside():
    return Inside(), (torch.ones(2, 2),)

def chatty():
    os.write(1, b"not an artifact")
    return nn.ReLU(), (torch.ones(2),)
"""


def isolated(work: str) -> str:
    """What a fresh process says of `work`; nothing of it may load a framework first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_result_of_the_child_is_returned() -> None:
    assert isolated("return [7, 'x']") == "result [7, 'x']"


def test_the_work_is_done_in_a_child() -> None:
    said = isolated("return os.getppid() == parent")
    assert said == "result True"


def test_findings_survive_the_way() -> None:
    work = (
        "raise ModelError.from_findings([Finding('I001 a', 'one'), "
        "Finding('I001 b', 'two', Location(node='n'))])"
    )
    assert isolated(work) == "ModelError I001 a: one\n2 I001 a"


def test_a_bug_keeps_its_traceback() -> None:
    said = isolated("1 / 0")
    assert said.startswith("ZeroDivisionError division by zero")
    assert "in work" in said


@pytest.mark.parametrize(
    ("work", "how"),
    [
        ("os.abort()", "by signal 6 (SIGABRT)"),
        ("os.kill(os.getpid(), 9)", "by signal 9 (SIGKILL)"),
        ("os._exit(0)", "by itself, with exit code 0"),
    ],
)
def test_an_end_without_a_result_names_signal_and_stage(work: str, how: str) -> None:
    said = isolated(work)
    assert f"I024 crashed: model.py: the process was ended {how} while thinking" in said


def test_whoever_ends_the_command_ends_its_child() -> None:
    """The child holds the streams of the command, so a child that is left would be waited for."""
    said = isolated("import time; time.sleep(1); os.kill(os.getppid(), 15); time.sleep(600)")
    assert said.startswith("SystemExit 143")


def test_an_exception_that_cannot_be_sent_is_described() -> None:
    said = isolated("raise type('Odd', (Exception,), {})('strange')")
    assert said.startswith("RuntimeError Odd: strange")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("abort", "was ended by signal 6 (SIGABRT) while building the model"),
        ("vanish", "was ended by itself, with exit code 0 while building the model"),
        ("leave", "the code of the model ended the program, with 0"),
        ("compressed", "while exporting the model, with weight (torch.sparse_csr)"),
    ],
)
def test_a_model_that_ends_the_process_is_an_error(shell: Shell, name: str, line: str) -> None:
    Path(shell("pwd").stdout.decode().strip(), "crashing.py").write_text(FACTORY)
    done = shell(f"ff-import crashing.py:{name} > out.pb; echo $?; wc -c < out.pb")
    assert done.stdout.split() == [b"1", b"0"]
    assert f"ff-import: error: I024 crashed: crashing.py:{name}: " in done.stderr.decode()
    assert line in done.stderr.decode()


@pytest.mark.slow
def test_what_compiled_code_prints_does_not_mix_with_the_artifact(shell: Shell) -> None:
    Path(shell("pwd").stdout.decode().strip(), "crashing.py").write_text(FACTORY)
    done = shell("ff-import crashing.py:chatty -q | ff-show --json > /dev/null")
    assert (done.returncode, done.stderr) == (0, b"not an artifact")


@pytest.mark.slow
def test_a_csr_tensor_built_in_forward_is_explained(shell: Shell) -> None:
    Path(shell("pwd").stdout.decode().strip(), "crashing.py").write_text(FACTORY)
    done = shell("ff-import crashing.py:inside -o out.pb")
    said = done.stderr.decode()
    assert done.returncode == 1
    assert said.startswith("ff-import: error: I004 export-failed: crashing.py:")
    assert said.endswith("fix: build sparse tensors outside of forward, as inputs or buffers\n")
