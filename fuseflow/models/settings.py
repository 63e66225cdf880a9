# SPDX-License-Identifier: MIT
"""Typed settings read from the text of a command line: ``key=value`` becomes a checked value.

The fields of a frozen dataclass, or the signature of a factory, say which keys exist. Not here:
which settings a model has (`options`).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fuseflow.errors import Location, UsageError

__all__ = [
    "Domain",
    "Parameter",
    "nearest",
    "parameter_type",
    "parameters_of",
    "read_settings",
    "read_values",
    "setting",
]

T = TypeVar("T")

_TYPE_WORDS: dict[type, str] = {int: "an integer", float: "a number", bool: "true or false"}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that a setting accepts, as a test and in words."""

    expected: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting as help texts show it; `default` is text, empty if the setting is required."""

    name: str
    type: type
    default: str
    description: str
    domain: Domain | None = None

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        return self.domain.expected if self.domain else _TYPE_WORDS.get(self.type, "text")


def setting(default: Any, description: str, domain: Domain | None = None, shown: str = "") -> Any:
    """Declare a field of a settings dataclass; `shown` replaces the default in help texts."""
    metadata = {"description": description, "domain": domain, "shown": shown or str(default)}
    return dataclasses.field(default=default, metadata=metadata)


def parameters_of(settings_type: type) -> tuple[Parameter, ...]:
    """Return the parameters of a settings dataclass, in the order of its fields."""
    hints = typing.get_type_hints(settings_type)
    return tuple(
        Parameter(
            name=field.name,
            type=parameter_type(hints[field.name]),
            default=field.metadata["shown"],
            description=field.metadata["description"],
            domain=field.metadata["domain"],
        )
        for field in dataclasses.fields(settings_type)
    )


def read_settings(settings_type: type[T], texts: Mapping[str, str], owner: str) -> T:
    """Build `settings_type` from `texts`; keys that are left out keep their defaults.

    Raises UsageError for an unknown key or a value that does not fit; `owner` is named in it.
    """
    return settings_type(**read_values(parameters_of(settings_type), texts, owner))


def read_values(
    parameters: Sequence[Parameter], texts: Mapping[str, str], owner: str
) -> dict[str, Any]:
    """Convert every text of `texts` to the type of the parameter of that name.

    Raises UsageError for an unknown key or a value that does not fit; `owner` is named in it.
    """
    known = {parameter.name: parameter for parameter in parameters}
    unknown = [key for key in texts if key not in known]
    if unknown:
        raise UsageError(
            "U102 unknown-setting",
            f'{owner} has no setting "{unknown[0]}"',
            fix=nearest(unknown[0], known),
        )
    return {key: _convert(known[key], text, owner) for key, text in texts.items()}


def nearest(word: str, known: Mapping[str, object]) -> str:
    """Return a sentence that proposes the key of `known` most like `word`, or lists them all."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"choose one of {', '.join(known)}" if known else "it takes no settings"


def parameter_type(hint: Any) -> type:
    """Return the type that a text converts to under an annotation.

    ``int | None`` is read as an int; whatever is not int, float or bool is left as text.
    """
    choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
    plain = choices[0] if len(choices) == 1 else hint
    return plain if plain in _TYPE_WORDS else str


def _convert(parameter: Parameter, text: str, owner: str) -> Any:
    try:
        value = _parse(parameter.type, text)
    except (KeyError, ValueError):
        value = None
    if value is None or (parameter.domain and not parameter.domain.accepts(value)):
        raise UsageError(
            "U103 bad-setting",
            f'{owner}: {parameter.name}="{text}" must be {parameter.expected}',
            where=Location(field=parameter.name),
        )
    return value


def _parse(kind: type, text: str) -> Any:
    if kind is bool:
        return _TRUTH[text.lower()]
    value = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(text)
    return value
