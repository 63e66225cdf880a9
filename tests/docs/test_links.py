"""Links between the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import read_anchors, read_links

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page whose file or heading does not exist."""
    broken = []
    for link in read_links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in read_anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_every_page_of_the_documentation_can_be_reached() -> None:
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached:
            reached.add(page)
            links = (page.parent / link.partition("#")[0] for link in read_links(page))
            todo += [each.resolve() for each in links if each.suffix == ".md" and each.exists()]
    assert set(PAGES) <= reached


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title: with `code`\n")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#a-title-with-code) [c](#here) [d](https://example.org/x)"
    page.write_text(f"# Here\n\n{good}\n\n```\n[no](link.md)\n```\n")
    assert broken_links(page) == []
    page.write_text("[a](gone.md) [b](other.md#gone) [c](#gone)\n")
    assert broken_links(page) == ["gone.md", "other.md#gone", "#gone"]


def missing_sources(page: Path) -> list[str]:
    """Return the source files that a page names, by path or name alone, and that do not exist.

    Files that an example of the page writes are its own.
    """
    text = page.read_text()
    own = re.findall(r"^# (\w+\.\w+)$", text, re.MULTILINE)
    names = re.findall(r"`((?:\w+/)*\w+\.(?:pyx?|pxd|proto))`", text)
    return [name for name in names if name not in own and not is_source(name)]


def is_source(name: str) -> bool:
    return (ROOT / name).exists() or any(
        found for folder in ("fuseflow", "proto") for found in (ROOT / folder).rglob(name)
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_files_that_a_page_names_exist(page: Path) -> None:
    assert missing_sources(page) == []


def test_source_files_that_are_gone_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    good = "`views.py` `twin/rules.py` `fuseflow/ir/tensor.py` `einsum.proto` `mine.py`"
    page.write_text(f"{good} `gone.py` `ir/gone.pyx`\n\n```python\n# mine.py\n```\n")
    assert missing_sources(page) == ["gone.py", "ir/gone.pyx"]
