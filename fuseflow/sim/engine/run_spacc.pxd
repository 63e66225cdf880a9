# SPDX-License-Identifier: MIT
"""Rule by runs of the sparse accumulator, and its strip."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.accumulate cimport SpaccState
from fuseflow.sim.engine.unit cimport Unit


cdef void run_spacc(Unit* u) noexcept nogil
