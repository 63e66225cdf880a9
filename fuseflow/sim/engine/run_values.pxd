# SPDX-License-Identifier: MIT
"""Rules by runs of the units that compute numbers."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_array(Unit* u) noexcept nogil
cdef void run_alu(Unit* u) noexcept nogil
cdef void run_reduce(Unit* u) noexcept nogil
