# SPDX-License-Identifier: MIT
"""What the commands say, on standard error: errors, notes, and how much of them."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from typing import TextIO

from fuseflow.errors import Finding, FuseflowError

__all__ = ["Console", "use_colour"]

_SHOWN_FINDINGS = 20
_RED, _PLAIN = "\x1b[1;31m", "\x1b[0m"


def use_colour(stream: TextIO) -> bool:
    """Return whether a stream is a terminal on which NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


@dataclass(frozen=True, slots=True)
class Console:
    """Messages of one command; `quiet` drops notes, `verbose` adds details and tracebacks."""

    command: str
    quiet: bool = False
    verbose: bool = False

    def note(self, message: str) -> None:
        """Say something that the user should know."""
        if not self.quiet:
            self._print(f"note: {message}")

    def detail(self, message: str) -> None:
        """Say something that the user asked to know with -v."""
        if self.verbose:
            self._print(message)

    def error(self, error: FuseflowError) -> None:
        """Show every finding of an error, with its fix below it."""
        shown = error.findings if self.verbose else error.findings[:_SHOWN_FINDINGS]
        for finding in shown:
            self._error(_describe(finding))
            if finding.fix:
                self._print(f"  fix: {finding.fix}", named=False)
        hidden = len(error.findings) - len(shown)
        if hidden:
            self._error(f"{hidden} more findings (shown with -v)")

    def failure(self, message: str) -> None:
        """Show an error that is no finding."""
        self._error(message)

    def bug(self, error: BaseException) -> None:
        """Show an exception that should not have reached the user."""
        reason = str(error).split("\n")[0]
        hint = "" if self.verbose else "; run again with -v for the traceback"
        self._print(f"internal error: {type(error).__name__}: {reason} (this is a bug{hint})")
        if self.verbose:
            traceback.print_exception(error)

    def _error(self, message: str) -> None:
        label = f"{_RED}error:{_PLAIN}" if use_colour(sys.stderr) else "error:"
        self._print(f"{label} {message}")

    def _print(self, message: str, *, named: bool = True) -> None:
        print(f"{self.command}: {message}" if named else message, file=sys.stderr)


def _describe(finding: Finding) -> str:
    place = str(finding.where)
    parts = [finding.rule, place, finding.message] if place else [finding.rule, finding.message]
    return ": ".join(parts)
