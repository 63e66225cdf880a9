# SPDX-License-Identifier: MIT
"""Tables as one page of HTML that needs nothing else: no scripts, styles or fonts from elsewhere.

Everything is there without scripts; with them, a click on a column's title sorts the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from fuseflow.report.tables import Table

__all__ = ["write_page"]

# A longer table is folded up.
_SHOWN_ROWS = 40

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 100em; }
h1 { font-size: 1.4em; } h2, summary { font-size: 1.1em; font-weight: 600; margin: 1.6em 0 .4em; }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
th, td { padding: .15em .8em .15em .3em; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid; cursor: pointer; white-space: nowrap; }
tr:hover td { background-color: #8882; }
td { font-family: ui-monospace, monospace; font-size: .92em; white-space: pre-wrap; }
.right { text-align: right; white-space: nowrap; }
td.bar { background: linear-gradient(#4a90d955, #4a90d955) no-repeat right / var(--share) 100%; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e4e6ea; } }
"""

_SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const value = (row, column) => {
    const text = row.cells[column].textContent, number = parseFloat(text.replace(/,/g, ""));
    return isNaN(number) ? text : number;
  };
  [...table.tHead?.rows[0].cells ?? []].forEach((title, column) => title.onclick = () => {
    const down = title.dataset.down = title.dataset.down === "1" ? "" : "1";
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = value(a, column), y = value(b, column);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x < "s" ? -1 : 1;
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  });
}
"""


def write_page(title: str, tables: Iterable[Table]) -> str:
    """Return a page with a heading and all tables, long ones folded up."""
    body = "\n".join(_section(table) for table in tables)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _section(table: Table) -> str:
    title, text = escape(table.title), _table(table)
    if len(table.rows) <= _SHOWN_ROWS:
        return f"<h2>{title}</h2>\n{text}"
    return f"<details><summary>{title} ({len(table.rows)})</summary>\n{text}\n</details>"


def _table(table: Table) -> str:
    titles = "".join(f"<th{_class(table, c)}>{escape(c)}</th>" for c in table.columns)
    head = f"<thead><tr>{titles}</tr></thead>\n" if any(table.columns) else ""
    largest = {column: _largest(table, number) for number, column in enumerate(table.columns)}
    rows = "\n".join("".join(_row(table, row, largest)) for row in table.rows)
    return f'<div class="wide"><table>\n{head}<tbody>\n{rows}\n</tbody></table></div>'


def _row(table: Table, row: Sequence[str], largest: dict[str, float]) -> Iterator[str]:
    yield "<tr>"
    for column, cell in zip(table.columns, row, strict=True):
        bar = ""
        if column in table.bars and largest[column]:
            bar = f' style="--share: {_number(cell) / largest[column]:.1%}"'
        yield f"<td{_class(table, column)}{bar}>{escape(cell)}</td>"
    yield "</tr>"


def _class(table: Table, column: str) -> str:
    names = ["right"] * (column in table.right) + ["bar"] * (column in table.bars)
    return f' class="{" ".join(names)}"' if names else ""


def _largest(table: Table, column: int) -> float:
    """Return what a bar of full length stands for."""
    cells = [row[column] for row in table.rows]
    if any(cell.endswith("%") for cell in cells):
        return 100.0
    return max(map(_number, cells), default=0.0)


def _number(cell: str) -> float:
    match = re.match(r"[\d,.]+", cell)
    return float(match[0].replace(",", "")) if match else 0.0
