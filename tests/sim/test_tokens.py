"""Tokens survive packing and their text form."""

import numpy as np
import pytest

from fuseflow.sim.tokens import (
    CTL_STOP,
    DONE,
    MAX_LEVEL,
    MISSING,
    Stop,
    TokenStream,
    ctl_of_stop,
    format_token,
    parse_token,
    stop_of_ctl,
)


@pytest.mark.parametrize("text", ["7", "N", "D", "S0", "S3", "S3e1", "4294967297"])
def test_integer_token_survives_its_text(text: str) -> None:
    assert format_token(parse_token(text, number=False)) == text


@pytest.mark.parametrize("text", ["2.5", "-inf", "nan", "0.1", "-7", "[[1,2],[3,-inf]]"])
def test_number_token_survives_its_text(text: str) -> None:
    token = parse_token(text, number=True)
    np.testing.assert_array_equal(parse_token(format_token(token), number=True), token)


def test_numbers_are_written_short_only_if_that_is_exact() -> None:
    assert format_token(np.float32(2.5)) == "2.5"
    assert np.float32(format_token(np.float32(1) / np.float32(3))) == np.float32(1) / np.float32(3)


def test_every_stop_fits_the_control_byte() -> None:
    stops = [Stop(n, e) for n in range(MAX_LEVEL + 1) for e in range(n + 1)]
    codes = [ctl_of_stop(*stop) for stop in stops]
    assert all(CTL_STOP <= code < 256 for code in codes)
    assert [stop_of_ctl(code) for code in codes] == stops


def test_a_stream_keeps_tokens_and_stamps() -> None:
    tokens = [3, MISSING, 1 << 40, Stop(0), Stop(1, 1), DONE]
    stream = TokenStream.of(tokens, range(6), number=False)
    assert stream.tokens() == tokens
    assert stream.text() == ["3", "N", str(1 << 40), "S0", "S1e1", "D"]
    assert stream.stamps.tolist() == list(range(6))


def test_a_stream_of_tiles_keeps_their_shape() -> None:
    tile = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    stream = TokenStream.of([tile, Stop(0), DONE], range(3), number=True, tile=(2, 3))
    np.testing.assert_array_equal(stream.tokens()[0], tile)


@pytest.mark.parametrize("text", ["", "S", "x", "1.5", "Se1"])
def test_a_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_token(text, number=False)
