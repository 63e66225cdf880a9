# SPDX-License-Identifier: MIT
"""What a study varies: models, and options of the three commands with the values to try.

An option is looked up in the parser of its command, so that a study has no vocabulary of its own
and a wrong value is refused before anything runs.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuseflow.cli import ff_fuse, ff_import, ff_sim
from fuseflow.cli.parser import Parser
from fuseflow.errors import Location, UsageError

__all__ = ["ABSENT", "PARSERS", "STAGES", "Axis", "Case", "Study", "make_axis", "read_study"]

PARSERS = {
    "import": ff_import.make_parser,
    "fuse": ff_fuse.make_parser,
    "sim": ff_sim.make_parser,
}
STAGES = tuple(PARSERS)
ABSENT = "-"
"""How a command line spells that an option is left out."""

_SWITCH = {"yes": True, "true": True, "no": False, "false": False, ABSENT: False}


@dataclass(frozen=True, slots=True)
class Axis:
    """One option of one command, and the choices to try; a choice is what to put on its line."""

    stage: str
    option: str
    choices: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]

    @property
    def varies(self) -> bool:
        """Return True if there is more than one choice."""
        return len(self.choices) > 1


@dataclass(frozen=True, slots=True)
class Case:
    """One model with one choice on every axis; `labels` has the choices of the axes that vary."""

    model: str
    words: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Models and axes; its cases are all combinations, the last axis varying fastest."""

    models: tuple[str, ...]
    axes: tuple[Axis, ...]

    @property
    def varying(self) -> tuple[Axis, ...]:
        """Return the axes that tell cases apart."""
        return tuple(axis for axis in self.axes if axis.varies)

    def cases(self) -> Iterator[Case]:
        """Yield every combination."""
        numbers = [range(len(axis.choices)) for axis in self.axes]
        for model, picked in itertools.product(self.models, itertools.product(*numbers)):
            words: dict[str, tuple[str, ...]] = dict.fromkeys(STAGES, ())
            labels = []
            for axis, number in zip(self.axes, picked, strict=True):
                words[axis.stage] += axis.choices[number]
                if axis.varies:
                    labels.append(axis.labels[number])
            words["import"] += (model,)
            yield Case(model, words, tuple(labels))


def make_axis(stage: str, option: str, values: Sequence[Any]) -> Axis:
    """Return an axis.

    Args:
        stage: "import", "fuse" or "sim".
        option: the name of an option of that command, without dashes.
        values: texts, numbers or booleans; None leaves the option out, a list repeats it.

    Raises:
        UsageError: U040 if the command has no such option that decides its result, U002 if the
            option does not take one of the values.
    """
    parser = PARSERS[stage]()
    action = _find(parser, stage, option)
    choices = tuple(tuple(_spell(action, option, value)) for value in values)
    for words in choices:
        # A command that only lacks its model or input is complete as far as options go.
        parser.parse_args(words)
    return Axis(stage, option, choices, tuple(_label(value) for value in values))


def read_study(path: Path) -> tuple[list[str], list[Axis]]:
    """Return the models and axes of a study in a YAML file.

    Raises:
        UsageError: U003 if there is no such file, U041 if it is no study; U040, U002 as
            `make_axis`.
    """
    import yaml

    place = Location(file=str(path))
    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=place)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError("U041 no-study", f"this is no YAML: {reason}", where=place) from error
    known = ("models", *STAGES)
    if not isinstance(data, dict) or not set(data) <= set(known):
        extra = [str(key) for key in data if key not in known] if isinstance(data, dict) else []
        message = f'unknown entry "{extra[0]}"' if extra else "this is no mapping"
        fix = f"the entries are {', '.join(known)}"
        raise UsageError("U041 no-study", message, where=place, fix=fix)
    models = _listed(data.get("models") or [])
    axes = []
    for stage in STAGES:
        options = data.get(stage) or {}
        if not isinstance(options, dict):
            message = f'"{stage}" is no mapping from options to values'
            raise UsageError("U041 no-study", message, where=place)
        axes += [make_axis(stage, str(name), _listed(value)) for name, value in options.items()]
    return [str(model) for model in models], axes


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _find(parser: Parser, stage: str, option: str) -> argparse.Action:
    options = {name.removeprefix("--"): action for name, action in parser.deciding_options()}
    if option in options:
        return options[option]
    near = difflib.get_close_matches(option, options, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(options))}"
    message = f'{parser.prog} has no option "{option}" that decides its result'
    raise UsageError("U040 no-axis", message, where=Location(field=stage), fix=fix)


def _spell(action: argparse.Action, option: str, value: Any) -> Iterator[str]:
    if action.nargs == 0:
        on = _SWITCH.get(value.lower()) if isinstance(value, str) else bool(value)
        if on is None:
            message = f'--{option} is on or off, "{value}" is neither'
            raise UsageError("U002 bad-option", message, fix="yes or no")
        if on:
            yield f"--{option}"
        return
    if value is None or value == ABSENT:
        return
    for item in _listed(value):
        yield f"--{option}={item}"


def _label(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, _listed(value)))
