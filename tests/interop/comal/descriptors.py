"""Our table of a dialect as descriptors of protobuf itself, and random messages of every type."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import strategies as st

from fuseflow.interop.comal.message import Message
from fuseflow.interop.comal.schema import SCALARS, Field, Schema, schema_of

NUMBERS = {"string": 9, "uint64": 4, "bool": 8, "double": 1}
MESSAGE, ENUM = 11, 14


def message_class(dialect: str, name: str) -> Any:
    """Return protobuf's own class for a message of a dialect."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file_of(schema_of(dialect)))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


def _file_of(schema: Schema) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="test", syntax="proto3")
    made: dict[str, Any] = {}
    for name in sorted(schema.messages, key=lambda each: each.count(".")):
        outer, _, inner = name.rpartition(".")
        made[name] = (
            made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        )
    for name, values in schema.enums.items():
        outer, _, inner = name.rpartition(".")
        enum = made[outer].enum_type.add(name=inner)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in schema.messages.items():
        choices = list(dict.fromkeys(field.choice for field in fields if field.choice))
        for choice in choices:
            made[name].oneof_decl.add(name=choice)
        for spec in fields:
            _add_field(made[name], schema, spec, choices)
    return file


def _add_field(message: Any, schema: Schema, spec: Field, choices: list[str]) -> None:
    field = message.field.add(name=spec.name, number=spec.number)
    field.label = field.LABEL_REPEATED if spec.repeated else field.LABEL_OPTIONAL
    if spec.type in SCALARS:
        field.type = NUMBERS[spec.type]
    else:
        field.type = ENUM if spec.type in schema.enums else MESSAGE
        field.type_name = f".test.{spec.type}"
    if spec.choice:
        field.oneof_index = choices.index(spec.choice)


@st.composite
def messages(draw: st.DrawFn, schema: Schema, kind: str, depth: int = 5) -> Message:
    """Draw a message with any of its fields set."""
    message = Message(schema, kind)
    fields = [f for f in schema.messages[kind] if depth or f.type not in schema.messages]
    for spec in draw(st.lists(st.sampled_from(fields), unique=True, max_size=4)) if fields else []:
        if spec.choice and message.chosen(spec.choice):
            continue
        count = draw(st.integers(1, 2)) if spec.repeated else 1
        values = [draw(_values(schema, spec, depth)) for _ in range(count)]
        if spec.repeated or isinstance(values[0], Message) or values[0]:
            message.values[spec.name] = values if spec.repeated else values[0]
    return message


def _values(schema: Schema, spec: Field, depth: int) -> st.SearchStrategy[Any]:
    if spec.type in schema.messages:
        return messages(schema, spec.type, depth - 1)
    if spec.type in schema.enums:
        return st.integers(0, len(schema.enums[spec.type]) - 1)
    return {
        "string": st.text(max_size=6),
        "uint64": st.integers(0, 2**64 - 1),
        "bool": st.booleans(),
        "double": st.floats(allow_nan=False).filter(lambda number: str(number) != "-0.0"),
    }[spec.type]
