# SPDX-License-Identifier: MIT
"""Walking the levels of tensors, token by token: scan, full, locate."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport (
    FAULT_OUT_OF_RANGE_CRD, FAULT_OUT_OF_RANGE_REF,
)
from fuseflow.sim.engine.reading cimport stage_both, stage_stop_of_fiber
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Chan, has, head_ctl, head_int,
)
from fuseflow.sim.engine.states cimport COMPRESSED, DENSE, LocateState, ScanState
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, misaligned, peek, stage_ctl, stage_head, stage_int,
    take, tick, wait_token,
)


cdef bint step_scan(Unit* u) noexcept nogil:
    """scan (ref -> crd, ref) and full (in -> crd): every element becomes the fiber below it."""
    cdef ScanState* s = <ScanState*> u.state
    if u.phase == SCAN_NEXT and not _scan_next(u, s):
        return False
    if u.phase == SCAN_FIBER:
        if s.at == s.end:
            u.phase = SCAN_LOOK
        elif not has_room(u):
            return False
        else:
            _stage_pair(u, s)
            u.phase = SCAN_SEND
    if u.phase == SCAN_LOOK:
        if not stage_stop_of_fiber(u):
            return False
        u.phase = SCAN_STOP
    if not flush(u):
        return False
    if u.phase == SCAN_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = SCAN_FIBER if u.phase == SCAN_SEND else SCAN_NEXT
    return True


cdef bint _scan_next(Unit* u, ScanState* s) noexcept nogil:
    """Begin with the next token of the input; False if that has to wait."""
    cdef Chan* c = u.inputs[0]
    cdef uint8_t ctl
    if not has_room(u):
        return False
    if not has(c):
        return wait_token(u, 0)
    ctl = head_ctl(c)
    if ctl == CTL_VALUE:
        if not enter_fiber(u, s, 0 if s.parents < 0 else head_int(c)):
            return False
        u.phase = SCAN_FIBER
    elif ctl == CTL_MISSING:
        s.at = 0
        s.end = s.size if s.parents < 0 else 0
        u.phase = SCAN_FIBER
    else:
        # A stop without an element before it closes an empty list, one level further out.
        stage_both(u, ctl if ctl == CTL_DONE else ctl + 9)
        u.phase = SCAN_DONE if ctl == CTL_DONE else SCAN_STOP
    take(u, 0)
    return True


cdef bint enter_fiber(Unit* u, ScanState* s, int64_t ref) noexcept nogil:
    """Find the fiber of a reference; False and a fault if there is none."""
    if s.parents >= 0 and not 0 <= ref < s.parents:
        return fault(u, FAULT_OUT_OF_RANGE_REF, ref, s.parents)
    if s.format == DENSE:
        s.at = 0
        s.end = s.size
        s.origin = ref * s.size
    elif s.format == COMPRESSED:
        s.at = s.segments[ref]
        s.end = s.segments[ref + 1]
        u.read_bytes += 4 * (2 + s.end - s.at)
    else:
        s.at = ref
        s.end = ref + 1
        u.read_bytes += 4
    return True


cdef void _stage_pair(Unit* u, ScanState* s) noexcept nogil:
    if s.format == DENSE:
        stage_int(u, 0, s.at)
        if u.n_out > 1:
            stage_int(u, 1, s.origin + s.at)
    else:
        stage_int(u, 0, s.coordinates[s.at])
        stage_int(u, 1, s.at)
    s.at += 1


cdef bint step_locate(Unit* u) noexcept nogil:
    """locate (crd, parent?, pay* -> crd, loc, pay*): the reference of each coordinate."""
    cdef LocateState* s = <LocateState*> u.state
    if u.phase == LOCATE_PARENT:
        if not has_room(u):
            return False
        if u.inputs[1] is not NULL:
            if not has(u.inputs[1]):
                return wait_token(u, 1)
            peek(u, 1)
        u.phase = LOCATE_TAKE
    if u.phase == LOCATE_TAKE:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        if not _locate_head(u, s):
            return False
        take(u, 0)
        u.port = 2
        u.phase = LOCATE_PAYLOADS
    if u.phase == LOCATE_PAYLOADS:
        if not _locate_payloads(u):
            return False
        u.read_bytes += s.reads
        if u.ctl == CTL_VALUE:
            stage_int(u, 0, s.crd)
        else:
            stage_ctl(u, 0, u.ctl)
        u.phase = LOCATE_SEND
    if u.phase == LOCATE_SEND:
        if not flush(u):
            return False
        u.phase = LOCATE_RETIRE
    if not _locate_retire(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, s.cost)
    u.phase = LOCATE_PARENT
    return True


cdef bint _locate_head(Unit* u, LocateState* s) noexcept nogil:
    """Compute and stage what belongs to the coordinate token; False and a fault if it is wrong."""
    cdef uint8_t ctl = head_ctl(u.inputs[0])
    cdef uint8_t outer = CTL_VALUE if u.inputs[1] is NULL else head_ctl(u.inputs[1])
    u.ctl = ctl
    s.cost = u.ii
    s.reads = 0
    s.crd = head_int(u.inputs[0]) if ctl == CTL_VALUE else 0
    if ctl == CTL_MISSING or (u.inputs[1] is not NULL and not rule_a(ctl, outer)):
        return misaligned(u, 3)
    if ctl != CTL_VALUE:
        stage_ctl(u, 1, ctl)
    else:
        if not 0 <= s.crd < s.size:
            return fault(u, FAULT_OUT_OF_RANGE_CRD, s.crd, s.size)
        if outer == CTL_MISSING:
            stage_ctl(u, 1, CTL_MISSING)
        else:
            return _stage_location(u, s, 0 if u.inputs[1] is NULL else head_int(u.inputs[1]))
    return True


cdef bint rule_a(uint8_t inner, uint8_t outer) noexcept nogil:
    """Whether the head of the outer stream fits a token of the inner one."""
    if inner == CTL_DONE or outer == CTL_DONE:
        return inner == outer
    if inner & CTL_STOP and inner >> 3 & 7:
        return outer == inner - 9
    return outer <= CTL_MISSING


cdef bint _stage_location(Unit* u, LocateState* s, int64_t parent) noexcept nogil:
    cdef int64_t found
    cdef int64_t length
    if not s.search:
        stage_int(u, 1, parent * s.parent_stride + s.crd * s.stride + s.base)
        return True
    if not 0 <= parent < s.parents:
        return fault(u, FAULT_OUT_OF_RANGE_REF, parent, s.parents)
    found = search_fiber(s, parent, s.crd)
    if found < 0:
        stage_ctl(u, 1, CTL_MISSING)
    else:
        stage_int(u, 1, found)
    length = s.segments[parent + 1] - s.segments[parent]
    s.reads = 8
    while length:
        s.cost += 1
        s.reads += 4
        length >>= 1
    return True


cdef int64_t search_fiber(LocateState* s, int64_t parent, int64_t crd) noexcept nogil:
    """Return the position of a coordinate in a compressed fiber, -1 if it is not stored."""
    cdef int64_t low = s.segments[parent]
    cdef int64_t end = s.segments[parent + 1]
    cdef int64_t high = end
    cdef int64_t middle
    while low < high:
        middle = (low + high) >> 1
        if s.coordinates[middle] < crd:
            low = middle + 1
        else:
            high = middle
    return low if low < end and s.coordinates[low] == crd else -1


cdef bint _locate_payloads(Unit* u) noexcept nogil:
    """Remove one token of every payload and stage it; False to wait."""
    cdef uint8_t ctl
    while u.port < u.n_in:
        if not has(u.inputs[u.port]):
            return wait_token(u, u.port)
        ctl = head_ctl(u.inputs[u.port])
        if ctl != u.ctl and not (u.ctl == CTL_VALUE and ctl == CTL_MISSING):
            return misaligned(u, 1 | <int64_t> 1 << u.port)
        stage_head(u, u.port, u.port)
        take(u, u.port)
        u.port += 1
    return True


cdef bint _locate_retire(Unit* u) noexcept nogil:
    """Retire the parent that a stop leaves behind; False to wait for the parent's stop."""
    cdef Chan* parent = u.inputs[1]
    if parent is NULL or not (u.ctl & CTL_STOP or u.ctl == CTL_DONE):
        return True
    if u.phase == LOCATE_RETIRE:
        take(u, 1)
        u.phase = LOCATE_RETIRE_STOP
    if u.ctl == CTL_DONE or u.ctl >> 3 & 7 or not u.ctl & 7:
        return True
    if not has(parent):
        return wait_token(u, 1)
    if head_ctl(parent) != u.ctl - 1:
        return misaligned(u, 3)
    take(u, 1)
    return True
