# SPDX-License-Identifier: MIT
"""Write docs/statistics.md from the table in the code: ``python -m tools.update_statistics``."""

import sys
from collections.abc import Iterator
from pathlib import Path

from fuseflow.ir.statistics import RECORDS, STATISTICS, Statistic

__all__ = ["PAGE", "main", "statistics_page"]

PAGE = Path(__file__).resolve().parents[1] / "docs/statistics.md"
HEAD = """# Statistics

Every figure of a simulation report. `ff-show --stats` prints them all, one on a line, with name,
value, description and unit; `ff-show --json` has them under the same names. A counter adds up over
parts, a level is reached at some time, a ratio is a quotient of two others and stands only in the
text. Figures marked * need `ff-sim --stats`. How tokens, operations and bytes are counted is in
[streams](streams.md#4-what-is-counted).

This page is made from the table in the code by `python -m tools.update_statistics`.
"""
TITLES = {
    "totals": "Of the program",
    "kernel": "Of a kernel",
    "node": "Of a node",
    "stream": "Of a stream",
    "tokens": "Tokens of a stream",
    "memory": "Of memory in a kernel; absent if memory is ideal",
    "channel": "Of a channel of memory",
    "latency": "Of a bucket of the histogram of latencies",
    "client": "Of a client of memory: an array of a node",
    "critical": "Of the critical resource of a kernel: a node, or memory",
    "function": "By function, of a kernel and of the program",
    "tensor": "By tensor, of a kernel and of the program",
    "check": "Of the check; absent if there was none",
    "host": "Of the host; only with `ff-sim --profile`",
}


def statistics_page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for record in RECORDS for line in _section(record))])


def _section(record: str) -> Iterator[str]:
    yield f"## {TITLES[record]}\n"
    yield "| name | kind | unit | description |"
    yield "|---|---|---|---|"
    yield from (_row(statistic) for statistic in STATISTICS if statistic.record == record)
    yield ""


def _row(statistic: Statistic) -> str:
    mark = " *" if statistic.detail else ""
    cells = (f"`{statistic.name}`{mark}", statistic.kind, statistic.unit, statistic.description)
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(statistics_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
