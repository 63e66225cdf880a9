# SPDX-License-Identifier: MIT
"""Rounds in which memory answers and clients go on, when no unit can go on without an answer."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.net cimport Net


cdef bint answer_clients(Memory* m, Net* net, int64_t start) noexcept nogil
