"""The page on importing lists the operators that have rules, all of them and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuseflow.frontend.onnx.rules import RULES as ONNX_RULES
from fuseflow.frontend.torch.rules import RULES as TORCH_RULES

PAGE = Path(__file__).parents[2] / "docs" / "importing.md"
# The first is made by a pattern, the second has a rule that refuses it.
NOT_IN_FILES = {"Rsqrt", "Dropout"}


def listed(heading: str) -> list[str]:
    """Return the names in the paragraph behind a line that starts with `heading`."""
    section = PAGE.read_text().partition("## Operators\n")[2].partition("\n## ")[0]
    paragraphs = section.split("\n\n")
    place = next(n for n, text in enumerate(paragraphs) if text.strip().startswith(heading))
    return re.findall(r"`(\w+)`", paragraphs[place + 1])


@pytest.mark.parametrize(
    ("heading", "rules"),
    [("ATen", set(TORCH_RULES)), ("ONNX", set(ONNX_RULES) - NOT_IN_FILES)],
)
def test_the_page_lists_what_has_a_rule(heading: str, rules: set[str]) -> None:
    names = listed(heading)
    assert sorted(names) == sorted(rules)
