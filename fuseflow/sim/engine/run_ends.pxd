# SPDX-License-Identifier: MIT
"""Rules by runs of the units at which streams begin, end and split."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_repsig(Unit* u) noexcept nogil
cdef void run_broadcast(Unit* u) noexcept nogil
cdef void run_repeat(Unit* u) noexcept nogil
cdef void run_level_write(Unit* u) noexcept nogil
cdef void run_val_write(Unit* u) noexcept nogil
