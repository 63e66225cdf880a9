"""The code between nested lists and tokens is a bijection with exactly the grammar's words."""

from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import GraphError
from fuseflow.sim.faults import MALFORMED
from fuseflow.sim.nested import decode, encode
from fuseflow.sim.tokens import DONE, MISSING, Stop, Token
from tests.sim.cases import maybe, nested

rngs = st.integers(0, 2**32).map(Random)


def every_list(depth: int, width: int) -> list[Any]:
    """All lists of this depth with at most `width` children per list, over one symbol."""
    if depth == 0:
        return [7]
    below = every_list(depth - 1, width)
    return [list(row) for n in range(width + 1) for row in product(below, repeat=n)]


def is_well_formed(tokens: list[Token], depth: int) -> bool:
    try:
        decode(tokens, depth)
    except GraphError as error:
        if error.rule != MALFORMED:
            raise
        return False
    return True


@given(rng=rngs)
def test_decoding_undoes_encoding(rng: Random) -> None:
    depth = rng.randint(0, 4)
    value = nested(rng, depth, lambda: maybe(rng, rng.randrange(9)))
    tokens = encode(value, depth)
    assert decode(tokens, depth) == value
    assert encode(decode(tokens, depth), depth) == tokens


def test_different_lists_have_different_tokens() -> None:
    lists = every_list(3, 2)
    assert len(lists) == 183
    assert len({tuple(encode(x, 3)) for x in lists}) == 183
    erased = {tuple(Stop(t.n) if isinstance(t, Stop) else t for t in encode(x, 3)) for x in lists}
    assert len(erased) == 156


def test_every_accepted_string_is_canonical() -> None:
    alphabet = [7, *(Stop(n, e) for n in range(3) for e in range(n + 1))]
    accepted = 0
    for length in range(1, 7):
        for body in product(alphabet, repeat=length):
            tokens = [*body, DONE]
            if is_well_formed(tokens, 3):
                accepted += 1
                assert encode(decode(tokens, 3), 3) == tokens
    assert accepted == 1121


@given(rng=rngs)
def test_a_stream_cut_short_or_continued_is_refused(rng: Random) -> None:
    depth = rng.randint(0, 4)
    tokens = encode(nested(rng, depth, lambda: 1), depth)
    for end in range(len(tokens)):
        assert not is_well_formed(tokens[:end], depth)
    for extra in (1, MISSING, Stop(0), DONE):
        assert not is_well_formed([*tokens, extra], depth)


@pytest.mark.parametrize(
    ("tokens", "depth"),
    [
        ([1, Stop(0, 1), DONE], 1),  # a mark above its own level
        ([1, Stop(1, 1), DONE], 2),  # a mark behind a value
        ([1, Stop(0), Stop(2, 2), DONE], 3),  # an empty list above what was just closed
        ([1, Stop(2), DONE], 2),  # a stop above the root
        ([1, Stop(0), DONE], 2),  # an end inside the root
        ([Stop(0), DONE], 0),  # a stop in a stream without lists
        ([1, 2, DONE], 0),
    ],
)
def test_a_token_at_the_wrong_place_is_refused(tokens: list[Token], depth: int) -> None:
    assert not is_well_formed(tokens, depth)
