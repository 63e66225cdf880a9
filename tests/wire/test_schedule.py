"""Schedules as messages and as files."""

from pathlib import Path

import pytest
from hypothesis import given

from fuseflow.errors import ScheduleError, WireError
from fuseflow.ir import schedule as ir
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.v1 import schedule_pb2 as pb
from fuseflow.wire import read_schedule, schedule_to_textproto
from fuseflow.wire.schedule import decode_schedule, encode_schedule, schedule_from_textproto
from tests.schedules import schedules

TEXT = 'strategy layer;\nfuse g = a, not b { order i -> j; fifo 4 because "why"; };\n'


@given(schedules())
def test_messages_keep_every_part(schedule: ir.Schedule) -> None:
    message = pb.Schedule()
    encode_schedule(schedule, message)
    stored = pb.Schedule.FromString(message.SerializeToString())
    assert decode_schedule(stored) == schedule


@pytest.mark.parametrize("name", ["s.ff", "s.textproto"])
def test_a_file_may_hold_either_form(name: str, tmp_path: Path) -> None:
    schedule = parse_schedule(TEXT)
    path = tmp_path / name
    path.write_text(TEXT if name == "s.ff" else schedule_to_textproto(schedule))
    assert read_schedule(path) == schedule


def test_a_text_view_is_recognized_by_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "schedule"
    path.write_text(schedule_to_textproto(parse_schedule(TEXT)))
    assert read_schedule(path) == parse_schedule(TEXT)


def test_mistakes_name_the_file_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "s.ff"
    path.write_text("strategy all;")
    with pytest.raises(ScheduleError, match=r"P010: \S+s\.ff:1:10: "):
        read_schedule(path)


@pytest.mark.parametrize(
    "text",
    [
        "groups { members { op: 'a' } }",
        "groups { name: 'g' }",
        "groups { name: 'g' members { } }",
        "scoped { target { op: 'a' } directives { } }",
        "scoped { target { op: 'a' } directives { parallel { index { name: 'i' } } } }",
        "scoped { target { op: 'a' } directives { fifo { capacity: 0 } } }",
        "scoped { target { op: 'a' } directives { value { value: 'v' } } }",
        "budget { recompute: 0.5 }",
    ],
)
def test_messages_that_say_nothing_sensible_are_refused(text: str) -> None:
    with pytest.raises(WireError) as caught:
        schedule_from_textproto(text, "s.textproto")
    assert caught.value.rule == "W006"
    assert caught.value.findings[0].where.file == "s.textproto"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.ff"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(WireError, match="W011"):
        read_schedule(path)
