# SPDX-License-Identifier: MIT
"""What a memory model is, and which one a configuration asks for."""

from __future__ import annotations

from typing import Protocol

from fuseflow.ir.hardware import MemoryConfig
from fuseflow.sim.memory.dram import Dram
from fuseflow.sim.memory.queue_server import QueueServer
from fuseflow.sim.memory.request import MemoryFigures, Request

__all__ = ["MemoryModel", "make_memory"]


class MemoryModel(Protocol):
    """Answers requests in the order of their cycles, not in that of their arrival here."""

    figures: MemoryFigures

    def submit(self, request: Request) -> None:
        """Accept a request; the requests of one client come in the order of their cycles."""

    def serve(self) -> list[Request]:
        """Answer those requests that no request to come can affect, and return them.

        To be called when no client can issue a request without an answer. Nothing is returned only
        if everything is answered.
        """


def make_memory(config: MemoryConfig) -> MemoryModel | None:
    """Return the model, None for ideal memory, which answers at once."""
    if config.model == "comal-hbm":
        return QueueServer(config.comal_hbm)
    return Dram(config.hbm2) if config.model == "hbm2" else None
