# SPDX-License-Identifier: MIT
"""Tables of text, and how they look on a terminal and in files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Table", "render"]

# Wider than any table, so that files get every cell whole.
_PLAIN_WIDTH = 100_000


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; numbers are formatted already, columns named `right` are aligned so.

    A line is drawn behind the rows whose numbers are in `breaks`. Where there is room for more than
    text, the numbers of the columns `bars` are bars too.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()
    breaks: frozenset[int] = frozenset()
    bars: frozenset[str] = frozenset()


def render(tables: Iterable[Table], width: int | None = None, *, colour: bool = False) -> str:
    """Return tables as text; `width` None is for files, where no line is folded."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out,
        width=width or _PLAIN_WIDTH,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    for table in tables:
        if table.title:
            console.print(Text(table.title, style="bold"), soft_wrap=True)
        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(table.columns))
        for column in table.columns:
            drawn.add_column(
                Text(column),
                justify="right" if column in table.right else "left",
                no_wrap=width is None,
            )
        for number, row in enumerate(table.rows):
            drawn.add_row(*map(Text, row), end_section=number in table.breaks)
        console.print(drawn)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))
