# SPDX-License-Identifier: MIT
"""What every command does around its stage: run, read an artifact, write an artifact.

Results go to standard output or to a file, messages to standard error. A command that fails writes
no output. `run` turns every outcome into an exit code; it is the only place that does.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import fuseflow
from fuseflow.cli.console import Console
from fuseflow.cli.parser import Parser
from fuseflow.cli.several import execute_all, write_delimited, writes_several
from fuseflow.errors import FuseflowError, Location, UsageError

if TYPE_CHECKING:
    from fuseflow.wire import Artifact, DataFolder, Root

__all__ = ["Context", "check_output", "load", "open_input", "produce", "run", "store", "write_text"]

BUG = 70
INTERRUPTED = 130
OUT_OF_MEMORY = 3

AnyRoot = TypeVar("AnyRoot", bound="Root")


@dataclass(frozen=True, slots=True)
class Context:
    """One run of a command: its parser, its arguments and its console."""

    parser: Parser
    args: argparse.Namespace
    console: Console


def run(
    parser: Parser, execute: Callable[[Context], int], arguments: Sequence[str] | None = None
) -> int:
    """Parse a command, execute it, and return its exit code; nothing is raised but SystemExit.

    SystemExit comes from `--help` and `--version` alone.
    """
    console = Console(parser.prog)
    try:
        args = parser.parse_args(arguments)
        console = Console(parser.prog, quiet=args.quiet, verbose=args.verbose)
        if hasattr(args, "output"):
            check_output(args, is_text=parser.prints_text(args))
        return execute_all(Context(parser, args, console), execute)
    except FuseflowError as error:
        console.error(error)
        return error.exit_code
    except BrokenPipeError:
        _leave_closed_pipe()
        return 0
    except OSError as error:
        console.error(_file_error(error))
        return UsageError.exit_code
    except KeyboardInterrupt:
        console.failure("interrupted")
        return INTERRUPTED
    except MemoryError:
        console.failure("out of memory")
        return OUT_OF_MEMORY
    except Exception as error:
        console.bug(error)
        return BUG


def load(context: Context, kind: type[AnyRoot]) -> Artifact[AnyRoot]:
    """Read the artifact of a command and pass on what the reader has to remark."""
    from fuseflow.wire import read_artifact

    artifact = read_artifact(open_input(context.args.input), kind)
    for remark in artifact.remarks:
        context.console.note(remark)
    return artifact


def open_input(name: str | bytes) -> Path | BinaryIO | bytes:
    """Return standard input for "-", else the path; one artifact of several as it is.

    Raises:
        UsageError: U003 if there is no such file, U004 if standard input is a terminal.
    """
    if isinstance(name, bytes):
        return name
    if name != "-":
        path = Path(name)
        if not path.exists():
            raise UsageError("U003 no-file", "there is no such file", where=Location(file=name))
        if path.is_dir():
            raise UsageError(
                "U003 no-file", "this is a folder, not a file", where=Location(file=name)
            )
        return path
    if sys.stdin.isatty():
        fix = "name a FILE, or pipe the output of the previous stage into this one"
        raise UsageError("U004 no-input", "there is no input", fix=fix)
    return sys.stdin.buffer


def produce(context: Context, root: AnyRoot, source: Artifact[Any] | None = None) -> None:
    """Write what a command made; `source` is what it made it from.

    Raises:
        WireError: W009 if it does not fit into a message.
        OSError: if the output cannot be written.
    """
    from fuseflow.wire import Artifact, Provenance, StageRecord

    stage = StageRecord(
        f"{context.parser.prog} {fuseflow.__version__}", context.parser.canonical(context.args)
    )
    provenance = source.provenance.then(stage) if source is not None else Provenance(stage)
    store(context, Artifact(root, provenance))


def store(context: Context, artifact: Artifact[Any]) -> None:
    """Write an artifact, or a view of it, to where the command says."""
    from fuseflow.wire import view_artifact, write_artifact

    args = context.args
    if args.view:
        write_text(args.output, view_artifact(artifact, args.view))
        return
    if writes_several(args):
        write_delimited(args, artifact)
        return
    target = sys.stdout.buffer if args.output == "-" else Path(args.output)
    write_artifact(artifact, target, limit=args.data_limit, folder=_data_folder(args))
    sys.stdout.flush()


def write_text(output: str, text: str) -> None:
    """Write text to a file, complete or not at all, or to standard output for "-"."""
    from fuseflow.wire import replace_file

    if output != "-":
        replace_file(Path(output), [text.encode()])
        return
    sys.stdout.write(text)
    sys.stdout.flush()


def check_output(args: argparse.Namespace, *, is_text: bool = False) -> None:
    """Refuse an output that cannot work before any work is done.

    Raises:
        UsageError: U005 if there is no folder for it, U006 if bytes would go to a terminal.
    """
    output = args.output
    if output != "-":
        folder = Path(output).resolve().parent
        if not folder.is_dir():
            raise UsageError(
                "U005 no-folder", f"there is no folder {folder}", where=Location(file=output)
            )
        if Path(output).is_dir():
            raise UsageError(
                "U005 no-folder", "this is a folder, not a file", where=Location(file=output)
            )
    elif hasattr(args, "data_dir") and not (args.view or is_text) and sys.stdout.isatty():
        fix = "-o FILE, --text, --json, or pipe it into the next stage"
        raise UsageError(
            "U006 binary-to-terminal", "will not write binary data to a terminal", fix=fix
        )


def _data_folder(args: argparse.Namespace) -> DataFolder | None:
    from fuseflow.wire import DataFolder

    if args.data_dir is None:
        return None
    base = Path() if args.output == "-" else Path(args.output).parent
    folder = Path(args.data_dir).resolve()
    if not folder.is_relative_to(base.resolve()) or folder == base.resolve():
        where = "the working folder" if args.output == "-" else f"the folder of {args.output}"
        raise UsageError("U007 data-dir", f"--data-dir {args.data_dir} is not below {where}")
    return DataFolder(base, folder.relative_to(base.resolve()).as_posix())


def _file_error(error: OSError) -> UsageError:
    code = errno.errorcode.get(error.errno or 0, "")
    reason = error.strerror or str(error) or code
    place = Location(file=str(error.filename)) if error.filename else None
    return UsageError("U008 file-error", reason, where=place)


def _leave_closed_pipe() -> None:
    """Let the interpreter flush standard output on exit without a complaint."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
