"""The sources stay readable and free of what belongs to one machine or to yesterday."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from tools.size_report import FunctionSize, count_lines, measure_functions, source_files

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60

# Put together from pieces, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}-])/(?:" + "|".join(("home", "root", "work", "Users")) + r")/"
)
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")


@pytest.fixture(scope="module")
def tracked_texts(repository: Path) -> dict[str, str]:
    """Name and content of every text file under version control, new ones included."""
    if not (repository / ".git").exists():
        pytest.skip("not a checkout: nothing says which files belong to the repository")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if (repository / name).is_file()]
    contents = {name: (repository / name).read_bytes() for name in names}
    return {name: data.decode() for name, data in contents.items() if b"\0" not in data}


def _lines_matching(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_one_machine(tracked_texts: dict[str, str]) -> None:
    assert _lines_matching(MACHINE_PATH, tracked_texts) == []


def test_no_file_leaves_work_for_later(tracked_texts: dict[str, str]) -> None:
    assert _lines_matching(UNFINISHED, tracked_texts) == []


def test_no_source_file_is_too_long(repository: Path) -> None:
    sizes = {str(path): count_lines(path) for path in source_files(repository)}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_too_long(repository: Path) -> None:
    package = repository / "fuseflow"
    too_long = [
        f"{path}:{size.line}: {size.name} has {size.lines} lines"
        for path in source_files(repository)
        if package in path.parents
        for size in measure_functions(path)
        if size.lines > MAX_FUNCTION_LINES
    ]
    assert too_long == []


def test_every_dependency_has_a_reason(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    project, build = settings["project"], settings["build-system"]
    groups = [
        project["dependencies"],
        build["requires"],
        *project["optional-dependencies"].values(),
    ]
    names = {re.split(r"[\[<>=!~ ]", line, maxsplit=1)[0].lower() for line in chain(*groups)}
    table = (repository / "docs" / "dependencies.md").read_text()
    explained = set(re.findall(r"^\| ([\w-]+) \| .*\w", table, re.MULTILINE)) - {"package"}
    assert explained == names - {"fuseflow"}


def test_patterns_find_what_they_look_for() -> None:
    home, unfinished = "/" + "home/", "TO" + "DO"
    texts = {
        "bad.py": f'open("{home}me/data.npz")\n# {unfinished}: later\n',
        "good.py": 'url = "https://example.org/homework/"\nroot / "home" / "x"\nTODOS = 1\n',
    }
    assert _lines_matching(MACHINE_PATH, texts) == [f'bad.py:1: open("{home}me/data.npz")']
    assert _lines_matching(UNFINISHED, texts) == [f"bad.py:2: # {unfinished}: later"]


def test_python_functions_are_measured_without_their_docstring(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        'class A:\n    def f(self):\n        """One.\n\n        Two.\n        """\n\n'
        "        return 1\n\n\nasync def g(\n    x,\n):\n    return x\n"
    )
    assert sorted(measure_functions(path), key=lambda size: size.line) == [
        FunctionSize("f", 2, 3),
        FunctionSize("g", 11, 4),
    ]


def test_cython_functions_are_measured_by_indentation(tmp_path: Path) -> None:
    path = tmp_path / "module.pyx"
    path.write_text(
        "cdef int LIMIT = max(1, 2)\n"
        "cdef class Ring(Base):\n"
        "    cpdef int64_t pop(self) except -1:\n"
        "        return 1\n"
        "\n"
        "    def run(\n"
        "        self, int x=3\n"
        "    ):\n"
        "        pass\n"
        "\n"
        "        return x\n"
        "\n"
        "cdef inline void push(Ring ring) noexcept nogil: pass\n"
    )
    assert measure_functions(path) == [
        FunctionSize("pop", 3, 2),
        FunctionSize("run", 6, 6),
        FunctionSize("push", 13, 1),
    ]
