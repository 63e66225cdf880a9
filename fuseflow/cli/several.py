# SPDX-License-Identifier: MIT
"""Several artifacts in one stream: a command does its work for each of them in turn.

Artifacts are read as they arrive and written as they are made, so that commands in a pipe work at
the same time. One that fails is reported, and those behind it are worked on all the same; a stream
that is broken itself ends there.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fuseflow.cli.parser import SEVERAL
from fuseflow.errors import FuseflowError, Location, UsageError

if TYPE_CHECKING:
    from fuseflow.cli.console import Console
    from fuseflow.wire import Artifact

__all__ = ["execute_all", "write_delimited", "writes_several"]


class _Command(Protocol):
    """A run of a command; see `fuseflow.cli.common.Context`."""

    @property
    def args(self) -> argparse.Namespace:
        """Return the arguments."""

    @property
    def console(self) -> Console:
        """Return where errors are reported."""


Run = TypeVar("Run", bound=_Command)


def execute_all(context: Run, execute: Callable[[Run], int]) -> int:
    """Execute a command once, or once for every artifact of its input.

    Returns:
        The highest exit code of all runs. With several of them, those that fail are reported here.

    Raises:
        WireError: if the input is no stream of artifacts with lengths.
        UsageError: U009 if large arrays shall go to files.
    """
    args = context.args
    if writes_several(args) and getattr(args, "data_dir", None) is not None:
        raise UsageError("U009 no-data-dir", "--data-dir does not go with several artifacts")
    if not _reads_several(args):
        return execute(context)
    code = 0
    with _one_output(args):
        for number, data in enumerate(_artifacts(args.input), start=1):
            args.input = data
            try:
                code = max(code, execute(context))
            except FuseflowError as error:
                context.console.error(_numbered(error, number))
                code = max(code, error.exit_code)
    return code


def _numbered(error: FuseflowError, number: int) -> FuseflowError:
    """Return the error with the number of the artifact that it is about."""
    findings = [
        replace(finding, where=replace(finding.where, file=f"artifact {number}"))
        for finding in error.findings
    ]
    return type(error).from_findings(findings)


def writes_several(args: argparse.Namespace) -> bool:
    """Return whether a command writes its artifacts with their lengths."""
    return bool(args.delimited) or _is_stream(getattr(args, "output", ""))


def write_delimited(args: argparse.Namespace, artifact: Artifact[Any]) -> None:
    """Write one artifact of several, with all arrays inside it."""
    from fuseflow.wire import delimit, replace_file, write_artifact

    buffer = io.BytesIO()
    write_artifact(artifact, buffer)
    data = delimit(buffer.getvalue())
    if args.output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        replace_file(Path(args.output), [data])


def _reads_several(args: argparse.Namespace) -> bool:
    name = getattr(args, "input", None)
    return name is not None and (bool(args.delimited) or _is_stream(name))


def _is_stream(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(SEVERAL)


def _artifacts(name: str) -> Iterator[bytes]:
    from fuseflow.wire import iterate_delimited

    if name == "-":
        yield from iterate_delimited(sys.stdin.buffer)
        return
    if not Path(name).is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=name))
    with Path(name).open("rb") as file:
        yield from iterate_delimited(file)


@contextlib.contextmanager
def _one_output(args: argparse.Namespace) -> Iterator[None]:
    """Gather what several runs write to a file, which appears complete or not at all."""
    from fuseflow.wire import replace_file

    output = getattr(args, "output", "-")
    if output == "-":
        yield
        return
    gathered = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    args.delimited, args.output = writes_several(args), "-"
    with contextlib.redirect_stdout(gathered):
        yield
    replace_file(Path(output), [gathered.buffer.getvalue()])
