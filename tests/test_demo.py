"""The demo: what the README says of it is true."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ("unfused", "layer", "full")


@dataclass(frozen=True)
class Demo:
    code: int
    printed: str
    results: list[dict[str, Any]]

    def figure(self, name: str) -> dict[str, dict[str, Any]]:
        """Return one figure of every case, by model and strategy."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.results:
            found.setdefault(row["model"], {})[row["strategy"]] = row[name]
        return found


def demo_words() -> list[str]:
    """Return the command of `make demo`, as the Makefile has it, without its folder."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^\t@\$\(BIN\)/ff-sweep (.*) -o out/demo$", text, re.MULTILINE)
    return shlex.split(line)


def run_demo(folder: Path) -> Demo:
    command = [sys.executable, "-m", "fuseflow", "ff-sweep", *demo_words(), "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return Demo(done.returncode, done.stdout, json.loads((folder / "results.json").read_text()))


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table, without the last digits: the error."""
    rows = [line.split() for line in text.splitlines() if re.match(r" *zoo:\w+ +\w+ +\d+ ", line)]
    return [row[:7] + row[8:] for row in rows]


def test_the_demo_passes_and_shows_what_the_readme_says(tmp_path: Path) -> None:
    # One test: it takes a while, and tests of one module may run in different processes.
    demo = run_demo(tmp_path)
    assert demo.code == 0
    assert demo.figure("status") == {
        f"zoo:{name}": dict.fromkeys((*PRESETS, "auto"), "passed")
        for name in ("gcn", "graphsage", "sae", "gpt")
    }
    for kernels in demo.figure("kernels").values():
        assert kernels["unfused"] > kernels["layer"] > kernels["full"]
    for cycles in demo.figure("cycles").values():
        assert cycles["auto"] <= min(cycles[preset] for preset in PRESETS)
    told = rows_of((ROOT / "README.md").read_text())
    assert len(told) == len(demo.results)
    assert told == rows_of(demo.printed), "run `make demo` and copy the table"
