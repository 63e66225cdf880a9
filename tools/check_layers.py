"""Check who imports whom: ``python -m tools.check_layers [ROOT]``.

The package is a stack of layers, and an import may only go down::

    cli -> frontend | fusion | sim | interop | report | models -> wire -> ir -> errors

Layers of equal height do not know each other. Each has its short list of third-party packages, and
the heavy ones among these are imported only when a function needs them. Imports are read from the
source, not by running it, so one hidden in a function, or written as
``importlib.import_module("name")``, counts like any other.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LAYERS", "Layer", "Violation", "check_tree", "main"]

PACKAGE = "fuseflow"
GENERATED = "v1"
CYTHON_SUFFIXES = (".pyx", ".pxd")
CYTHON_IMPORT = re.compile(r"\s*(?:from\s+([\w.]+)\s+c?import\s+([\w, ]*)|c?import\s+([\w.]+))")
CYTHON_LIBRARIES = frozenset({"cpython", "cython", "libc"})


@dataclass(frozen=True, slots=True)
class Layer:
    """What one subpackage may import, besides the standard library and the layers below it.

    Both sets name third-party packages. Those of ``deferred`` are imported inside functions or for
    type checking only, so that importing the layer does not load them.
    """

    height: int
    anywhere: frozenset[str] = field(default=frozenset())
    deferred: frozenset[str] = field(default=frozenset())


NUMERIC = frozenset({"numpy", "scipy", "networkx"})

LAYERS = {
    "errors": Layer(0),
    "ir": Layer(1, frozenset({"numpy"})),
    "wire": Layer(2, frozenset({"numpy", "google.protobuf", "fuseflow.v1"})),
    "frontend": Layer(3, NUMERIC, deferred=frozenset({"torch", "onnx", "onnxruntime", "yaml"})),
    "fusion": Layer(3, NUMERIC),
    "sim": Layer(3, NUMERIC),
    "interop": Layer(3, NUMERIC),
    "report": Layer(3, NUMERIC, deferred=frozenset({"rich"})),
    # A model is a class derived from torch.nn.Module, which cannot be deferred: the modules that
    # define one import torch at their top, and are themselves imported late.
    "models": Layer(3, NUMERIC | {"torch"}),
    "cli": Layer(4, frozenset({"numpy"}), deferred=frozenset({"rich", "yaml"})),
    "__main__": Layer(5),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One import that breaks one rule."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Import:
    module: str
    line: int
    deferred: bool


def check_tree(root: Path) -> list[Violation]:
    """All violations in ``root/fuseflow``, ordered by path and line; generated code is exempt."""
    package = root / PACKAGE
    found: list[Violation] = []
    for path in sorted(package.rglob("*.p*")):
        parts = path.relative_to(package).parts
        if parts[0] == GENERATED or path.suffix not in (".py", ".pyi", *CYTHON_SUFFIXES):
            continue
        found.extend(_check_file(path, path.relative_to(root)))
    return found


def main(arguments: list[str]) -> int:
    """Print the violations below the given folder, by default the current one; 1 if any."""
    violations = check_tree(Path(arguments[0]) if arguments else Path())
    for violation in violations:
        print(violation)
    return 1 if violations else 0


def _check_file(path: Path, name: Path) -> Iterator[Violation]:
    layer = _layer_of_module(".".join(name.with_suffix("").parts))
    if layer and layer not in LAYERS:
        message = f"{layer} is no layer: add it to tools/check_layers.py or move the file"
        yield Violation(name.as_posix(), 1, "unknown-layer", message)
        return
    read = _read_cython if path.suffix in CYTHON_SUFFIXES else _read_python
    for item in read(path.read_text(encoding="utf-8"), name):
        complaint = _judge(layer, item)
        if complaint:
            yield Violation(name.as_posix(), item.line, *complaint)


def _judge(layer: str, item: _Import) -> tuple[str, str] | None:
    """The rule that ``item`` breaks in a module of ``layer`` and why, or None."""
    top = item.module.partition(".")[0]
    if top == PACKAGE and not _matches(item.module, frozenset({f"{PACKAGE}.{GENERATED}"})):
        return _judge_internal(layer, item)
    if top in sys.stdlib_module_names:
        return None
    # The package's own __init__ belongs to no layer and loads nothing that is not built in.
    own = LAYERS.get(layer, Layer(-1))
    if _matches(item.module, own.anywhere):
        return None
    if not _matches(item.module, own.deferred):
        return "third-party", f"{layer or PACKAGE} must not import {item.module}"
    if item.deferred:
        return None
    return "deferred", f"import {item.module} inside the function that needs it"


def _judge_internal(layer: str, item: _Import) -> tuple[str, str] | None:
    module = item.module
    target = _layer_of_module(module)
    # The package itself may offer what is in its layers, if importing it loads none of them.
    if target in ("", layer) or (layer == "" and target in LAYERS and item.deferred):
        return None
    if target not in LAYERS:
        return "unknown-layer", f"{module} is in no layer"
    height = LAYERS[layer].height if layer else -1
    if LAYERS[target].height < height:
        return None
    rule = "sibling" if LAYERS[target].height == height else "upward"
    return rule, f"{layer or PACKAGE} must not import {target} ({module})"


def _layer_of_module(module: str) -> str:
    """``fuseflow.sim.engine`` -> ``sim``; empty for ``fuseflow`` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else ""


def _matches(module: str, allowed: frozenset[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def _read_python(text: str, name: Path) -> Iterator[_Import]:
    yield from _walk(ast.parse(text), name, deferred=False)


def _walk(node: ast.AST, name: Path, *, deferred: bool) -> Iterator[_Import]:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
        for module in _modules(node, name):
            yield _Import(module, node.lineno, deferred)
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        for statement in node.body:
            yield from _walk(statement, name, deferred=True)
        for statement in node.orelse:
            yield from _walk(statement, name, deferred=deferred)
        return
    inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, name, deferred=inside)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _modules(node: ast.Import | ast.ImportFrom | ast.Call, name: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _absolute(node.module or "", node.level, name)
        return _members(base, [alias.name for alias in node.names])
    function = ast.unparse(node.func)
    if function not in ("importlib.import_module", "import_module", "__import__") or not node.args:
        return []
    match node.args[0]:
        case ast.Constant(value=str(module)):
            return [module]
        case _:
            return []


def _absolute(module: str, level: int, name: Path) -> str:
    """The full name of a relative import; ``name`` is the importing file, from the root."""
    if not level:
        return module
    package = name.parts[: len(name.parts) - level]
    return ".".join([*package, module] if module else package)


def _members(base: str, names: list[str]) -> list[str]:
    """``from fuseflow import ir`` imports a module; ``from fuseflow.ir import Tensor`` does not."""
    if base == PACKAGE:
        return [f"{base}.{name}" if name in {*LAYERS, GENERATED} else base for name in names]
    if base == "google":
        return [f"{base}.{name}" for name in names]
    return [base]


def _read_cython(text: str, name: Path) -> Iterator[_Import]:
    """Line by line, for there is no syntax tree; an indented import is taken for a deferred one."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = CYTHON_IMPORT.match(line)
        if not match:
            continue
        base, names, plain = match.groups()
        modules = [plain] if plain else _members(base, re.findall(r"\w+", names) or [""])
        for module in modules:
            if module.partition(".")[0] not in CYTHON_LIBRARIES:
                yield _Import(module, number, line[0].isspace())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
