# SPDX-License-Identifier: MIT
"""Memory models: what becomes of the requests of a kernel, and where its tensors lie.

The models here are the readable ones that the twin uses; the engine has its own, equal ones. The
rules by which units turn accesses into requests belong to the simulators, not to this package.
"""

from fuseflow.sim.memory.addresses import AddressMap, allocate
from fuseflow.sim.memory.clients import arrays_of, first_clients, owners_of
from fuseflow.sim.memory.dram import Dram
from fuseflow.sim.memory.model import MemoryModel, make_memory
from fuseflow.sim.memory.queue_server import QueueServer
from fuseflow.sim.memory.request import (
    UNKNOWN,
    ChannelFigures,
    ClientFigures,
    Latencies,
    MemoryFigures,
    Request,
)

__all__ = [
    "UNKNOWN",
    "AddressMap",
    "ChannelFigures",
    "ClientFigures",
    "Dram",
    "Latencies",
    "MemoryFigures",
    "MemoryModel",
    "QueueServer",
    "Request",
    "allocate",
    "arrays_of",
    "first_clients",
    "make_memory",
    "owners_of",
]
