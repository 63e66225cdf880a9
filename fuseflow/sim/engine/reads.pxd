# SPDX-License-Identifier: MIT
"""Rules of the units that read stored arrays through a memory that takes time."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_scan_vectors(Unit* u) noexcept nogil
cdef bint step_array_vectors(Unit* u) noexcept nogil
cdef void run_scan_ahead(Unit* u) noexcept nogil
cdef void run_array_ahead(Unit* u) noexcept nogil
