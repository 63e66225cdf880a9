# SPDX-License-Identifier: MIT
"""Rules of the units that remove elements."""

from fuseflow.sim.engine.unit cimport Unit


cdef int step_drop(Unit* u) noexcept nogil
cdef int step_mask(Unit* u) noexcept nogil
cdef int step_valdrop(Unit* u) noexcept nogil
