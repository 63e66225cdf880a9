"""Random values depend on seed and name only, and keep their promised form."""

import numpy as np
import pytest

from fuseflow.models.draws import CounterStream, draw_eighths, draw_kept


def test_stream_bits_never_change() -> None:
    assert CounterStream(1, "weight").integers(3).tolist() == [
        1777019099198030176,
        7408155617238854042,
        15161695386135671999,
    ]


def test_streams_of_other_seeds_and_names_differ() -> None:
    drawn = [
        CounterStream(seed, name).integers(4).tolist()
        for seed, name in [(0, "a"), (1, "a"), (0, "b")]
    ]
    assert len({tuple(values) for values in drawn}) == 3


@pytest.mark.parametrize("bound", [1, 3, 16, 2**32])
def test_below_stays_below_its_bound_and_reaches_both_halves(bound: int) -> None:
    drawn = CounterStream(0, "below").below(bound, 200)
    assert drawn.min() >= 0
    assert drawn.max() < bound
    assert bound == 1 or (drawn < bound / 2).any()
    assert bound == 1 or (drawn >= bound / 2).any()


def test_order_is_a_permutation() -> None:
    order = CounterStream(0, "order").order(50)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() != list(range(50))


def test_eighths_take_every_allowed_value_and_no_other() -> None:
    values = draw_eighths(CounterStream(0, "eighths"), (40, 25))
    assert values.dtype == np.float32
    assert values.shape == (40, 25)
    assert sorted(set((values * 8).ravel().tolist())) == [*range(-8, 0), *range(1, 9)]


@pytest.mark.parametrize(("density", "kept"), [(1.0, 120), (0.4, 48), (0.001, 0), (0.5, 60)])
def test_kept_entries_have_exactly_the_asked_density(density: float, kept: int) -> None:
    assert draw_kept(CounterStream(0, "kept"), (10, 12), density).sum() == kept
