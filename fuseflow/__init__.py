"""Fusion compiler and cycle-accurate simulator for sparse deep learning on dataflow machines.

The work is in the subpackages: ``ir`` holds the data, ``wire`` knows its bytes, ``frontend`` reads
models, ``fusion`` compiles them, ``sim`` runs them, ``report`` shows what came out. What most
programs need of them is offered here too. This module imports none of them before they are needed,
so that a command pays only for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuseflow.frontend import ImportOptions, export, import_onnx, import_pt2, import_torch
    from fuseflow.fusion import FuseOptions, Strategy, fuse
    from fuseflow.ir.hardware import HardwareConfig, MemoryConfig, TimingConfig
    from fuseflow.report import describe
    from fuseflow.sim import simulate

__all__ = [
    "FuseOptions",
    "HardwareConfig",
    "ImportOptions",
    "MemoryConfig",
    "Strategy",
    "TimingConfig",
    "__version__",
    "describe",
    "export",
    "fuse",
    "import_onnx",
    "import_pt2",
    "import_torch",
    "simulate",
]

__version__ = "0.1.0"

_OFFERED = {
    "fuseflow.frontend": ("ImportOptions", "export", "import_onnx", "import_pt2", "import_torch"),
    "fuseflow.fusion": ("FuseOptions", "Strategy", "fuse"),
    "fuseflow.ir.hardware": ("HardwareConfig", "MemoryConfig", "TimingConfig"),
    "fuseflow.report": ("describe",),
    "fuseflow.sim": ("simulate",),
}


def __getattr__(name: str) -> object:
    """Import what is offered here from the subpackages when it is first asked for."""
    for module, names in _OFFERED.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return what is offered, loaded or not."""
    return sorted({*globals(), *__all__})
