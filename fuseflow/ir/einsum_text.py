# SPDX-License-Identifier: MIT
"""The text form of einsums and formats: what `str` of an `Einsum` or a `Format` prints, read back.

    T[i,j] = add[k] mul(A[i,k], B[k,j])         a contraction
    Z[i,j] = leaky_relu(T[i,j], 0.1)            parameters follow the operands
    y[] = max[i,j] copy(T[i,j])                 a scalar has empty brackets
    dense,compressed@1,0                        a format: levels, then the mode order

Only syntax is checked here (rule E101); whether names exist and extents fit is the matter of
`fuseflow.ir.verify_einsum`.
"""

from __future__ import annotations

import re

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Access, Einsum
from fuseflow.ir.tensor import Format, LevelFormat

__all__ = ["parse_access", "parse_einsum", "parse_format"]

_NAME = r"[^\s\[\](),=]+"
_ACCESS = re.compile(rf"\s*({_NAME})\s*\[([^\[\]]*)\]\s*")
_STATEMENT = re.compile(
    rf"(?P<output>\s*{_NAME}\s*\[[^\[\]]*\]\s*)="
    rf"\s*(?:(?P<reduce>{_NAME})\s*\[(?P<over>[^\[\]]*)\]\s*)?"
    rf"(?P<fn>{_NAME})\s*\((?P<arguments>.*)\)\s*",
    re.DOTALL,
)
_ARGUMENT = re.compile(rf"\s*(?:{_NAME}\s*\[[^\[\]]*\]|{_NAME})\s*(?:,|$)")


def parse_einsum(text: str, name: str = "") -> Einsum:
    """Read one einsum, `str(einsum)` backwards.

    Args:
        text: for example "T[i,j] = add[k] mul(A[i,k], B[k,j])".
        name: name of the einsum; the name of its output value by default.

    Raises:
        GraphError: E101 if the text has another shape.
    """
    match = _STATEMENT.fullmatch(text)
    if match is None:
        raise _syntax_error(
            text, "an einsum", "OUT[i,..] = REDUCTION[k,..] FUNCTION(IN[i,k,..], ..)"
        )
    output = parse_access(match["output"])
    operands, parameters = _parse_arguments(match["arguments"])
    return Einsum(
        name=name or output.value,
        output=output,
        fn=match["fn"],
        operands=operands,
        reduce=match["reduce"],
        over=_parse_names(match["over"] or ""),
        parameters=parameters,
    )


def parse_access(text: str) -> Access:
    """Read one access such as "A[i,k]"; GraphError E101 if it is none."""
    match = _ACCESS.fullmatch(text)
    if match is None:
        raise _syntax_error(text, "an access", "VALUE[i,j,..]")
    return Access(match[1], _parse_names(match[2]))


def parse_format(text: str) -> Format:
    """Read a format such as "dense,compressed@1,0/16x16"; "" is the format of a scalar.

    Raises:
        GraphError: E101 for an unknown level format, or a mode order that does not fit.
    """
    layout, _, tile = text.strip().partition("/")
    names, _, modes = layout.partition("@")
    try:
        levels = tuple(map(LevelFormat, _parse_names(names)))
        order = tuple(map(int, _parse_names(modes))) if modes else tuple(range(len(levels)))
        sizes = tuple(map(int, tile.split("x"))) if tile else ()
        return Format(levels, order, sizes)
    except ValueError as error:
        fix = f"LEVEL,LEVEL,..@MODE,MODE,.. with the levels {', '.join(LevelFormat)}"
        raise _syntax_error(text, f"a format ({error})", fix) from error


def _parse_arguments(text: str) -> tuple[tuple[Access, ...], tuple[float, ...]]:
    """Read accesses, then numbers, separated by commas outside brackets."""
    operands: list[Access] = []
    parameters: list[float] = []
    start = 0
    while start < len(text):
        match = _ARGUMENT.match(text, start)
        argument = match[0].strip().removesuffix(",") if match else text[start:]
        if "[" in argument and not parameters:
            operands.append(parse_access(argument))
        else:
            parameters.append(_parse_number(argument))
        start = match.end() if match else len(text)
    return tuple(operands), tuple(parameters)


def _parse_names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list; blank text is the empty list."""
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _syntax_error(text, "an argument", "accesses, then numbers") from error


def _syntax_error(text: str, what: str, expected: str) -> GraphError:
    return GraphError("E101", f"cannot read {text.strip()!r} as {what}", fix=f"write {expected}")
