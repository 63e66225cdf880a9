# SPDX-License-Identifier: MIT
"""The runs of commands that a study takes, each once; one is known by all that decides its result.

That is the command, the content of every file that it names, what it reads, and the programs
themselves. What was made before is found again by that name, so a study can be stopped, resumed and
extended.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import fuseflow
from fuseflow.cli.sweep.study import PARSERS, STAGES, Case

__all__ = ["Step", "make_steps", "programs_digest"]

_FOLDERS = {"import": "graphs", "fuse": "programs", "sim": "reports"}
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Step:
    """One run of one command: its arguments without input and output, and what it writes.

    `command` is the command without the files in between.
    """

    stage: str
    words: tuple[str, ...]
    command: str
    path: Path
    before: Step | None = None

    @property
    def pipe(self) -> str:
        """Return the commands that lead to this artifact, as a user would type them."""
        return f"{self.before.pipe} | {self.command}" if self.before else self.command

    def arguments(self) -> list[str]:
        """Return the arguments of the command with its files."""
        source = [str(self.before.path)] if self.before else []
        return [*self.words, *source, "-o", str(self.path)]


def make_steps(case: Case, folder: Path, programs: str) -> tuple[Step, ...]:
    """Return the three steps of a case, in order; cases that start alike share the first ones.

    Args:
        case: one model with its options.
        folder: where artifacts are kept, in a folder per kind.
        programs: `programs_digest()`.
    """
    steps: list[Step] = []
    name = re.sub(r"\W+", "-", case.model.removeprefix("zoo:")).strip("-")[-40:]
    key = programs
    for stage in STAGES:
        parser = PARSERS[stage]()
        words = case.words[stage]
        command = parser.canonical(parser.parse_args(words))
        contents = [_file_digest(path) for word in words for path in _files(word)]
        key = hashlib.sha256("\0".join([key, command, *contents]).encode()).hexdigest()
        path = folder / _FOLDERS[stage] / f"{name}-{key[:_DIGITS]}.pb"
        steps.append(Step(stage, words, command, path, steps[-1] if steps else None))
    return tuple(steps)


def programs_digest() -> str:
    """Return a digest of the package's code, compiled code included."""
    digest = hashlib.sha256()
    root = Path(fuseflow.__file__).parent
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".so"):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(_file_digest(path).encode())
    return digest.hexdigest()


def _files(word: str) -> Iterator[Path]:
    """Yield the files that an argument names: as they are, behind `=`, with a key, as a module."""
    for text in {word, *word.split("=")}:
        for name in {text, text.rpartition(":")[0]}:
            path = Path(name)
            if name and path.is_file():
                yield path
    module, separator, _ = word.rpartition(":")
    if separator and re.fullmatch(r"[\w.]+", module):
        origin = _origin(module)
        if origin is not None:
            yield origin


def _origin(module: str) -> Path | None:
    """Return the file of a module, without importing anything on the way."""
    path: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    spec = None
    parts = module.split(".")
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
