"""Our codec of ComalGraph messages reads and writes what protobuf reads and writes."""

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import InterchangeError
from fuseflow.interop.comal.message import Message, decode, encode
from fuseflow.interop.comal.schema import DIALECTS, LATEST, PUBLIC, schema_of
from fuseflow.interop.comal.text import format_text, parse_text
from tests.interop.comal.descriptors import message_class, messages

COUNTS = {LATEST: (49, 216, 21), PUBLIC: (35, 154, 10)}
CLASSES = {dialect: message_class(dialect, "ComalGraph") for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_table_has_as_many_messages_fields_and_values_as_the_dialect(dialect: str) -> None:
    schema = schema_of(dialect)
    fields = sum(map(len, schema.messages.values()))
    assert (len(schema.messages), fields, sum(map(len, schema.enums.values()))) == COUNTS[dialect]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_bytes_are_those_of_protobuf(dialect: str, data: st.DataObject) -> None:
    message = data.draw(messages(schema_of(dialect), "ComalGraph"))
    parsed = CLASSES[dialect].FromString(encode(message))
    assert parsed.SerializeToString(deterministic=True) == encode(message)
    assert decode(schema_of(dialect), encode(message)) == message


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_text_is_that_of_protobuf(dialect: str, data: st.DataObject) -> None:
    message = data.draw(messages(schema_of(dialect), "ComalGraph"))
    twin = CLASSES[dialect].FromString(encode(message))
    assert text_format.Parse(format_text(message), CLASSES[dialect]()) == twin
    for as_utf8 in (True, False):
        text = text_format.MessageToString(twin, as_utf8=as_utf8)
        assert encode(parse_text(schema_of(dialect), text)) == encode(message)


def test_every_type_is_drawn() -> None:
    """The two tests above reach every message of both dialects from the root."""
    for dialect in DIALECTS:
        schema, reached, left = schema_of(dialect), set(), ["ComalGraph"]
        while left:
            name = left.pop()
            reached.add(name)
            left += [f.type for f in schema.messages[name] if f.type in schema.messages
                     and f.type not in reached]  # fmt: skip
        assert reached == set(schema.messages)


def test_unknown_fields_are_kept() -> None:
    known = Message(schema_of(LATEST), "ComalGraph", {"name": "k"})
    foreign = bytes([0xFA, 0x3E, 2, 1, 2])
    message = decode(schema_of(LATEST), encode(known) + foreign)
    assert message.unknown == foreign
    assert encode(message) == encode(known) + foreign


def test_fields_that_occur_twice_are_merged_like_in_protobuf() -> None:
    schema = schema_of(LATEST)
    root = Message(schema, "Generator", {"tensor": "B"})
    label = Message(schema, "Generator", {"label": "l"})
    twice = b"".join(
        encode(Message(schema, "Operation", {"root": part, "id": 1})) for part in (root, label)
    )
    assert decode(schema, twice, "Operation")["root"].values == {"tensor": "B", "label": "l"}
    joined = twice + encode(Message(schema, "Operation", {"reduce": Message(schema, "Reduce")}))
    assert decode(schema, joined, "Operation").chosen("op") == "reduce"


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x0a\x05ab", b"\x0b", b"\x0a\x02\xff\xfe", b"\x80" * 11]
)
def test_broken_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InterchangeError) as caught:
        decode(schema_of(LATEST), data)
    assert caught.value.rule == "X001"


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        message = decode(schema_of(LATEST), data)
    except InterchangeError:
        return
    assert decode(schema_of(LATEST), encode(message)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'name: "k"\ngraf { }',
            'line 2: ComalGraph has no field "graf"; fix: did you mean "graph"',
        ),
        ("name: k", '"k" is no string for name'),
        ("channel_size: -1", "line 1"),
        ("channel_size 1", 'expected ":" after channel_size'),
        ("graph { name: 'x'", 'line 1: the text ends before "}"'),
        ('name: "a', "this is no protobuf text"),
        ("graph: 3", "line 1"),
        ("graph { operators { alu { stages { op: POW } } } }", '"POW" is no ALU.ALUOp for op'),
    ],
)
def test_broken_text_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InterchangeError, match="X001") as caught:
        parse_text(schema_of(LATEST), text)
    assert message in str(caught.value)


def test_text_takes_what_other_writers_put_in() -> None:
    text = """# a comment
      name: 'a' "b"  # adjacent strings are one
      graph: < operators: [ { id: 1 }, { id: 0x2; alu { stages { inputs: [0, 1] op: 2 } } } ] >
    """
    graph = parse_text(schema_of(LATEST), text)
    assert graph["name"] == "ab"
    assert [each["id"] for each in graph["graph"]["operators"]] == [1, 2]
    stage = graph["graph"]["operators"][1]["alu"]["stages"][0]
    assert (stage["inputs"], stage.enum("op")) == ([0, 1], "MUL")
