# SPDX-License-Identifier: MIT
"""Rules of the units that walk the levels of tensors."""

from libc.stdint cimport int64_t, uint8_t

from fuseflow.sim.engine.states cimport LocateState, ScanState
from fuseflow.sim.engine.unit cimport Unit


cdef enum ScanPhase:
    SCAN_NEXT  # read the next reference
    SCAN_FIBER  # emit a coordinate
    SCAN_SEND  # its pair is staged
    SCAN_LOOK  # the fiber is over: the next token decides the stop
    SCAN_STOP  # the stop is staged
    SCAN_DONE


cdef enum LocatePhase:
    LOCATE_PARENT
    LOCATE_TAKE
    LOCATE_PAYLOADS
    LOCATE_SEND
    LOCATE_RETIRE
    LOCATE_RETIRE_STOP


cdef bint step_scan(Unit* u) noexcept nogil
cdef bint step_locate(Unit* u) noexcept nogil
cdef bint rule_a(uint8_t inner, uint8_t outer) noexcept nogil
cdef bint enter_fiber(Unit* u, ScanState* s, int64_t ref) noexcept nogil
cdef int64_t search_fiber(LocateState* s, int64_t parent, int64_t crd) noexcept nogil
