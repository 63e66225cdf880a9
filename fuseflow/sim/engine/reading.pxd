# SPDX-License-Identifier: MIT
"""What the rules of scan and array share: where those stand that reach for memory, and stops."""

from libc.stdint cimport int32_t, uint8_t

from fuseflow.sim.engine.ring cimport CTL_STOP, Chan, has, head_ctl
from fuseflow.sim.engine.states cimport ScanState
from fuseflow.sim.engine.unit cimport Unit, misaligned, peek, stage_ctl, stage_int, take, wait_token


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


cdef inline bint stage_stop_of_fiber(Unit* u) noexcept nogil:
    """Stage the stop of a fiber: it takes over a stop that follows; False if that must wait."""
    cdef Chan* c = u.inputs[0]
    cdef uint8_t ctl
    if not has(c):
        return wait_token(u, 0)
    ctl = head_ctl(c)
    peek(u, 0)
    if ctl & CTL_STOP and ctl >> 3 & 7:
        return misaligned(u, 1)
    if ctl & CTL_STOP:
        take(u, 0)
    stage_both(u, ctl + 1 if ctl & CTL_STOP else CTL_STOP)
    return True


cdef inline void stage_pair(Unit* u, ScanState* s) noexcept nogil:
    """Stage the next coordinate of the fiber under way, and its position."""
    stage_int(u, 0, s.coordinates[s.at])
    stage_int(u, 1, s.at)
    s.at += 1
