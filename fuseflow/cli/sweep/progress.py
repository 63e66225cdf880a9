# SPDX-License-Identifier: MIT
"""How far a study is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from fuseflow.cli.console import Console

if TYPE_CHECKING:
    import rich.progress

    from fuseflow.cli.sweep.execute import Outcome

__all__ = ["Progress"]

TELL_SECONDS = 5.0


class Progress:
    """Counts the commands of a study as they end; those that fail are told of at once."""

    def __init__(self, console: Console, commands: int) -> None:
        self._console = console
        self._commands = commands
        self._done = self._reused = 0
        self._told = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def __enter__(self) -> Progress:
        """Draw the bar."""
        if sys.stderr.isatty() and not self._console.quiet:
            import rich.console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=rich.console.Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._console.command, total=self._commands)
            self._bar.start()
        return self

    def __call__(self, outcome: Outcome) -> None:
        """Count a command."""
        self._done += 1
        self._reused += outcome.reused
        if outcome.error and not outcome.inherited:
            self._console.note(f"{outcome.step.pipe}: {outcome.error}")
        elif not outcome.reused:
            self._console.detail(outcome.step.pipe)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)
        elif time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self._console.note(f"{self._done} of {self._commands} commands")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar, and say how much was there already."""
        if self._bar is not None:
            self._bar.stop()
        if self._reused:
            self._console.note(f"{self._reused} of {self._commands} results were there already")
