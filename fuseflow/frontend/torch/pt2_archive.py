# SPDX-License-Identifier: MIT
"""Looks into a file of `torch.export.save` before torch does, and refuses what is not plain data.

torch's loader runs code that such a file holds: pickled tensors and objects, compiled libraries,
guards on sizes, and formulas of sizes. An ordinary export has none of them but formulas, which are
read here first.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fuseflow.errors import Location, ModelError

__all__ = ["check_archive"]

_LIMIT_BYTES = 2**32
_LIMIT_JSON = 2**27
_LIMIT_TENSOR = 2**31
_CODE = ("custom_obj", "opaque_obj")
_LIBRARIES = "aotinductor"
_CONFIGS = ("_weights_config.json", "_constants_config.json")
_FORMULA, _GUARDS = "as_expr", "guards_code"
_LIMIT_FORMULA = 4096
_DATA_SYMBOL = re.compile(r"u\d+")
_OPEN_INPUT = re.compile(r"Symbol\('s\d+'")
_FUNCTIONS = frozenset(
    [
        "Add",
        "And",
        "CeilDiv",
        "CleanDiv",
        "Eq",
        "Equality",
        "FloorDiv",
        "GreaterThan",
        "Integer",
        "LessThan",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Ne",
        "Not",
        "Or",
        "PythonMod",
        "StrictGreaterThan",
        "StrictLessThan",
        "Symbol",
        "Unequality",
    ]
)


def check_archive(path: Path) -> None:
    """Refuse a file that is no archive of an exported program, or that holds code.

    Raises ModelError I005, or I015 for dimensions that are not fixed. Reads the descriptions in the
    archive only, within 128 MiB each.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RecursionError) as error:
        message = f"is truncated or no exported program: {str(error) or type(error).__name__}"
        raise _refuse(path, message) from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > _LIMIT_BYTES:
        raise _refuse(path, f"unpacks to {size} bytes, more than {_LIMIT_BYTES}")
    for member in members:
        name = PurePosixPath(member.filename)
        if _LIBRARIES in name.parts:
            raise _refuse(path, f"holds a compiled library, {name.name}")
        if name.name.startswith(_CODE) and "constants" in name.parts:
            raise _refuse(path, f"holds a pickled object, {name.name}")
        if name.name.endswith(_CONFIGS):
            _check_payloads(path, _read_json(path, archive, member))
        elif name.parent.name == "models" and name.suffix == ".json":
            _check_program(path, _read_json(path, archive, member))


def _check_payloads(path: Path, content: Any) -> None:
    """Check how the tensors of a description are stored, and how large they claim to be."""
    for name, payload in content.get("config", {}).items():
        if payload.get("use_pickle") is not False:
            raise _refuse(path, f'tensor "{name}" is pickled')
        if str(payload.get("path_name", "")).startswith(_CODE):
            raise _refuse(path, f'holds a pickled object, "{name}"')
        elements = 1
        for extent in (payload.get("tensor_meta") or {}).get("sizes", ()):
            elements *= int(extent.get("as_int", 1))
        if not 0 <= elements * 4 <= _LIMIT_TENSOR:
            raise _refuse(path, f'tensor "{name}" declares {elements} elements')


def _check_program(path: Path, content: Any) -> None:
    """Check what torch would evaluate as Python: guards on sizes, and formulas of sizes.

    An extent that depends on data, such as how many edges are loops, is the formula of a symbol
    that starts with u; those of inputs start with s.
    """
    for key, value in _items(content):
        is_formula = key == _FORMULA and isinstance(value, dict)
        text = str(value.get("expr_str", "")) if is_formula else ""
        if (key == _GUARDS and value) or (is_formula and _OPEN_INPUT.search(text)):
            raise ModelError(
                "I015 dynamic-shape",
                "the program was exported with dimensions that are not fixed",
                where=Location(file=str(path)),
                fix="export without dynamic_shapes, at the sizes that are to be simulated",
            )
        if key == _FORMULA and not (is_formula and _is_plain(text)):
            raise _refuse(path, f"holds a size that is no plain formula, {str(value)[:80]}")


def _is_plain(text: str) -> bool:
    """True if a formula is made of numbers, symbols and functions of SymPy that are known."""
    if len(text) > _LIMIT_FORMULA:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        return False
    return all(_is_plain_part(part) for part in ast.walk(tree.body))


def _is_plain_part(part: ast.AST) -> bool:
    if isinstance(part, ast.Call):
        return isinstance(part.func, ast.Name)
    if isinstance(part, ast.Name):
        return part.id in _FUNCTIONS
    if isinstance(part, ast.Constant):
        is_symbol = isinstance(part.value, str) and _DATA_SYMBOL.fullmatch(part.value)
        return bool(is_symbol) or isinstance(part.value, bool | int)
    return isinstance(part, ast.Load | ast.keyword | ast.UnaryOp | ast.USub)


def _items(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield all keys of nested mappings and lists with their values."""
    open_parts = [content]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            yield from part.items()
            open_parts.extend(part.values())
        elif isinstance(part, list):
            open_parts.extend(part)


def _read_json(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    if member.file_size > _LIMIT_JSON:
        raise _refuse(path, f"{member.filename} is larger than {_LIMIT_JSON >> 20} MiB")
    content = json.loads(archive.read(member))
    if not isinstance(content, dict):
        raise _refuse(path, f"{member.filename} does not hold what an exported program has")
    return content


def _refuse(path: Path, message: str) -> ModelError:
    line = message.splitlines()[0]
    fix = "give a file of torch.export.save, without custom objects or dynamic shapes"
    return ModelError("I005 bad-pt2", line, where=Location(file=str(path)), fix=fix)
