# SPDX-License-Identifier: MIT
"""The fields of ComalGraph messages in both dialects, as a table of our own.

A ComalGraph is the protobuf form of a streaming dataflow graph that the Comal simulator and tools
around it exchange. It has no version and two incompatible revisions are in use; a dialect is named
by its revision. Field names are kept, since they are the text format.

One line describes a message: its name, then fields as `name:type:number`. `*` behind a type means
repeated, `name/choice` a member of the oneof `choice`. Ref, Crd, Val and Sig are the four kinds of
stream messages.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIALECTS", "LATEST", "PUBLIC", "Field", "Schema", "schema_of"]

LATEST = "comal@a696657"
"""The dialect of FuseFlow's compiler and of the visualiser."""

PUBLIC = "comal@4675298"
"""The dialect of the public simulator."""

DIALECTS = (LATEST, PUBLIC)

STREAMS = {"Ref": "RefStream", "Crd": "CrdStream", "Val": "ValStream", "Sig": "RepSigStream"}
SCALARS = frozenset({"string", "uint64", "bool", "double"})

_BUNDLES = {"crd": "CrdBundle", "ref": "RefBundle", "val": "ValBundle", "repsig": "RepSigBundle"}

_SHARED = """
ComalGraph name:string:1 channel_size:uint64:2 graph:ProgramGraph:3
ProgramGraph name:string:1 operators:Operation*:2
Generator label:string:1 tensor:string:2 output_ref:Ref:3
FiberLookup input_ref:Ref:2 output_ref:Ref:3 output_crd:Crd:4 index:string:5 tensor:string:6
+ mode:uint64:7 format:string:8 src:bool:9 root:bool:10 label:string:11
ArrayVals tensor:string:1 input_ref:Ref:2 output_val:Val:3 label:string:4 stream_shape:uint64:5
+ blocked:bool:6
RepeatSig input_crd:Crd:1 output_rep_sig:Sig:2 label:string:3 index:string:4
Joiner join_type:Joiner.Type:1 input_pairs:Joiner.JoinBundle*:2 index:string:3 label:string:4
+ output_crd:Crd:6
ALU vals/conn:ALU.Val:1 crds/conn:ALU.Crd:2 stages:ALU.Stage*:3 output_val:uint64:4 label:string:5
ALU.Val inputs:Val*:1 output:Val:2
ALU.Crd inputs:Crd*:1 output:Crd:2
ALU.Stage inputs:uint64*:1 output:uint64:2 op:ALU.ALUOp:3
Reduce input_val:Val:1 output_val:Val:2 label:string:3
SparseAccumulator input_inner_crd:Crd:1 output_inner_crd:Crd:2 input_outer_crds:Crd*:3
+ input_val:Val:4 output_val:Val:5 order:uint64:6 inner_crd:string:7 outer_crds:string*:8
+ label:string:9 output_outer_crds:Crd*:10
CoordHold input_inner_crd:Crd:1 input_outer_crd:Crd:2 output_inner_crd:Crd:3 output_outer_crd:Crd:4
+ inner_crd:string:5 outer_crd:string:6 label:string:7
CoordDrop input_inner_crd:Crd:1 input_outer_crd:Crd:2 output_inner_crd:Crd:3 output_outer_crd:Crd:4
+ inner_crd:string:5 outer_crd:string:6 label:string:7
CoordMask input_inner_crd:Crd:1 input_outer_crd:Crd:2 input_ref:Ref:3 output_inner_crd:Crd:4
+ output_outer_crd:Crd:5 output_ref:Ref:6
FiberWrite ref:bool:1 input_crd:Crd:2 index:string:3 tensor:string:4 mode_val:string:5
+ format:string:6 segsize:string:7 crdsize:string:8 size:string:9 sink:bool:10 label:string:11
ValWrite input_val:Val:1 label:string:2 crdsize:string:3 segsize:string:4 tensor:string:5
+ sink:bool:6
Intrinsic name:string:1 input_val:Val:2 inputs:Crd*:3 output_val:Val:4 outputs:Crd*:5
Operation name:string:1 id:uint64:2 root/op:Generator:11 joiner/op:Joiner:12
+ fiber_lookup/op:FiberLookup:13 fiber_write/op:FiberWrite:14 repeat/op:Repeat:15
+ repeatsig/op:RepeatSig:16 alu/op:ALU:17 reduce/op:Reduce:18 coord_hold/op:CoordHold:19
+ coord_mask/op:CoordMask:20 coord_drop/op:CoordDrop:21 array/op:ArrayVals:22
+ spacc/op:SparseAccumulator:23 val_write/op:ValWrite:24 func/op:Intrinsic:25
+ broadcast/op:Broadcast:26
"""

# What a dialect adds; fields of a message that both describe belong to it in that dialect only.
_ONLY = {
    PUBLIC: """
Repeat input_ref:Ref:1 output_ref:Ref:2 input_rep_sig:Sig:3 label:string:4 index:string:5
+ root:bool:6 tensor:string:7 input_rep_ref:Ref:8
Joiner output_refs:Ref*:5
Joiner.JoinBundle crd:Crd:1 ref:Ref:3
""",
    LATEST: """
Repeat in_ref/input_ref:Ref:1 in_val/input_ref:Val:2 out_ref/output_ref:Ref:3
+ out_val/output_ref:Val:4 rep_ref/input_rep_sig:Ref:5 rep_val/input_rep_sig:Val:6 label:string:7
+ index:string:8 root:bool:9 tensor:string:10
Joiner output_refs:Joiner.Payload*:5
Joiner.JoinBundle crd:Crd:1 in_ref:Joiner.Payload:2
Joiner.Payload ref_stream/stream:Ref:1 val_stream/stream:Val:2
ALU stream_shape:uint64:6 blocked:bool:7 scalar:double:8
Reduce stream_shape:uint64:4 blocked:bool:5 reduce_type:Reduce.Type:6
SparseAccumulator stream_shape:uint64:11 blocked:bool:12
Locate input_crd:Crd:1 input_ref:Ref:2 output_ref1:Ref:3 output_ref2:Ref:4 output_crd:Crd:5
+ label:string:6
GenRef input_crd:Val:1 output_ref:Val:2 label:string:3
Concat in_crds:Crd*:1 axis:uint64:3 rank:uint64:4 out_crds:Crd*:5 label:string:7 dim_len:uint64:8
+ in_refs:Ref*:9 in_vals:Val*:10 out_refs:Ref*:11 out_val:Val:12
Operation fork/op:Fork:27 join/op:Join:28 gen_ref/op:GenRef:29 locate/op:Locate:30
+ concat/op:Concat:31
""",
}
_ALU_OPS = "ADD SUB MUL DIV EXP SIN COS MAX"
_ENUMS = {
    PUBLIC: {"Joiner.Type": "INTERSECT UNION", "ALU.ALUOp": _ALU_OPS},
    LATEST: {
        "Joiner.Type": "INTERSECT UNION",
        "Joiner.RefType": "REF VAL",
        "Reduce.Type": "ADD MAX ADDSUM",
        "ALU.ALUOp": f"{_ALU_OPS} SCALARADD SCALARMUL SCALARDIV RSQRT SIGMOID ELEMMUL",
    },
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `type` is a scalar, or the name of a message or an enum of the schema."""

    name: str
    type: str
    number: int
    repeated: bool = False
    choice: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """One dialect: fields of every message in the order of their numbers, values of every enum."""

    dialect: str
    messages: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, tuple[str, ...]]

    def field(self, message: str, name: str) -> Field | None:
        """Return a field by its name, None if the message has no such field."""
        return next((each for each in self.messages[message] if each.name == name), None)


@functools.cache
def schema_of(dialect: str) -> Schema:
    """Return the schema of one of `DIALECTS`; KeyError for another name."""
    fields: dict[str, list[Field]] = {}
    text = _SHARED + _ONLY[dialect] + "\n".join((*_stream_lines(), *_fan_lines(dialect)))
    for line in text.replace("\n+", "").splitlines():
        name, *texts = line.split() or [""]
        fields.setdefault(name, []).extend(map(_parse_field, texts))
    fields.pop("")
    ordered = {
        name: tuple(sorted(found, key=lambda each: each.number)) for name, found in fields.items()
    }
    enums = {name: tuple(values.split()) for name, values in _ENUMS[dialect].items()}
    return Schema(dialect, ordered, enums)


def _parse_field(text: str) -> Field:
    full_name, full_type, number = text.split(":")
    name, _, choice = full_name.partition("/")
    kind = full_type.removesuffix("*")
    return Field(name, STREAMS.get(kind, kind), int(number), full_type.endswith("*"), choice)


def _stream_lines() -> list[str]:
    """Describe the stream messages: each wraps its id in a message of its own."""
    lines = []
    for name in STREAMS.values():
        lines += [f"{name} id:{name}.StreamID:1 name:string:2", f"{name}.StreamID id:uint64:1"]
    return lines


def _fan_lines(dialect: str) -> list[str]:
    """Describe the messages with one bundle of streams per kind: one to many, or many to one."""
    fans = {"Broadcast": ("input", "outputs")}
    if dialect == LATEST:
        fans |= {"Fork": ("input", "outputs"), "Join": ("output", "inputs")}
    lines = []
    for name, (single, several) in fans.items():
        number = 2
        head = f"{name} label:string:1"
        for (arm, bundle), kind in zip(_BUNDLES.items(), ("Crd", "Ref", "Val", "Sig"), strict=True):
            head += f" {arm}/conn:{name}.{bundle}:{number}"
            lines.append(f"{name}.{bundle} {single}:{kind}:1 {several}:{kind}*:2")
            number += 1
        lines.append(head)
    return lines
