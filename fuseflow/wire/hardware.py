# SPDX-License-Identifier: MIT
"""Hardware configuration files: a `HardwareConfig` in protobuf text format."""

from __future__ import annotations

from pathlib import Path

from fuseflow.errors import Location, WireError
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.v1 import hardware_pb2 as pb
from fuseflow.wire.record import decode_record, encode_record
from fuseflow.wire.rules import within
from fuseflow.wire.text import parse_text, to_text

__all__ = ["format_hardware", "parse_hardware", "read_hardware"]


def read_hardware(path: Path) -> HardwareConfig:
    """Read a configuration file.

    Raises:
        WireError: W011 if it does not follow the schema.
        OSError: if it cannot be read.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        place = Location(file=str(path))
        raise WireError("W011", "this is no text file", where=place) from error
    return parse_hardware(text, str(path))


def parse_hardware(text: str, name: str) -> HardwareConfig:
    """Read a configuration; `name` is its file, for errors. What it leaves out keeps its default.

    `memory { model: MEMORY_MODEL_HBM2 hbm2 { channels: 8 } }`

    Raises:
        WireError: W011 if the text does not follow the schema.
    """
    with within(file=name):
        return decode_record(parse_text(text, pb.HardwareConfig()), HardwareConfig)


def format_hardware(config: HardwareConfig) -> str:
    """Return a configuration file with every parameter spelled out."""
    message = pb.HardwareConfig()
    encode_record(config, message)
    return to_text(message)
