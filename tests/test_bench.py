"""The bench keeps figures and compares with kept ones, also with those of earlier versions."""

import json
from pathlib import Path

import pytest

from tools import bench

CASE = "two compressed, 16 per row, intersect"


def test_figures_compare_with_a_file_that_lacks_the_newer_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, old = tmp_path / "now.json", tmp_path / "old.json"
    words = ["--only", CASE, "--scale", "0.01", "--only-ideal"]
    bench.main([*words, "--json", str(now)])
    (row,) = json.loads(now.read_text())["rows"]
    # Twice the tokens in the same time: half as fast now as it was then, up to the clock.
    kept = {"name": row["name"], "tokens": 2 * row["tokens"], "seconds": row["seconds"]}
    old.write_text(json.dumps({"rows": [kept]}))
    capsys.readouterr()
    bench.main([*words, "--against", str(old)])
    (line,) = (text for text in capsys.readouterr().out.splitlines() if text.startswith(CASE))
    assert float(line.split()[-1]) > 0
    assert len(line.split()) == len(CASE.split()) + 7
