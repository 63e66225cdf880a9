"""Passes have names, run in order, show what they made, and can be stopped."""

import numpy as np
import pytest

from fuseflow.errors import ScheduleError
from fuseflow.fusion import FuseOptions, plan_graph
from fuseflow.fusion.passes.sequence import PASSES, Pass, State, pass_named, run_passes
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule import Schedule
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph


def graph() -> EinsumGraph:
    return make_graph(
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])", "Z[i,j] = relu(T[i,j])"],
        tensors={"A": (np.eye(3), "dense,compressed"), "B": np.ones((3, 2))},
    )


def test_passes_have_names_of_their_own_and_say_what_they_do() -> None:
    names = [each.name for each in PASSES]
    assert len(set(names)) == len(names)
    assert all(each.about for each in PASSES)
    assert all(pass_named(each.name) is each for each in PASSES)


def test_an_unknown_pass_is_an_error_with_the_closest_name() -> None:
    with pytest.raises(ScheduleError, match='did you mean "group"'):
        pass_named("grup")


def test_the_observer_sees_every_pass_in_order() -> None:
    seen: list[str] = []

    def observe(done: Pass, state: State) -> bool:
        seen.append(done.name)
        return True

    plan_graph(graph(), observe=observe)
    assert seen == [each.name for each in PASSES]


@pytest.mark.parametrize("last", PASSES, ids=lambda each: each.name)
def test_a_run_stops_after_any_pass_and_shows_its_result(last: Pass) -> None:
    state = State(graph(), parse_schedule("fuse g = T, Z { order i -> j; };"))
    ran: list[str] = []

    def observe(done: Pass, state: State) -> bool:
        ran.append(done.name)
        return done is not last

    run_passes(state, observe=observe)
    assert ran == [each.name for each in PASSES[: len(ran)]]
    assert ran[-1] == last.name
    assert list(last.show(state))


def test_no_program_before_the_passes_that_make_it() -> None:
    with pytest.raises(ValueError, match="before the program"):
        plan_graph(graph(), FuseOptions(), observe=lambda done, state: done.name != "plan")


def test_passes_leave_the_graph_of_the_caller_alone() -> None:
    given = graph()
    before = dict(given.values), list(given.einsums)
    state = State(given, parse_schedule("for T { format A [compressed, compressed]; };"))
    run_passes(state)
    assert (dict(given.values), list(given.einsums)) == before
    assert state.schedule != Schedule()
