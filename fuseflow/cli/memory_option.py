# SPDX-License-Identifier: MIT
"""`--memory MODEL[,NAME=VALUE..]`: a memory model, and parameters that differ from the defaults."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from fuseflow.errors import UsageError

if TYPE_CHECKING:
    from fuseflow.ir.hardware import MemoryConfig

__all__ = ["with_memory_option"]

WINDOW = "window."
"""Begins the name of the window of a kind of node, or of a tensor."""
SWITCHES = {"true": True, "false": False}


def with_memory_option(memory: MemoryConfig, text: str) -> MemoryConfig:
    """Return a configuration with what the option says.

    `"hbm2,channels=8,map=row:bank:chan:col,refresh=true,window.array=4"` gives parameters of that
    model by the names of the configuration message; `align` and `arena_bytes` go with every model.

    Raises:
        UsageError: U320 for a parameter without a value, U321 for an unknown one, U322 for a value
            of the wrong kind. Whether the model exists is for the simulator to say.
    """
    model, *settings = text.split(",")
    memory = replace(memory, model=model)
    part = model.replace("-", "_")
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not value:
            fix = f"write {model},{name or 'NAME'}=VALUE"
            raise UsageError("U320 no-value", f'memory parameter "{setting}" has no value', fix=fix)
        if name == "align":
            memory = replace(memory, align=_number(name, value))
        elif name == "arena_bytes":
            memory = replace(memory, arena_bytes=_number(name, value))
        else:
            memory = _with_parameter(memory, part, name, value)
    return memory


def _with_parameter(memory: MemoryConfig, part: str, name: str, value: str) -> MemoryConfig:
    """Return the configuration with one parameter of its model changed."""
    from fuseflow.ir.hardware import ClientWindow

    config: Any = getattr(memory, part, None)
    known = [field.name for field in fields(config)] if config is not None else []
    if name.startswith(WINDOW) and "windows" in known:
        window = ClientWindow(name.removeprefix(WINDOW), _number(name, value))
        return replace(memory, **{part: replace(config, windows=(*config.windows, window))})
    known = [word for word in known if word != "windows"]
    if name not in known:
        raise _unknown(memory.model, name, known)
    read = _READERS[type(getattr(config, name))]
    return replace(memory, **{part: replace(config, **{name: read(name, value)})})


def _number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise _bad_value(name, value, "a whole number")
    return int(value)


def _switch(name: str, value: str) -> bool:
    if value not in SWITCHES:
        raise _bad_value(name, value, "true or false")
    return SWITCHES[value]


def _word(name: str, value: str) -> str:
    return value


_READERS = {int: _number, bool: _switch, str: _word}


def _unknown(model: str, name: str, known: Iterable[str]) -> UsageError:
    names = [*known, "align", "arena_bytes"]
    near = difflib.get_close_matches(name, names, n=1)
    fix = f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(names)}"
    message = f'unknown parameter "{name}" of memory model "{model}"'
    return UsageError("U321 unknown-parameter", message, fix=fix)


def _bad_value(name: str, value: str, wanted: str) -> UsageError:
    message = f'memory parameter {name} is "{value}", which is not {wanted}'
    return UsageError("U322 bad-value", message)
