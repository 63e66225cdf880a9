# SPDX-License-Identifier: MIT
"""Where the nodes of an ONNX file come from: module scopes, source lines, parameter names.

The dynamo exporter of torch writes them as metadata, its legacy exporter as paths in node names;
other files have neither, and then only the node is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from fuseflow.ir.einsum import SourceLoc

if TYPE_CHECKING:
    import onnx

__all__ = ["Origin", "Origins"]

_PREFIX = "pkg.torch.onnx."
_QUOTED = re.compile(r"'([^']*)'")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_SIGNATURE = re.compile(
    r"^(\w+): (?:PARAMETER|BUFFER|CONSTANT_TENSOR) target='([^']+)'", re.MULTILINE
)
_LIBRARY = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of a node, and the framework operator that it belongs to.

    Nodes that the exporter wrote for one operator have the same `operator` (empty if unknown).
    `parameters` are the names of the parameters that this operator reads, in its own order.
    """

    loc: SourceLoc
    operator: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """Return the path of the module that executed the operator, empty for the model itself."""
        return self.loc.scopes[-1][0] if self.loc.scopes else ""


class Origins:
    """Finds the origin of each node of one graph, in the order of the graph.

    A node without metadata in a file that has them was made by the exporter's optimiser: it is
    placed in the scope of the node before it.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        signature = _metadata(graph).get("pkg.torch.export.ExportedProgram.graph_signature", "")
        self._parameters = dict(_SIGNATURE.findall(signature))
        self._has_metadata = any(node.metadata_props for node in graph.node)
        self._last: tuple[tuple[str, str], ...] = (("", ""),)

    def of(self, node: onnx.NodeProto) -> Origin:
        """Return the origin of the next node."""
        name = node.name or node.output[0]
        metadata = _metadata(node)
        text = metadata.get(_PREFIX + "fx_node", "")
        if self._has_metadata:
            self._last = _metadata_scopes(metadata) or self._last
            scopes = self._last
        else:
            scopes = _path_scopes(name)
        file, line = _user_frame(metadata.get(_PREFIX + "stack_trace", ""))
        loc = SourceLoc(node.op_type, name, file, line, scopes)
        _, _, arguments = text.partition("args = ")
        targets = (self._parameters.get(word) for word in re.findall(r"%(\w+)", arguments))
        return Origin(loc, text, tuple(target for target in targets if target))


def _metadata(proto: onnx.NodeProto | onnx.GraphProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


def _metadata_scopes(metadata: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return (path, class) of each module; the last entry of both lists is the operator itself."""
    paths = _QUOTED.findall(metadata.get(_PREFIX + "name_scopes", ""))[:-1]
    classes = _QUOTED.findall(metadata.get(_PREFIX + "class_hierarchy", ""))[:-1]
    return tuple(zip(paths, classes, strict=False))


def _path_scopes(name: str) -> tuple[tuple[str, str], ...]:
    """Return the modules in a node name like ``/blocks.0/attention/MatMul``; classes are unknown.

    A child of a Sequential repeats its parent: ``/stem/stem.0/Conv`` is in ``stem.0``.
    """
    scopes = [("", "")]
    if not name.startswith("/"):
        return tuple(scopes)
    previous = ""
    for part in name.split("/")[1:-1]:
        parent = scopes[-1][0]
        if previous and part.startswith(previous + "."):
            parent = parent.removesuffix(previous).rstrip(".")
        scopes.append((f"{parent}.{part}" if parent else part, ""))
        previous = part
    return tuple(scopes)


def _user_frame(trace: str) -> tuple[str, int]:
    """Return file name and line of the innermost frame outside installed packages."""
    frames = [
        (PurePath(path).name, int(line))
        for path, line in _FRAME.findall(trace)
        if not any(part in _LIBRARY for part in PurePath(path).parts)
    ]
    return frames[-1] if frames else ("", 0)
