# SPDX-License-Identifier: MIT
"""What a join merged in one go, sent by runs."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.states cimport JoinState
from fuseflow.sim.engine.unit cimport Unit


cdef void send_batch(Unit* u, JoinState* s, int64_t n) noexcept nogil
