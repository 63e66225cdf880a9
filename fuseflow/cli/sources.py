# SPDX-License-Identifier: MIT
"""Where models come from: the MODEL argument of `ff-import`, in all its forms.

The zoo and factories build modules, the front end imports them; they meet here, since neither may
know the other.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fuseflow.cli.isolate import Stage
from fuseflow.errors import Location, UsageError

if TYPE_CHECKING:
    from fuseflow.frontend.options import ImportOptions
    from fuseflow.ir.einsum import EinsumGraph
    from fuseflow.models import ModelCase

__all__ = ["import_case", "list_zoo", "load_model"]

_ZOO = "zoo:"
_FORMS = "zoo:NAME, package.module:factory, file.py:factory, FILE.onnx, FILE.pt2 or FILE.ein"


def load_model(
    source: str, settings: Mapping[str, str], options: ImportOptions, stage: Stage
) -> EinsumGraph:
    """Import the model that `source` names.

    Args:
        source: any form of `ff-import`'s MODEL.
        settings: texts by key, for models of the zoo and factories.
        options: what the user asks of the import.
        stage: told what is being done.

    Raises:
        UsageError: if there is no such model, or a setting or option does not fit it.
        ModelError: if it cannot be expressed as an einsum graph.
    """
    reader = _READERS.get(Path(source).suffix)
    if reader is not None:
        _refuse("--set", settings, source)
        stage("reading the file")
        return reader(Path(source), options)
    _refuse("--input-shape", options.input_shapes, source)
    build = _builder(source)
    stage("building the model")
    return import_case(build(settings), options, stage)


def list_zoo() -> Iterator[str]:
    """Yield a line for each model of the zoo and for each of its settings."""
    from fuseflow.models import zoo

    for name in zoo.names():
        yield f"{_ZOO}{name}  {zoo.describe(name)}"
        for each in zoo.parameters(name):
            yield f"    {each.name:15} {each.description}, {each.expected} [{each.default}]"


def _builder(source: str) -> Callable[[Mapping[str, str]], ModelCase]:
    """Return what builds the module, given the settings."""
    kind, separator, name = source.rpartition(":")
    if not separator or not kind or not name:
        place = Location(file=source)
        raise UsageError("U010 no-model", "this names no model", where=place, fix=f"use {_FORMS}")
    if source.startswith(_ZOO):
        from fuseflow.models import zoo

        return lambda settings: zoo.build(name, settings)
    reference = f"{_make_importable(kind)}:{name}"
    from fuseflow.models import factory

    return lambda settings: factory.build(reference, settings)


def _make_importable(module: str) -> str:
    """Return the module's name after its folder was put on the path, as `python` itself does."""
    file = Path(module)
    if file.suffix != ".py":
        sys.path.insert(0, str(Path.cwd()))
        return module
    if not file.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=module))
    sys.path.insert(0, str(file.resolve().parent))
    return file.stem


def import_case(
    case: ModelCase, options: ImportOptions | None = None, stage: Stage = lambda _: None
) -> EinsumGraph:
    """Import a model that was built, with the names and formats that come along.

    Raises:
        ModelError: if it cannot be expressed as an einsum graph.
    """
    from fuseflow.frontend.torch.export import compressed_tensors
    from fuseflow.frontend.torch.module import import_torch

    # Compressed layouts are what torch is known to end the process over.
    suspects = compressed_tensors(case.module)
    stage(f"exporting the model, with {', '.join(suspects)}" if suspects else "exporting the model")
    return import_torch(
        case.module,
        case.args,
        name=case.name,
        input_names=case.input_names,
        formats=case.formats,
        options=options,
    )


def _import_onnx(path: Path, options: ImportOptions) -> EinsumGraph:
    from fuseflow.frontend.onnx.reader import import_onnx

    return import_onnx(path, options)


def _import_pt2(path: Path, options: ImportOptions) -> EinsumGraph:
    if importlib.util.find_spec("torch") is None:
        fix = "pip install 'fuseflow[torch]'"
        raise UsageError("U012 no-torch", "reading .pt2 files needs PyTorch", fix=fix)
    from fuseflow.frontend.torch.pt2 import import_pt2

    _refuse("--input-shape", options.input_shapes, str(path))
    return import_pt2(path, options=options)


def _import_ein(path: Path, options: ImportOptions) -> EinsumGraph:
    from fuseflow.cli.kernels import import_kernel

    _refuse("--input-shape", options.input_shapes, str(path))
    _refuse("--sidecar", dict.fromkeys(map(str, options.sidecar)), str(path))
    return import_kernel(path, options)


_READERS: Mapping[str, Callable[[Path, ImportOptions], EinsumGraph]] = {
    ".onnx": _import_onnx,
    ".pt2": _import_pt2,
    ".ein": _import_ein,
}


def _refuse(option: str, given: Mapping[str, object], source: str) -> None:
    """Refuse an option that would be ignored."""
    if given:
        place = Location(file=source)
        raise UsageError(
            "U011 useless-option", f"{option} does not apply to this model", where=place
        )
