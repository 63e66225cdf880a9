# SPDX-License-Identifier: MIT
"""Where streams begin, end and split: source, root, sink, repsig, broadcast, and the writers."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF, pool_resize
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, has, head_ctl, head_int, head_number,
)
from fuseflow.sim.engine.states cimport (
    COMPRESSED, DENSE, LevelWriteState, SourceState, ValWriteState,
)
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, knows_slot, misaligned, send, stage_ctl, stage_head,
    stage_int, stage_number, take, tick, wait_slot, wait_token,
)


cdef bint step_source(Unit* u) noexcept nogil:
    """source (-> out): send each token at its cycle, or later when a slot is missing."""
    cdef SourceState* s = <SourceState*> u.state
    while s.at < s.count:
        if u.phase == 0:
            if not has_room(u):
                return False
            if s.stamps[s.at] - 1 > u.clock:
                u.clock = s.stamps[s.at] - 1
            _stage_source(u, s)
            u.phase = 1
        if not flush(u):
            return False
        tick(u, u.ii)
        s.at += 1
        u.phase = 0
    return finish(u)


cdef void _stage_source(Unit* u, SourceState* s) noexcept nogil:
    cdef uint8_t ctl = s.ctl[s.at]
    if ctl != CTL_VALUE:
        stage_ctl(u, 0, ctl)
    elif u.outputs[0] is NULL:
        return
    elif s.numbers is not NULL:
        stage_number(u, 0, s.numbers + s.at * u.outputs[0].width, 1)
    else:
        stage_int(u, 0, s.ints[s.at])


cdef bint step_root(Unit* u) noexcept nogil:
    """root (-> ref): the reference 0, then the end."""
    while True:
        if u.phase == 0:
            stage_int(u, 0, 0)
        elif u.phase == 2:
            stage_ctl(u, 0, CTL_DONE)
        elif u.phase == 4:
            return finish(u)
        if u.phase & 1 == 0:
            u.phase += 1
        if not flush(u):
            return False
        tick(u, u.ii)
        u.phase += 1


cdef bint step_sink(Unit* u) noexcept nogil:
    """sink (in): one token per cycle."""
    cdef uint8_t ctl = CTL_VALUE
    while ctl != CTL_DONE:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        ctl = head_ctl(u.inputs[0])
        take(u, 0)
        tick(u, u.ii)
    return finish(u)


cdef bint step_repsig(Unit* u) noexcept nogil:
    """repsig (in -> sig): elements become signals, control tokens stay."""
    if u.phase == 0:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        if u.ctl == CTL_VALUE or u.ctl == CTL_MISSING:
            stage_int(u, 0, 1)
        else:
            stage_ctl(u, 0, u.ctl)
        take(u, 0)
        u.phase = 1
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = 0
    return True


cdef bint step_broadcast(Unit* u) noexcept nogil:
    """broadcast (in -> out_0..): every token to every output with one stamp, at no cost."""
    cdef int32_t k
    if u.phase == 0:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        for k in range(u.n_out):
            stage_head(u, k, 0)
        take(u, 0)
        u.phase = 1
    for k in range(u.n_staged):
        if not knows_slot(u, u.staged[k].port):
            return False
    for k in range(u.n_staged):
        wait_slot(u, u.staged[k].port)
    for k in range(u.n_staged):
        send(u.outputs[u.staged[k].port], &u.staged[k], u.clock + 1)
    u.n_staged = 0
    if u.ctl == CTL_DONE:
        return finish(u)
    u.phase = 0
    return True


cdef bint step_level_write(Unit* u) noexcept nogil:
    """level_write (crd): append coordinates, and a segment for every list that is no child."""
    cdef LevelWriteState* s = <LevelWriteState*> u.state
    cdef uint8_t ctl = CTL_VALUE
    while ctl != CTL_DONE:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        ctl = head_ctl(u.inputs[0])
        if ctl == CTL_VALUE:
            if not write_coordinate(u, s, head_int(u.inputs[0])):
                return False
        elif ctl == CTL_MISSING:
            return misaligned(u, 1)
        take(u, 0)
        if ctl == CTL_VALUE:
            tick(u, u.ii)
        elif ctl & CTL_STOP and ctl >> 3 & 7 == 0:
            if not close_segment(u, s):
                return False
            tick(u, u.ii)
    if s.format != DENSE:
        u.write_bytes += 4 * s.n_coordinates
    if s.format == COMPRESSED:
        u.write_bytes += 4 * s.n_segments
    return finish(u)


cdef bint reserve_coordinates(Unit* u, LevelWriteState* s, int64_t more) noexcept nogil:
    """Make room for more coordinates; False and a fault if there is no memory."""
    cdef int64_t room = s.coordinate_room
    cdef void* larger
    if s.n_coordinates + more <= room:
        return True
    while room < s.n_coordinates + more:
        room = 2 * room if room else 256
    larger = pool_resize(u.pool, s.coordinates, room * sizeof(int64_t))
    if larger is NULL:
        return False
    s.coordinates = <int64_t*> larger
    s.coordinate_room = room
    return True


cdef bint write_coordinate(Unit* u, LevelWriteState* s, int64_t crd) noexcept nogil:
    if not reserve_coordinates(u, s, 1):
        return False
    s.coordinates[s.n_coordinates] = crd
    s.n_coordinates += 1
    return True


cdef bint close_segment(Unit* u, LevelWriteState* s) noexcept nogil:
    """End a list: note where its coordinates end; False and a fault if there is no memory."""
    cdef int64_t room
    cdef void* larger
    if s.n_segments == s.segment_room:
        room = 2 * s.segment_room
        larger = pool_resize(u.pool, s.segments, room * sizeof(int64_t))
        if larger is NULL:
            return False
        s.segments = <int64_t*> larger
        s.segment_room = room
    s.segments[s.n_segments] = s.n_coordinates
    s.n_segments += 1
    return True


cdef bint step_val_write(Unit* u) noexcept nogil:
    """val_write (val, ref?): append values, or store them where the references say."""
    cdef ValWriteState* s = <ValWriteState*> u.state
    cdef bint placed = u.n_in > 1 and u.inputs[1] is not NULL
    while True:
        if u.phase == 0:
            if not has(u.inputs[0]):
                return wait_token(u, 0)
            u.ctl = head_ctl(u.inputs[0])
            if u.ctl <= CTL_MISSING:
                memcpy(s.value, head_number(u.inputs[0]) if u.ctl == CTL_VALUE else s.fill,
                       u.inputs[0].width * sizeof(float))
            take(u, 0)
            u.phase = 1
        if placed and not has(u.inputs[1]):
            return wait_token(u, 1)
        if placed and not same_kind(u.ctl, head_ctl(u.inputs[1])):
            return misaligned(u, 2)
        if u.ctl <= CTL_MISSING and not write_value(u, s, placed):
            return False
        if placed:
            take(u, 1)
        if u.ctl == CTL_DONE:
            u.write_bytes += 4 * s.written * u.inputs[0].width
            tick(u, u.done_cost)
            return finish(u)
        if u.ctl <= CTL_MISSING:
            tick(u, u.ii)
        u.phase = 0


cdef bint same_kind(uint8_t a, uint8_t b) noexcept nogil:
    """Rule Z, but no missing reference: elements meet values, control tokens equal ones."""
    return b != CTL_MISSING and (a == b or (a == CTL_MISSING and b == CTL_VALUE))


cdef bint write_value(Unit* u, ValWriteState* s, bint placed) noexcept nogil:
    """Store the value; False and a fault if its position is out of range or memory is short."""
    cdef int64_t width = u.inputs[0].width
    cdef int64_t at = head_int(u.inputs[1]) if placed else s.count
    if s.positions >= 0 and not 0 <= at < s.positions:
        return fault(u, FAULT_OUT_OF_RANGE_REF, at, s.positions)
    if not placed:
        if not reserve_values(u, s, 1):
            return False
        s.count += 1
    memcpy(s.values + at * width, s.value, width * sizeof(float))
    s.written += 1
    return True


cdef bint reserve_values(Unit* u, ValWriteState* s, int64_t more) noexcept nogil:
    """Make room for more values; False and a fault if there is no memory."""
    cdef int64_t room = s.room
    cdef void* larger
    if s.count + more <= room:
        return True
    while room < s.count + more:
        room = 2 * room if room else 256
    larger = pool_resize(u.pool, s.values, room * u.inputs[0].width * sizeof(float))
    if larger is NULL:
        return False
    s.values = <float*> larger
    s.room = room
    return True
