# SPDX-License-Identifier: MIT
"""Where every command starts: it is loaded only here, so that Ctrl-C is answered from then on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

__all__ = [
    "COMMANDS",
    "ff_convert",
    "ff_fuse",
    "ff_import",
    "ff_show",
    "ff_sim",
    "ff_sweep",
    "main",
    "start",
]

INTERRUPTED = 130
USAGE = 2


def start(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command, by the name of its module, and return its exit code."""
    try:
        code: int = import_module(f"fuseflow.cli.{name}").main(arguments)
    except KeyboardInterrupt:
        print(f"{name.replace('_', '-')}: error: interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


ff_import: Callable[[], int] = partial(start, "ff_import")
ff_fuse: Callable[[], int] = partial(start, "ff_fuse")
ff_sim: Callable[[], int] = partial(start, "ff_sim")
ff_show: Callable[[], int] = partial(start, "ff_show")
ff_convert: Callable[[], int] = partial(start, "ff_convert")
ff_sweep: Callable[[], int] = partial(start, "ff_sweep")

COMMANDS = ("ff-import", "ff-fuse", "ff-sim", "ff-show", "ff-convert", "ff-sweep")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names: `python -m fuseflow ff-sim program.pb`."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    name, *rest = words or [""]
    if name in COMMANDS:
        return start(name.replace("-", "_"), rest)
    usage = f"usage: python -m fuseflow COMMAND ..., where COMMAND is one of {', '.join(COMMANDS)}"
    print(usage, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
    return 0 if name in ("-h", "--help") else USAGE
