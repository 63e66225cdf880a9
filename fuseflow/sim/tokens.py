# SPDX-License-Identifier: MIT
"""Tokens of a stream: arrays that both simulators record, and the text form of tests and reports.

A stream is a nested list written as tokens (docs/streams.md, section 1). Here it is a record of
parallel arrays; how a simulator keeps tokens while it runs is its own matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "CTL_DONE",
    "CTL_MISSING",
    "CTL_STOP",
    "CTL_VALUE",
    "DONE",
    "MAX_LEVEL",
    "MISSING",
    "Mark",
    "Stop",
    "Token",
    "TokenStream",
    "ctl_of_stop",
    "format_token",
    "parse_token",
    "stop_of_ctl",
]

CTL_VALUE = 0
CTL_MISSING = 1
CTL_DONE = 2
CTL_STOP = 0x80
MAX_LEVEL = 7
"""Highest stop level that fits the control byte `CTL_STOP | e << 3 | n`."""


class Stop(NamedTuple):
    """Closes the lists of levels 0..n.

    e is 0 after a value; otherwise it names the level of the empty list that is opened and closed
    here.
    """

    n: int
    e: int = 0


class Mark:
    """A token that carries nothing but its kind; compared by identity."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


MISSING = Mark("N")
DONE = Mark("D")

Token = Any
"""int (coordinate, reference), np.float32 (number), f32 array (tile), Stop, MISSING or DONE."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenStream:
    """All tokens of one channel, in order, the final done token included.

    `ctl` u8[n]: CTL_VALUE, CTL_MISSING, CTL_DONE, or a stop (`ctl_of_stop`). `data`: i64[n] for
    coordinates, references and signals, f32[n] for numbers, f32[n, rows, cols] for tiles; 0 where
    the token is no value. `stamps` i64[n]: the cycle in which each token can be read.
    """

    ctl: npt.NDArray[np.uint8]
    data: npt.NDArray[Any]
    stamps: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ctl)

    def tokens(self) -> list[Token]:
        """Return the tokens as objects."""
        return [_token(int(ctl), self.data[i]) for i, ctl in enumerate(self.ctl)]

    def text(self) -> list[str]:
        """Return the tokens in their text form."""
        return [format_token(token) for token in self.tokens()]

    @classmethod
    def of(
        cls,
        tokens: Sequence[Token],
        stamps: Iterable[int],
        *,
        number: bool,
        tile: tuple[int, ...] = (),
    ) -> TokenStream:
        """Pack token objects; `number` selects f32 data of shape `tile` instead of i64."""
        shape = (len(tokens), *tile)
        data = np.zeros(shape, np.float32) if number else np.zeros(shape, np.int64)
        ctl = np.zeros(len(tokens), np.uint8)
        for i, token in enumerate(tokens):
            ctl[i] = _ctl(token)
            if ctl[i] == CTL_VALUE:
                data[i] = token
        return cls(ctl, data, np.fromiter(stamps, np.int64, len(tokens)))


def ctl_of_stop(n: int, e: int = 0) -> int:
    """Return the control byte of a stop."""
    return CTL_STOP | e << 3 | n


def stop_of_ctl(ctl: int) -> Stop:
    """Return the stop that a control byte stands for."""
    return Stop(ctl & 7, ctl >> 3 & 7)


def _ctl(token: Token) -> int:
    if isinstance(token, Stop):
        return ctl_of_stop(token.n, token.e)
    if token is MISSING:
        return CTL_MISSING
    return CTL_DONE if token is DONE else CTL_VALUE


def _token(ctl: int, data: Any) -> Token:
    if ctl == CTL_VALUE:
        return int(data) if isinstance(data, np.integer) else data
    if ctl == CTL_MISSING:
        return MISSING
    return DONE if ctl == CTL_DONE else stop_of_ctl(ctl)


def format_token(token: Token) -> str:
    """Write a token: `7`, `2.5`, `-inf`, `[[1,2],[3,4]]`, `N`, `D`, `S1`, `S1e1`."""
    if isinstance(token, Stop):
        return f"S{token.n}e{token.e}" if token.e else f"S{token.n}"
    if isinstance(token, Mark):
        return token.text
    if isinstance(token, np.ndarray):
        return "[" + ",".join(format_token(part) for part in token) + "]"
    if isinstance(token, int):
        return str(token)
    short = f"{float(token):g}"
    return short if token != token or np.float32(short) == token else str(np.float32(token))


def parse_token(text: str, *, number: bool) -> Token:
    """Read a token; `number` reads values as float32, else as integers (`R` of a signal is 1).

    Raises:
        ValueError: if the text is no token.
    """
    if text in ("N", "D"):
        return MISSING if text == "N" else DONE
    if text.startswith("S"):
        n, _, e = text[1:].partition("e")
        return Stop(int(n), int(e or 0))
    if text.startswith("["):
        names = text.replace("inf", "Infinity").replace("nan", "NaN")
        return np.array(json.loads(names), dtype=np.float32)
    if text == "R":
        return 1
    return np.float32(text) if number else int(text)
