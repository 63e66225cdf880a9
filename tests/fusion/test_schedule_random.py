"""Any graph under any schedule: the results of the dense tensors, or an error of the schedule."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fuseflow.errors import ScheduleError
from fuseflow.fusion import Fused, FuseOptions, fuse, plan_graph
from fuseflow.fusion.explain.kernels import explain
from fuseflow.fusion.lowering.table import format_table, make_table
from fuseflow.ir import schedule as ir
from fuseflow.ir.einsum import Einsum, EinsumGraph
from fuseflow.ir.schedule import Directive, IndexRef
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.tensor import LevelFormat
from tests.fusion.checks import assert_computes
from tests.strategies import GraphShape, einsum_graphs

ROUTES = (ir.ValueRoute.RECOMPUTE, ir.ValueRoute.MATERIALISE, ir.ValueRoute.STREAM)
LEVELS = (LevelFormat.DENSE, LevelFormat.COMPRESSED)
# What a schedule may ask for in vain: no legal order, a group that is not convex, a contradiction.
IMPOSSIBLE = {"P001", "P013", "P014"}


@st.composite
def directives(draw: st.DrawFn, graph: EinsumGraph, op: Einsum) -> ir.Directive:
    """A directive about one operation that names only what exists."""
    indices = st.sampled_from(sorted({*op.indices})) if op.indices else st.nothing()
    access = draw(st.sampled_from([op.output, *op.operands]))
    order = draw(st.permutations(access.indices))
    modes = tuple(IndexRef(index, op.name) for index in order)
    choices = [
        st.sampled_from(ir.Iteration).map(ir.Iterate),
        st.builds(ir.Route, st.just(op.output.value), st.sampled_from(ROUTES)),
        st.just(ir.Route(draw(st.sampled_from(op.operands)).value, ROUTES[0], op.name)),
        st.builds(ir.Fifo, st.integers(1, 50)),
    ]
    if op.indices:
        refs = indices.map(lambda name: IndexRef(name, op.name))
        choices.append(st.builds(ir.Order, st.lists(refs, min_size=2, max_size=3).map(tuple)))
        choices.append(st.builds(ir.Parallel, refs, st.integers(1, 3)))
    if len(set(modes)) == len(access.indices) and modes:
        levels = tuple(draw(st.sampled_from(LEVELS)) for _ in modes)
        choices.append(st.just(ir.Store(access.value, levels, modes)))
        if graph.values[access.value].tensor is not None:
            choices.append(st.just(ir.Permute(access.value, modes)))
    return Directive(draw(st.one_of(choices)))


@st.composite
def scheduled_graphs(draw: st.DrawFn) -> tuple[EinsumGraph, ir.Schedule]:
    """A graph, and a schedule that names its parts."""
    graph = draw(einsum_graphs(GraphShape(max_ops=6)))
    names = st.sampled_from([op.name for op in graph.einsums])
    groups = draw(st.lists(st.lists(names, min_size=1, max_size=4, unique=True), max_size=2))
    scoped = []
    for name in draw(st.lists(names, max_size=3)):
        op = next(op for op in graph.einsums if op.name == name)
        scoped.append(ir.Scoped(ir.OpName(name), (draw(directives(graph, op)),)))
    return graph, ir.Schedule(
        strategy=draw(st.sampled_from(ir.Strategy)),
        groups=tuple(
            ir.FuseGroup(f"g{n}", tuple(map(ir.OpName, members)))
            for n, members in enumerate(groups)
        ),
        scoped=tuple(scoped),
        budget=ir.Budget(recompute=draw(st.sampled_from([None, 1.0, 4.0, math.inf]))),
        reassociate=draw(st.booleans()),
        strict_nonfinite=draw(st.booleans()),
    )


def compiled(graph: EinsumGraph, schedule: ir.Schedule) -> Fused | None:
    """Compile a graph; None if the schedule asks for what is impossible."""
    try:
        return plan_graph(graph, FuseOptions(schedule=schedule))
    except ScheduleError as error:
        if error.rule not in IMPOSSIBLE:
            raise
        return None


@settings(max_examples=150)
@given(scheduled_graphs())
def test_schedules_never_change_the_results(case: tuple[EinsumGraph, ir.Schedule]) -> None:
    graph, schedule = case
    if compiled(graph, schedule) is None:
        return
    unlaned = tuple(
        scoped
        for scoped in schedule.scoped
        if not any(isinstance(d.choice, ir.Parallel) for d in scoped.directives)
    )
    assert_computes(graph, FuseOptions(schedule=replace(schedule, scoped=unlaned)))


@settings(max_examples=120)
@given(scheduled_graphs())
def test_resolved_schedules_compile_to_the_same(case: tuple[EinsumGraph, ir.Schedule]) -> None:
    graph, schedule = case
    first = compiled(graph, schedule)
    if first is None:
        return
    again = fuse(graph, FuseOptions(schedule=parse_schedule(first.program.schedule)))
    assert again.schedule == first.program.schedule
    assert again.notes == first.program.notes
    assert repr(again.kernels) == repr(first.program.kernels)  # a fill may be NaN
    assert list(again.tensors) == list(first.program.tensors)
    for planned in first.plans:
        assert list(format_table(make_table(planned), "table"))
    assert list(explain(first))
