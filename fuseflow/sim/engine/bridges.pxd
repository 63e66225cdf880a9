# SPDX-License-Identifier: MIT
"""Bridges: how tokens and removals get from one part of a machine to another (see parts.pxd)."""

from libc.stdint cimport int32_t

from fuseflow.sim.engine.parts cimport Bridge, Crew
from fuseflow.sim.engine.pool cimport Pool
from fuseflow.sim.engine.ring cimport Chan


cdef bint bridge_open(Bridge* b, Pool* near, Pool* far) noexcept nogil
cdef void bridge_close(Bridge* b, Pool* near, Pool* far, Pool* whole) noexcept nogil
cdef bint learn(Bridge* b) noexcept nogil
cdef void exchange(Crew* crew, int32_t part) noexcept nogil
cdef void settle(Crew* crew, int32_t part) noexcept nogil
cdef void rehome(Chan* c, Pool* before, Pool* pool) noexcept nogil
cdef void leave_blocks(Chan* c, Pool* pool) noexcept nogil
