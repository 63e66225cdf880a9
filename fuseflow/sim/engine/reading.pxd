# SPDX-License-Identifier: MIT
"""What the rules of scan and array share that reach for memory: where an iteration stands."""

from libc.stdint cimport int32_t, uint8_t

from fuseflow.sim.engine.states cimport ScanState
from fuseflow.sim.engine.unit cimport Unit, stage_ctl, stage_int


cdef enum Phase:
    NEXT  # read the next token
    METADATA  # wait for the segment words
    FIBER  # go on with the fiber, or the collected references
    ANSWER  # wait for a vector
    PAIR  # the next coordinate
    SEND  # what is staged, without a tick
    LOOK  # the fiber is over: the next token decides the stop
    CLOSE  # what is staged ends the iteration


cdef inline void stage_both(Unit* u, uint8_t ctl) noexcept nogil:
    """Stage a control token on all outputs."""
    cdef int32_t k
    for k in range(u.n_out):
        stage_ctl(u, k, ctl)


cdef inline void stage_pair(Unit* u, ScanState* s) noexcept nogil:
    """Stage the next coordinate of the fiber under way, and its position."""
    stage_int(u, 0, s.coordinates[s.at])
    stage_int(u, 1, s.at)
    s.at += 1
