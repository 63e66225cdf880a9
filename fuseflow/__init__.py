"""Fusion compiler and cycle-accurate simulator for sparse deep learning on dataflow machines.

The work is in the subpackages: ``ir`` holds the data, ``wire`` knows its bytes, ``frontend`` reads
models, ``fusion`` compiles them, ``sim`` runs them. This module imports none of these, so that a
command pays only for what it uses.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
