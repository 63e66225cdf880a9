# SPDX-License-Identifier: MIT
"""What a user may ask of an import; the same for every source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fuseflow.frontend.storage.sidecar import SidecarEntry

__all__ = ["ImportOptions"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options of an import.

    `formats` maps tensor names or globs to format texts (see `storage.format_text`) and wins over
    everything else; `sidecar` holds the entries of a sidecar file, which come next. Values with at
    least `min_elements` elements, of which at most a share of `density_threshold` is not zero, are
    stored sparse. `reference` keeps the framework's outputs in the graph; `check` compares what the
    graph computes with them (None: unless that is much work). `empty_rows` says what to do with a
    softmax row whose mask allows nothing, where the framework gives NaN or a mean: "error", or
    "zero" to take such a row as zero. `bindings` maps inputs to files of operands (see
    `bind.read_operand`); inputs that have no data at all are drawn at random from the seed
    `random_inputs`, or refused if it is None. `input_shapes` fixes the shape of inputs
    that an ONNX file leaves open. `partial` leaves out operators that are not supported, and what
    depends on them: the outputs are then the values that they would have read.
    """

    formats: Mapping[str, str] = field(default_factory=dict)
    density_threshold: float = 0.5
    min_elements: int = 64
    reference: bool = True
    check: bool | None = None
    empty_rows: str = "error"
    bindings: Mapping[str, str] = field(default_factory=dict)
    random_inputs: int | None = None
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    partial: bool = False
    sidecar: tuple[SidecarEntry, ...] = ()
