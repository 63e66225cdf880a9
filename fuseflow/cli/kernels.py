# SPDX-License-Identifier: MIT
"""Einsums as text (`kernel.ein`) with their data -> EinsumGraph."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fuseflow.errors import Finding, GraphError, Location, ModelError, UsageError
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.kernel_text import DataSource, KernelText, parse_kernel
from fuseflow.ir.tensor import Format, Tensor, dense_format, tensor_from_dense
from fuseflow.ir.verify_einsum import verify_einsum_graph

if TYPE_CHECKING:
    from fuseflow.frontend.options import ImportOptions
    from fuseflow.ir.einsum import EinsumGraph, Value

__all__ = ["import_kernel"]


def import_kernel(path: Path, options: ImportOptions) -> EinsumGraph:
    """Read a file of einsums, load or draw its data, and store its results as references.

    Raises:
        UsageError: if there is no such file, or an option names no tensor.
        GraphError: E101 or E102 if the text is wrong, with file and line, or the rule of the
            verifier that its einsums break.
        ModelError: I205 for tensors without data.
        InterchangeError: if a file of data is wrong.
    """
    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=str(path)))
    try:
        text = parse_kernel(path.read_text(), path.stem)
    except GraphError as error:
        findings = [_in_file(item, path) for item in error.findings]
        raise GraphError.from_findings(findings) from error
    loader = _Loader(path, text, options)
    loader.load()
    graph = text.graph
    verify_einsum_graph(graph)
    if options.reference:
        dense = evaluate_outputs(graph)
        graph.outputs = [replace(out, reference=dense[out.name]) for out in graph.outputs]
    return graph


def _in_file(finding: Finding, path: Path) -> Finding:
    return replace(finding, where=replace(finding.where, file=str(path)))


class _Loader:
    """Fills the declared tensors of a text with data."""

    def __init__(self, path: Path, text: KernelText, options: ImportOptions) -> None:
        self.path = path
        self.text = text
        self.options = options
        computed = text.graph.producers()
        self.values = [v for name, v in text.graph.values.items() if name not in computed]

    def load(self) -> None:
        """Load all tensors; those without data are reported together."""
        self._check_names("--bind", self.options.bindings, exact=True)
        self._check_names("--format", self.options.formats, exact=False)
        missing = [value for value in self.values if self._source(value) is None]
        if missing:
            where = Location(file=str(self.path))
            findings = [
                Finding("I205 unbound-input", f'tensor "{value.name}" has no data', where,
                        f"--bind {value.name}=FILE, --random-inputs SEED, or random= in the text")
                for value in missing
            ]  # fmt: skip
            raise ModelError.from_findings(findings)
        for value in self.values:
            source = self._source(value)
            assert source is not None
            value.format = self._format(value)
            value.tensor = self._tensor(value, source)
            value.format = value.tensor.format

    def _check_names(self, option: str, given: Iterable[str], *, exact: bool) -> None:
        names = [value.name for value in self.values]
        for pattern in given:
            fits = (
                pattern in names if exact else any(fnmatch.fnmatchcase(n, pattern) for n in names)
            )
            if not fits:
                message = f'{option}: no declared tensor is called "{pattern}"'
                raise UsageError(
                    "U120 unknown-tensor", message, fix=f"use one of {', '.join(names)}"
                )

    def _source(self, value: Value) -> DataSource | None:
        if value.name in self.options.bindings:
            return DataSource(self.options.bindings[value.name])
        stated = self.text.sources.get(value.name)
        if stated is not None:
            file = str(self.path.parent / stated.file) if stated.file else ""
            return replace(stated, file=file)
        seed = self.options.random_inputs
        return None if seed is None else DataSource(seed=seed)

    def _format(self, value: Value) -> Format | None:
        """Return the format that the user asks for, else the declared one."""
        texts = [text for pattern, text in self.options.formats.items()
                 if fnmatch.fnmatchcase(value.name, pattern)]  # fmt: skip
        return parse_format(texts[0]) if texts else value.format

    def _tensor(self, value: Value, source: DataSource) -> Tensor:
        pattern = value.name in self.text.patterns
        if source.file:
            from fuseflow.interop.tensors.files import read_tensor

            fmt = value.format or (None if value.shape else dense_format(0))
            tensor, remarks = read_tensor(source.file, None if value.fill else fmt, value.shape)
            self.text.graph.notes += remarks
            if value.fill:
                tensor = tensor_from_dense(tensor.to_dense(), fmt, fill=value.fill)
            return replace(tensor, values=None) if pattern else tensor
        assert source.seed is not None
        return self._random(value, source.seed, source.density, pattern=pattern)

    def _random(self, value: Value, seed: int, density: float, *, pattern: bool) -> Tensor:
        from fuseflow.frontend.operands.operand import random_operand

        fmt = value.format or dense_format(len(value.shape))
        drawn = random_operand(value.shape, np.dtype(np.float32), seed, value.name, density).array
        data = np.where(drawn == 0, np.float32(value.fill), drawn) if density < 1 else drawn
        if pattern:
            data = (drawn != 0).astype(np.float32)
        return tensor_from_dense(data, fmt, fill=value.fill, pattern=pattern)
