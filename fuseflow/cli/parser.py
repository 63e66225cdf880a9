# SPDX-License-Identifier: MIT
"""The command-line parser of all commands: errors of one line, and a canonical command.

Long options cannot be abbreviated, so that a script does not break when an option is added.
"""

from __future__ import annotations

import argparse
import difflib
import math
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import fuseflow
from fuseflow.errors import UsageError

__all__ = ["SEVERAL", "Parser", "at_least_one", "mebibytes"]

SEVERAL = ".pbs"
"""How the name of a file ends that holds several artifacts."""

EPILOG = """exit codes: 0 done; 1 the model, graph or result is wrong; 2 the command is wrong;
3 deadlock or limit of the simulation; 70 a bug"""


def at_least_one(text: str) -> int:
    """Read a whole number; ValueError if it is less than 1."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def mebibytes(text: str) -> int:
    """Read a number of MiB as a number of bytes; ValueError if it is negative or infinite."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError(text)
    return round(number * 2**20)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError` and knows which options decide the result."""

    def __init__(self, name: str, description: str, *, artifacts: bool = True) -> None:
        """Build a parser with the options that every command has; `name` is the command.

        `artifacts` says that the command reads or writes artifacts one by one.
        """
        super().__init__(
            prog=name,
            description=description,
            epilog=EPILOG,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._incidental = {"help"}
        self._listings: set[str] = set()
        version = f"%(prog)s {fuseflow.__version__}"
        loud = self.add_mutually_exclusive_group()
        self._add_to(loud, "-q", "--quiet", action="store_true", help="print errors only")
        self._add_to(
            loud,
            "-v",
            "--verbose",
            action="store_true",
            help="print details, and the traceback of a bug",
        )
        self.add_incidental("--version", action="version", version=version)
        if not artifacts:
            self.set_defaults(delimited=False)
            return
        self.add_incidental(
            "--delimited",
            action="store_true",
            help="read and write several artifacts, each with its length in front; files that end "
            f"in {SEVERAL} hold such",
        )

    def add_incidental(self, *names: str, **options: Any) -> None:
        """Add an argument that does not decide the result; see `canonical`."""
        self._add_to(self, *names, **options)

    def add_listing(self, *names: str, **options: Any) -> None:
        """Add an option that prints text in place of an artifact; see `prints_text`."""
        action: argparse.Action = self.add_argument(*names, **options)
        self._incidental.add(action.dest)
        self._listings.add(action.dest)

    def prints_text(self, args: argparse.Namespace) -> bool:
        """Return True if the command prints text in place of its artifact."""
        return any(getattr(args, name, None) for name in self._listings)

    def add_input(self, what: str) -> None:
        """Add the positional argument for an artifact that is read."""
        self.add_incidental(
            "input",
            nargs="?",
            default="-",
            metavar="FILE",
            help=f"{what}; - is standard input, the default",
        )

    def add_output(self, what: str, *, data: bool = True, dest: str = "output") -> Any:
        """Add the options for what is written, and return the group of its views.

        `data` says that it is an artifact, which may hold large arrays. `dest` is another name than
        "output" for a command that writes folders too, and checks its output itself.
        """
        self.add_incidental(
            "-o",
            "--output",
            dest=dest,
            default="-",
            metavar="FILE",
            help=f"where to write {what}; - is standard output, the default",
        )
        views = self._add_views()
        if not data:
            return views
        self.add_incidental(
            "--data-dir",
            metavar="DIR",
            help="write large arrays to files in DIR, below the folder of FILE or, on a pipe, "
            "below the working folder; default: FILE.data, or inside the message on a pipe",
        )
        self.add_incidental(
            "--data-limit",
            type=mebibytes,
            default=mebibytes("64"),
            metavar="MIB",
            help="what counts as a large array (default 64)",
        )
        return views

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse a command.

        Raises:
            UsageError: U001 for an unknown option, with the nearest known one; U002 for a value
                that an option does not take.
        """
        parsed, extra = self.parse_known_args(args, namespace)
        for argument in extra:
            if argument.startswith("-"):
                raise self._unknown_option(argument.partition("=")[0])
            raise UsageError(
                "U002 bad-option", f'unexpected argument "{argument}"', fix=self._usage_line()
            )
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise UsageError("U002 bad-option", message, fix=self._usage_line())

    def deciding_options(self) -> Iterator[tuple[str, argparse.Action]]:
        """Yield the long options that decide the result, by name."""
        for action in self._actions:
            if action.option_strings and action.dest not in self._incidental:
                yield action.option_strings[-1], action

    def canonical(self, args: argparse.Namespace) -> str:
        """Return the command with the options that decide its result, in a fixed order.

        Options at their defaults, and where input and output are, make no difference to the
        result, so they are left out: equal results come from equal commands.
        """
        words = [word for action in self._actions for word in self._spelled(action, args)]
        return shlex.join([self.prog, *words])

    def _spelled(self, action: argparse.Action, args: argparse.Namespace) -> Iterator[str]:
        value = getattr(args, action.dest, None)
        if action.dest in self._incidental or value == action.default:
            return
        if action.const is not None and value != action.const:
            return  # another option of the same destination
        option = action.option_strings[-1] if action.option_strings else None
        if isinstance(value, bool):
            yield str(option)
            return
        for item in value if isinstance(value, list) else [value]:
            yield from [option, str(item)] if option else [str(item)]

    def _add_to(self, group: Any, *names: str, **options: Any) -> None:
        action: argparse.Action = group.add_argument(*names, **options)
        self._incidental.add(action.dest)

    def _add_views(self) -> Any:
        group = self.add_mutually_exclusive_group()
        for form, title in (("text", "protobuf text format"), ("json", "JSON")):
            self._add_to(
                group,
                f"--{form}",
                dest="view",
                action="store_const",
                const=form,
                help=f"write {title} instead of bytes",
            )
        return group

    def _unknown_option(self, option: str) -> UsageError:
        known = [name for action in self._actions for name in action.option_strings]
        near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else self._usage_line()
        return UsageError("U001 unknown-option", f"unknown option {option}", fix=fix)

    def _usage_line(self) -> str:
        return f"see {self.prog} --help"
