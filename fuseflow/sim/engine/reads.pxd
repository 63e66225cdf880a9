# SPDX-License-Identifier: MIT
"""Reading stored arrays through memory, by lines that a front end reads ahead: scan and array."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_scan_ahead(Unit* u) noexcept nogil
cdef void run_array_ahead(Unit* u) noexcept nogil
