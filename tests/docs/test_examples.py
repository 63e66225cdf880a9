"""Every example in the documentation does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Block, Command, Section, matches, read_commands, read_sections

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/user-guide.md",
    "docs/schedules.md",
    "docs/importing.md",
    "docs/interchange.md",
    "docs/memory.md",
)
SECTIONS = [
    pytest.param(section, id=f"{page}: {section.title}")
    for page in PAGES
    for section in read_sections(ROOT / page)
]
ENVIRONMENT = {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
STATUS = "=== status of the command:"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_examples_of_a_section_run(section: Section, tmp_path: Path) -> None:
    for block in section.blocks:
        if block.language == "console":
            check_console(block, tmp_path)
        else:
            check_file(block, tmp_path)


def check_file(block: Block, folder: Path) -> None:
    named = re.match(r"# (\w+\.\w+)\n", block.text)
    if named:
        (folder / named[1]).write_text(block.text)
        return
    assert block.language == "python", f"line {block.line}: a file needs a name"
    code, printed = _run([sys.executable, "-c", block.text], folder)
    assert code == 0, f"line {block.line}:\n{printed}"


def check_console(block: Block, folder: Path) -> None:
    commands = read_commands(block)
    _, printed = _run(["bash", "-c", _script(commands)], folder)
    results = re.findall(rf"(.*?)^{STATUS} (\d+)\n", printed, re.MULTILINE | re.DOTALL)
    assert len(results) == len(commands), f"line {block.line}:\n{printed}"
    followers = [each.line for each in commands[1:]] + [""]
    for command, follower, (output, status) in zip(commands, followers, results, strict=True):
        told = f"line {block.line}: $ {command.line}\n{output}"
        assert matches(output, command.expected), told
        assert status == "0" or follower == "echo $?", f"{told}exit code {status}"


def _script(commands: list[Command]) -> str:
    """Mark the end of what each command prints, and leave its exit code for the next one."""
    lines = ["exec 2>&1", "set -o pipefail"]
    for command in commands:
        lines += [command.line, f'code=$?; printf "{STATUS} %s\\n" $code; (exit $code)']
    return "\n".join(lines)


def _run(command: list[str], folder: Path) -> tuple[int, str]:
    """Run in an empty environment with the commands of this one, as in the root of a checkout."""
    (folder / "proto").exists() or (folder / "proto").symlink_to(ROOT / "proto")
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "PATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout


def test_no_other_page_has_examples_for_a_shell() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    with_examples = {str(p.relative_to(ROOT)) for p in pages if "```console" in p.read_text()}
    assert with_examples <= set(PAGES)


def test_output_is_compared_line_by_line() -> None:
    assert matches("a\nb 1\n", ["a", "b 1"])
    assert matches("a\nb 1 \nc\n", ["a", "b ...", "..."])
    assert matches("x\ny\nend\n", ["...", "end"])
    assert matches("ff-fuse: note: x\na\n", ["a"])
    assert matches("ff-fuse: note: x\na\n", ["ff-fuse: note: x", "a"])
    assert not matches("ff-fuse: error: x\na\n", ["a"])
    assert not matches("ff-fuse: note: y\na\n", ["ff-fuse: note: x", "a"])
    assert not matches("a\nb\n", ["a"])
    assert not matches("a\n", ["a", "b"])


def test_a_wrong_page_is_found(tmp_path: Path) -> None:
    check_console(Block("console", "$ echo a b\na ...\n$ false\n$ echo $?\n1\n", 1), tmp_path)
    for text in ("$ echo a\nb\n", "$ false\n", "$ false | cat\n", "$ echo a\n", "$ exit 3\n"):
        with pytest.raises(AssertionError, match="line 1"):
            check_console(Block("console", text, 1), tmp_path)
    with pytest.raises(AssertionError, match="line 7"):
        check_file(Block("python", "assert 1 == 2\n", 7), tmp_path)
