"""Print the size of the sources and their longest functions: ``python -m tools.size_report``.

The report informs and never fails; ``tests/test_hygiene.py`` holds the limits. Lines are counted as
a reader meets them, blank and comment lines included. The docstring of a Python function is left
out: a full contract must not make a function look long.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

__all__ = ["FunctionSize", "count_lines", "main", "measure_functions", "source_files"]

FOLDERS = ("fuseflow", "tools", "tests")
SUFFIXES = (".py", ".pyx", ".pxd")
LOOK_AGAIN = 400
LONGEST = 10

CYTHON_FUNCTION = re.compile(
    r"(\s*)(?:async\s+)?(?:def|cdef|cpdef)\s(?!\s*class\b)[^=(]*?(\w+)\s*\("
)


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """A function, the line where it starts, and the number of its lines."""

    name: str
    line: int
    lines: int


def source_files(root: Path) -> list[Path]:
    """Every Python and Cython source below ``root`` that is written by hand, sorted."""
    paths = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    generated = root / "fuseflow" / "v1"
    return sorted(p for p in paths if p.suffix in SUFFIXES and generated not in p.parents)


def count_lines(path: Path) -> int:
    """The number of lines of a text file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def measure_functions(path: Path) -> list[FunctionSize]:
    """The functions and methods of a source file; the lines of an inner one count twice."""
    text = path.read_text(encoding="utf-8")
    return list(_measure_python(text) if path.suffix == ".py" else _measure_cython(text))


def main(arguments: list[str]) -> int:
    """Print the report for the given folder, by default the current one."""
    root = Path(arguments[0]) if arguments else Path()
    sizes = {path.relative_to(root): count_lines(path) for path in source_files(root)}
    _print_folders(sizes)
    _print_large_files(sizes)
    _print_long_functions(root, list(sizes))
    return 0


def _print_folders(sizes: dict[Path, int]) -> None:
    print(f"{'files':>6} {'lines':>6} {'median':>6} {'max':>6}  folder")
    for folder, members in groupby(sorted(sizes, key=_folder), key=_folder):
        lines = [sizes[path] for path in members]
        print(f"{len(lines):6} {sum(lines):6} {median(lines):6.0f} {max(lines):6}  {folder}")
    print(f"{len(sizes):6} {sum(sizes.values()):6}  in total")


def _folder(path: Path) -> Path:
    return path.parent


def _print_large_files(sizes: dict[Path, int]) -> None:
    large = {path: lines for path, lines in sizes.items() if lines > LOOK_AGAIN}
    print(f"\n{len(large)} files of more than {LOOK_AGAIN} lines")
    for path, lines in large.items():
        print(f"{lines:6}  {path}")


def _print_long_functions(root: Path, paths: list[Path]) -> None:
    functions = [(size, path) for path in paths for size in measure_functions(root / path)]
    functions.sort(key=lambda pair: pair[0].lines, reverse=True)
    print(f"\nthe longest of {len(functions)} functions")
    for size, path in functions[:LONGEST]:
        print(f"{size.lines:6}  {path}:{size.line} {size.name}")


def _measure_python(text: str) -> Iterator[FunctionSize]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if ast.get_docstring(node, clean=False) is not None:
            contract = node.body[0]
            lines -= (contract.end_lineno or contract.lineno) - contract.lineno + 1
        yield FunctionSize(node.name, node.lineno, lines)


def _measure_cython(text: str) -> Iterator[FunctionSize]:
    """By indentation, for there is no syntax tree."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        match = CYTHON_FUNCTION.match(line)
        if match:
            indentation, name = match.groups()
            yield FunctionSize(name, start + 1, _extent(lines[start:], len(indentation)))


def _extent(lines: list[str], indentation: int) -> int:
    """Lines up to the last that is indented deeper than the first, or closes its parentheses."""
    last = 0
    for offset, line in enumerate(lines[1:], start=1):
        inner = line.lstrip()
        if not inner:
            continue
        if len(line) - len(inner) <= indentation and not inner.startswith(")"):
            break
        last = offset
    return last + 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
