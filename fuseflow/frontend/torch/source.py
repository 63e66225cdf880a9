# SPDX-License-Identifier: MIT
"""Where a node of a torch graph comes from in the user's model."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from fuseflow.ir.einsum import SourceLoc

if TYPE_CHECKING:
    from torch.fx import Node

__all__ = ["source_of"]

FRAME = re.compile(r'File "([^"]+)", line (\d+), in')
LIBRARY = "torch"


def source_of(node: Node) -> SourceLoc:
    """Return operator, node, file and line, and the chain of modules around a node.

    Files are bare names, so that a result does not depend on where the model lies.
    """
    file, line = _user_frame(str(node.meta.get("stack_trace") or ""))
    stack = node.meta.get("nn_module_stack") or {}
    scopes = tuple((str(path), _class_name(cls)) for path, cls in stack.values())
    name = str(node.target)
    packet = getattr(node.target, "overloadpacket", None)
    op = str(packet) if packet is not None else name
    return SourceLoc(op, node.name, file, line, scopes)


def _user_frame(trace: str) -> tuple[str, int]:
    """Return the innermost frame that is not part of torch itself."""
    for path, line in reversed(FRAME.findall(trace)):
        if path.endswith(".py") and LIBRARY not in PurePath(path).parts:
            return PurePath(path).name, int(line)
    return "", 0


def _class_name(cls: object) -> str:
    name = cls.__name__ if isinstance(cls, type) else str(cls)
    return name.rpartition(".")[2]
