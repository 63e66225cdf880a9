"""Atoms: splitting, merging, and what has no common refinement."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import ModelError
from fuseflow.frontend.einsums.atoms import AtomTable, find_atoms, reshape_groups
from fuseflow.frontend.einsums.index_names import IndexNames
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import OpValue
from fuseflow.ir.einsum import Role


def sizes(table: AtomTable, atoms: tuple[int, ...]) -> list[int]:
    return [table.size(atom) for atom in table.leaves(atoms)]


def test_equal_products_are_refined_alike() -> None:
    table = AtomTable()
    whole, outer, inner = table.fresh(24), table.fresh(6), table.fresh(4)
    assert table.equate((whole,), (outer, inner))
    assert table.leaves((whole,)) == table.leaves((outer, inner))


def test_refinement_of_both_sides_meets_in_the_middle() -> None:
    table = AtomTable()
    left = (table.fresh(2), table.fresh(12))
    right = (table.fresh(6), table.fresh(4))
    assert table.equate(left, right)
    assert sizes(table, left) == [2, 3, 4]


def test_products_that_do_not_nest_are_told() -> None:
    table = AtomTable()
    assert not table.equate((table.fresh(6), table.fresh(4)), (table.fresh(4), table.fresh(6)))


def test_later_refinement_reaches_what_was_equal_before() -> None:
    table = AtomTable()
    first, second = table.fresh(12), table.fresh(12)
    assert table.equate((first,), (second,))
    assert table.equate((second,), (table.fresh(3), table.fresh(4)))
    assert sizes(table, (first,)) == [3, 4]


@given(st.lists(st.integers(2, 5), min_size=1, max_size=5), st.data())
def test_groupings_of_the_same_factors_always_refine(
    factors: list[int], data: st.DataObject
) -> None:
    def grouping() -> list[int]:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(factors)), max_size=3)) | {len(factors)})
        starts = [0, *cuts[:-1]]
        return [math.prod(factors[a:b]) for a, b in zip(starts, cuts, strict=True)]

    table = AtomTable()
    first, second = (tuple(map(table.fresh, grouping())) for _ in range(2))
    assert table.equate(first, second)
    assert table.leaves(first) == table.leaves(second)
    assert math.prod(sizes(table, first)) == math.prod(factors)


@pytest.mark.parametrize(
    ("old", "new", "groups"),
    [
        ((6, 4), (4, 6), [([0, 1], [0, 1])]),
        ((1, 64, 32), (64, 4, 8), [([1], [0]), ([2], [1, 2])]),
        ((2, 3, 4), (6, 4), [([0, 1], [0]), ([2], [1])]),
        ((4, 1, 1, 5), (1, 4, 5), [([0], [1]), ([3], [2])]),
        ((1, 1), (), []),
    ],
)
def test_reshape_groups_are_the_smallest(
    old: tuple[int, ...], new: tuple[int, ...], groups: list[tuple[list[int], list[int]]]
) -> None:
    assert list(reshape_groups(old, new)) == groups


def test_axis_reshaped_in_two_ways_that_do_not_nest_is_refused() -> None:
    b = OpBuilder("test")
    x = b.add_value(OpValue("x", (12,), Role.INPUT))
    b.output("first", b.reshape(x, (3, 4)))
    b.output("second", b.reshape(x, (4, 3)))
    with pytest.raises(ModelError) as caught:
        find_atoms(b.graph)
    assert caught.value.rule == "I010 no-common-refinement"


def test_names_follow_the_alphabet_and_belong_to_atoms() -> None:
    names = IndexNames()
    assert [names.choose(atom, set()) for atom in (7, 9, 7)] == ["i", "j", "i"]
    assert names.choose(7, {"i"}) == "k"
    assert names.choose(7, {"i"}) == "k"
    assert names.choose(7, set(), ["k"]) == "k"


def test_names_do_not_run_out() -> None:
    names = IndexNames()
    chosen = [names.choose(atom, set()) for atom in range(100)]
    assert len(set(chosen)) == 100
