"""The pages of the documentation, taken apart: headings, links, and examples that can be run.

An example is a fenced block. In a ``console`` block a line ``$ command`` is run by bash, and the
lines below it are all that it prints, errors included; a line ``...`` stands for any lines, ``...``
within a line for any text, and notes of our commands may be left out. A command succeeds unless the
next one is ``echo $?``. A ``python`` block is run as a script. A ``python``, ``textproto`` or
``yaml`` block whose first line is ``# FILE`` is saved under that name instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

RUNNABLE = ("console", "python", "textproto", "yaml")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
NOTE = re.compile(r"ff-\w+: note: ")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block with its language and the number of its first line in the page."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A command of a console block and the lines that it should print."""

    line: str
    expected: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """The examples below one heading of level 2; they share a folder."""

    title: str
    blocks: list[Block]


def read_sections(page: Path) -> list[Section]:
    """Return the sections of a page that have examples to run."""
    text = page.read_text()
    starts = [m for m in HEADING.finditer(_without_blocks(text)) if m[1] == "##"]
    ends = [m.start() for m in starts[1:]] + [len(text)]
    sections = [
        Section(start[2], list(_runnable(text, start.end(), end)))
        for start, end in zip(starts, ends, strict=True)
    ]
    return [section for section in sections if section.blocks]


def read_commands(block: Block) -> list[Command]:
    """Return the commands of a console block."""
    commands: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line[2:]))
        elif commands and commands[-1].line.endswith("\\") and not commands[-1].expected:
            commands[-1] = Command(f"{commands[-1].line}\n{line.removeprefix('> ')}")
        else:
            commands[-1].expected.append(line.rstrip())
    return commands


def matches(printed: str, expected: list[str]) -> bool:
    """Return True if what was printed is what a page says, with or without the notes."""
    lines = [line.rstrip() for line in printed.splitlines()]
    without_notes = [line for line in lines if not NOTE.match(line)]
    return _matches(lines, expected) or _matches(without_notes, expected)


def _matches(lines: list[str], expected: list[str]) -> bool:
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def read_links(page: Path) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    return LINK.findall(_without_blocks(page.read_text()))


def read_anchors(page: Path) -> set[str]:
    """Return the names by which headings of a page can be linked to."""
    titles = [m[2] for m in HEADING.finditer(_without_blocks(page.read_text()))]
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def _runnable(text: str, start: int, end: int) -> Iterator[Block]:
    for match in FENCE.finditer(text, start, end):
        if match[1] in RUNNABLE:
            yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)


def _without_blocks(text: str) -> str:
    """Blank out fenced blocks; all positions stay."""
    return FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
