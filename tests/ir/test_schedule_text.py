"""The notation of schedules: what is printed reads back, and mistakes are pointed at."""

import pytest
from hypothesis import given

from fuseflow.errors import ScheduleError
from fuseflow.ir import schedule as ir
from fuseflow.ir.schedule import Directive, IndexRef
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.schedule_text import format_schedule
from fuseflow.ir.tensor import LevelFormat
from tests.schedules import schedules

WRONG = {
    "strateg full;": ("1:1", "strategy"),
    "strategy ful;": ("1:10", "full"),
    "strategy full": ("1:14", None),
    "fuse a b;": ("1:8", None),
    "fuse g = a;\nfuse g = b;": ("2:6", None),
    "fuse g = a, ;": ("1:13", None),
    "fuse g = not;": ("1:13", None),
    "fuse g = a ..;": ("1:14", None),
    "for a { ordr i; };": ("1:9", "order"),
    "for a { order i ->; };": ("1:19", None),
    "for a { order x. ; };": ("1:15", None),
    "for a {\n  value v strem; };": ("2:11", "stream"),
    "for a { fifo 0; };": ("1:14", None),
    "for a { fifo 1.5; };": ("1:14", None),
    "for a { parallel i 4; };": ("1:20", None),
    "for a { assoc (X Y; };": ("1:19", None),
    "for a { assoc ; };": ("1:15", None),
    "for a { format T [dens]; };": ("1:19", "dense"),
    "for a { fifo 3 because x; };": ("1:24", None),
    "budget recomput=2;": ("1:8", "recompute"),
    "budget recompute=0.5;": ("1:18", None),
    "budget lanes=1.5;": ("1:14", None),
    "budget seconds=nan;": ("1:16", None),
    'fuse "g = a;': ("1:6", None),
}


@given(schedules())
def test_what_is_printed_reads_back(schedule: ir.Schedule) -> None:
    assert parse_schedule(format_schedule(schedule)) == schedule


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_pointed_at(text: str) -> None:
    place, near = WRONG[text]
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text, "s.txt")
    (finding,) = caught.value.findings
    assert finding.rule == "P010"
    assert finding.where.file == f"s.txt:{place}"
    assert near is None or near in (finding.fix or "")


def test_every_kind_of_selector_is_read() -> None:
    text = 'fuse g = a, l*.b, scope(net.*), kind(relu), a .. c, not a, "d e", glob("x y*");'
    (group,) = parse_schedule(text).groups
    assert group.members == (
        ir.OpName("a"),
        ir.Glob("l*.b"),
        ir.ScopeOf("net.*"),
        ir.KindOf("relu"),
        ir.OpRange("a", "c"),
        ir.Not(ir.OpName("a")),
        ir.OpName("d e"),
        ir.Glob("x y*"),
    )


def test_every_directive_is_read() -> None:
    text = """
    for a {  # all of them
      order i->k -> op.j; order only i; iterate global; assoc (A X) W;
      format T [dense, compressed, block(4, 8)] modes (k, i) fill -inf;
      parallel h by 4 join late; block i:16, j:8; value v recompute because "cheap";
      permute T to (j, i); fifo auto; fifo 12;
    };"""
    (scoped,) = parse_schedule(text).scoped
    i, j, k, h = (IndexRef(name) for name in "ijkh")
    levels = (LevelFormat.DENSE, LevelFormat.COMPRESSED)
    assert scoped.directives == (
        Directive(ir.Order((i, k, IndexRef("j", "op")))),
        Directive(ir.Order((i,), total=True)),
        Directive(ir.Iterate(ir.Iteration.GLOBAL)),
        Directive(ir.Assoc("(A X) W")),
        Directive(ir.Store("T", levels, (k, i), (4, 8), -float("inf"))),
        Directive(ir.Parallel(h, 4, ir.JoinPoint.LATE)),
        Directive(ir.Block((ir.IndexTile(i, 16), ir.IndexTile(j, 8)))),
        Directive(ir.Route("v", ir.ValueRoute.RECOMPUTE), "cheap"),
        Directive(ir.Permute("T", (j, i))),
        Directive(ir.Fifo()),
        Directive(ir.Fifo(12)),
    )


def test_later_statements_win() -> None:
    schedule = parse_schedule("strategy full; strategy layer; budget nodes=3; budget nodes=4;")
    assert schedule.strategy is ir.Strategy.LAYER
    assert schedule.budget == ir.Budget(nodes=4)
