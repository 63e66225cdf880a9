"""Fusion compiler and cycle-accurate simulator for sparse deep learning on dataflow machines.

The work is in the subpackages: ``ir`` holds the data, ``wire`` knows its bytes, ``frontend`` reads
models, ``fusion`` compiles them, ``sim`` runs them. This module imports none of these before they
are needed, so that a command pays only for what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuseflow.frontend import export

__all__ = ["__version__", "export"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import what is offered here from the subpackages when it is first asked for."""
    if name == "export":
        from fuseflow.frontend import export

        return export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
