"""The page on interchange states the rules and the limits that hold."""

import re
from pathlib import Path

from fuseflow.cli import ff_convert
from fuseflow.interop.comal.limits import ALU_OPS, NEAREST
from fuseflow.interop.faults import INTEROP_RULES

PAGE = Path(__file__).resolve().parents[2] / "docs/interchange.md"


def test_the_rules_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| (X\d+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    assert rows == dict(INTEROP_RULES)


def test_every_format_and_dialect_is_mentioned() -> None:
    text = PAGE.read_text()
    for name in (*ff_convert.DIALECTS, ff_convert.SAM, ff_convert.FOLDER, "mtx", "tns", "npz"):
        assert name in text


def test_functions_that_travel_are_listed() -> None:
    text = PAGE.read_text().replace("\n", " ")
    unary = re.search(r"operand other than ([^;]*);", text)
    binary = re.search(r"functions of two operands other than ([^;]*);", text)
    assert unary is not None
    assert binary is not None
    words = re.findall(r"\w+", unary[1] + binary[1])
    plain = [name for name in ALU_OPS if not name.endswith("_scalar")]
    assert [name for name in plain if name not in words] == []
    assert [name for name in NEAREST if name not in text] == []
