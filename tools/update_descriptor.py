# SPDX-License-Identifier: MIT
"""Record the schema as a descriptor set: ``python -m tools.update_descriptor [--force]``.

The record in ``tests/golden/descriptor`` is what readers of existing artifacts rely on; a test
compares the schema with it. This command adds what is new to the record. It refuses a change that
would break those readers; ``--force`` is for a schema that no release contains yet.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

__all__ = ["RECORD", "breaking_changes", "current_schema", "main", "recorded_schema"]

FILES = ("common", "tensor", "einsum", "schedule", "dataflow", "hardware", "report")
RECORD = Path(__file__).resolve().parents[1] / "tests/golden/descriptor/schema.binpb"


def current_schema() -> FileDescriptorSet:
    """Return the descriptors of the generated code, in the order in which files import."""
    schema = FileDescriptorSet()
    for name in FILES:
        module = importlib.import_module(f"fuseflow.v1.{name}_pb2")
        module.DESCRIPTOR.CopyToProto(schema.file.add())
    return schema


def recorded_schema() -> FileDescriptorSet:
    """Return the recorded descriptors; empty if there is no record."""
    return FileDescriptorSet.FromString(RECORD.read_bytes() if RECORD.exists() else b"")


def breaking_changes(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """Return one line per change of ``new`` that a reader or writer of ``old`` would notice.

    Additions are no such change, nor is a removal that reserves both the number and the name.
    """
    new_enums, new_messages = dict(_enums(new)), dict(_messages(new))
    changes: list[str] = []
    for name, old_enum in _enums(old):
        if name in new_enums:
            changes += _enum_changes(name, old_enum, new_enums[name])
        else:
            changes.append(f"{name}: the enum is gone or has moved to another file")
    for name, old_message in _messages(old):
        if name in new_messages:
            changes += _message_changes(name, old_message, new_messages[name])
        else:
            changes.append(f"{name}: the message is gone or has moved to another file")
    return changes


def main(arguments: list[str]) -> int:
    """Write the record; 1 if that would break readers."""
    schema = current_schema()
    changes = breaking_changes(recorded_schema(), schema)
    for change in changes:
        print(change)
    if changes and "--force" not in arguments:
        print("nothing recorded: existing artifacts would no longer be read")
        return 1
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_bytes(schema.SerializeToString(deterministic=True))
    return 0


def _enums(schema: FileDescriptorSet) -> Iterator[tuple[str, EnumDescriptorProto]]:
    for file in schema.file:
        yield from ((f"{file.name}: {enum.name}", enum) for enum in file.enum_type)


def _messages(schema: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    for file in schema.file:
        yield from ((f"{file.name}: {message.name}", message) for message in file.message_type)


def _message_changes(where: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    now = {field.number: field for field in new.field}
    reserved = {n for span in new.reserved_range for n in range(span.start, span.end)}
    for field in old.field:
        place = f"{where}.{field.name} = {field.number}"
        if field.number not in now:
            if field.number not in reserved or field.name not in new.reserved_name:
                yield f"{place}: removed without reserving the number and the name"
        elif _contract(old, field) != _contract(new, now[field.number]):
            yield f"{place}: name, type, label or oneof has changed"
    for span in old.reserved_range:
        yield from (f"{where}: {n} is used again" for n in range(span.start, span.end) if n in now)


def _contract(message: DescriptorProto, field: FieldDescriptorProto) -> tuple[object, ...]:
    """What must stay; the oneof by name, since its position is of no consequence."""
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    return (field.name, field.type, field.type_name, field.label, field.proto3_optional, oneof)


def _enum_changes(where: str, old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    now = {value.number: value.name for value in new.value}
    reserved = {n for span in new.reserved_range for n in range(span.start, span.end + 1)}
    for value in old.value:
        place = f"{where}.{value.name} = {value.number}"
        if value.number not in now:
            if value.number not in reserved or value.name not in new.reserved_name:
                yield f"{place}: removed without reserving the number and the name"
        elif now[value.number] != value.name:
            yield f"{place}: renamed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
