# SPDX-License-Identifier: MIT
"""Reading stored arrays through memory, by vectors: scan and array."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_scan_vectors(Unit* u) noexcept nogil
cdef bint step_array_vectors(Unit* u) noexcept nogil
cdef void run_scan_vectors(Unit* u) noexcept nogil
cdef void run_array_vectors(Unit* u) noexcept nogil
