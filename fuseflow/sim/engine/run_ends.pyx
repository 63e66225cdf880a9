# SPDX-License-Identifier: MIT
"""Copying, repeating and storing by runs: repsig, broadcast, repeat, the writers.

A rule by runs handles runs of values and plain stops; the rest goes through the rule by tokens.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundle_ends cimport bundle_level_write, bundle_val_write
from fuseflow.sim.engine.bundle_values cimport bundle_broadcast, bundle_repeat, bundle_repsig
from fuseflow.sim.engine.ends cimport (
    close_segment, reserve_coordinates, reserve_values, step_broadcast, step_level_write,
    step_repsig, step_val_write,
)
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF
from fuseflow.sim.engine.ring cimport (
    CTL_STOP, INTS, Chan, Entry, absent_at_head, head_entry, is_missing, put_ctl, remove_ctl,
    remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, arrivals, begin_drain, drain, fire, forward, send_range,
)
from fuseflow.sim.engine.shape cimport step_repeat
from fuseflow.sim.engine.states cimport LevelWriteState, RepeatState, ValWriteState
from fuseflow.sim.engine.unit cimport Unit, arrive, fault, has_room, pass_stop, peek, tick


cdef void run_repsig(Unit* u) noexcept nogil:
    """repsig: a run of elements is a run of signals."""
    cdef Times t
    cdef int64_t n
    while True:
        if not has_room(u):
            return
        if u.phase == 0 and bundle_repsig(u):
            continue
        n = values_left(u.inputs[0]) if u.phase == 0 else 0
        if n == 0:
            if u.phase == 0 and stop_at_head(u.inputs[0]):
                pass_stop(u, u.inputs[0], u.outputs[0])
            elif not step_repsig(u):
                return
            continue
        t = arrivals(u.inputs[0])
        fire(u, &t, u.ii, &n)
        send_range(u.outputs[0], 1, 0, n, &t)
        remove_values(u.inputs[0], n)


cdef void run_broadcast(Unit* u) noexcept nogil:
    """broadcast: every output gets the same run; payload and stamps are shared."""
    cdef Times t
    cdef int64_t n
    cdef int32_t k
    cdef Chan* c = u.inputs[0]
    while True:
        if not has_room(u):
            return
        if u.phase == 0 and bundle_broadcast(u):
            continue
        n = values_left(c) if u.phase == 0 else 0
        if n == 0:
            if u.phase == 0 and stop_at_head(c):
                _copy_stop(u, c)
            elif not step_broadcast(u):
                return
            continue
        t = arrivals(c)
        fire(u, &t, 0, &n)
        for k in range(u.n_out):
            forward(u.outputs[k], head_entry(c), c.pos, n, &t, False)
        remove_values(c, n)


cdef inline void _copy_stop(Unit* u, Chan* c) noexcept nogil:
    cdef Entry* e = head_entry(c)
    cdef int32_t k
    arrive(u, e.ctl_stamp)
    for k in range(u.n_out):
        if u.outputs[k] is not NULL:
            put_ctl(u.outputs[k], e.ctl, u.clock + 1)
    remove_ctl(c)


cdef void run_repeat(Unit* u) noexcept nogil:
    """repeat: an outer element becomes as many copies as the run of signals has values."""
    cdef Times t
    cdef int64_t n
    cdef Chan* outer = u.inputs[0]
    cdef Chan* signal = u.inputs[1]
    while True:
        if not has_room(u):
            return
        if u.phase == 0 and bundle_repeat(u, (<RepeatState*> u.state).lookahead):
            continue
        n = values_left(signal) if u.phase == 0 and values_left(outer) else 0
        if n == 0:
            if not (u.phase == 0 and _close_copies(u, outer, signal)) and not step_repeat(u):
                return
            continue
        peek(u, 0)
        t = arrivals(signal)
        fire(u, &t, u.ii, &n)
        forward(u.outputs[0], head_entry(outer), outer.pos, n, &t, True)
        remove_values(signal, n)


cdef inline bint _close_copies(Unit* u, Chan* outer, Chan* signal) noexcept nogil:
    """End the copies of an element before another one; False if that is not what comes."""
    cdef Entry* e
    if stop_at_head(signal) != CTL_STOP or values_left(outer) < 2:
        return False
    e = head_entry(signal)
    peek(u, 0)
    arrive(u, e.ctl_stamp)
    remove_values(outer, 1)
    if (<RepeatState*> u.state).lookahead:
        peek(u, 0)
    put_ctl(u.outputs[0], CTL_STOP, u.clock + 1)
    remove_ctl(signal)
    tick(u, u.ii)
    return True


cdef void run_level_write(Unit* u) noexcept nogil:
    """level_write: append a run of coordinates."""
    cdef LevelWriteState* s = <LevelWriteState*> u.state
    cdef Chan* c = u.inputs[0]
    cdef Times t
    cdef int64_t n
    while True:
        if bundle_level_write(u, s):
            continue
        n = values_left(c)
        if n == 0 or absent_at_head(c):
            if n == 0 and stop_at_head(c):
                if not _write_stop(u, s, c):
                    return
            elif not step_level_write(u):
                return
            continue
        if not append_coordinates(u, s, c, n):
            return
        t = arrivals(c)
        begin_drain(u, u.ii, n)
        drain(u, &t, u.ii, n)
        remove_values(c, n)


cdef bint append_coordinates(Unit* u, LevelWriteState* s, Chan* c, int64_t n) noexcept nogil:
    """Append n coordinates at the head of c; False and a fault if there is no memory."""
    cdef Entry* e = head_entry(c)
    cdef int64_t i, base
    cdef int64_t* to
    if not reserve_coordinates(u, s, n):
        return False
    to = s.coordinates + s.n_coordinates
    if e.kind == INTS:
        memcpy(to, e.data.ints + c.pos, n * sizeof(int64_t))
    else:
        base = e.data.base + e.step * c.pos
        for i in range(n):
            to[i] = base + e.step * i
    s.n_coordinates += n
    return True


cdef inline bint _write_stop(Unit* u, LevelWriteState* s, Chan* c) noexcept nogil:
    cdef Entry* e = head_entry(c)
    arrive(u, e.ctl_stamp)
    if e.ctl >> 3 & 7 == 0:
        if not close_segment(u, s):
            return False
        tick(u, u.ii)
    remove_ctl(c)
    return True


cdef void run_val_write(Unit* u) noexcept nogil:
    """val_write without references: append a run of numbers."""
    cdef ValWriteState* s = <ValWriteState*> u.state
    cdef Chan* c = u.inputs[0]
    cdef Times t
    cdef int64_t n
    while True:
        if u.phase == 0 and bundle_val_write(u, s):
            continue
        n = values_left(c) if u.phase == 0 else 0
        if n == 0:
            if u.phase == 0 and stop_at_head(c):
                arrive(u, head_entry(c).ctl_stamp)
                remove_ctl(c)
            elif not step_val_write(u):
                return
            continue
        if s.positions >= 0 and s.count + n > s.positions:
            fault(u, FAULT_OUT_OF_RANGE_REF, s.positions, s.positions)
            return
        if not append_values(u, s, c, n):
            return
        t = arrivals(c)
        begin_drain(u, u.ii, n)
        drain(u, &t, u.ii, n)
        remove_values(c, n)


cdef bint append_values(Unit* u, ValWriteState* s, Chan* c, int64_t n) noexcept nogil:
    """Append n numbers at the head of c; False and a fault if there is no memory."""
    cdef Entry* e = head_entry(c)
    cdef int64_t i, width = c.width
    cdef float* to
    cdef const float* source = s.fill
    cdef int64_t step = 0
    if not reserve_values(u, s, n):
        return False
    to = s.values + s.count * width
    if not is_missing(e, c.pos):
        source = e.data.numbers + e.step * c.pos
        step = e.step
    if step == width:
        memcpy(to, source, n * width * sizeof(float))
    else:
        for i in range(n):
            memcpy(to + i * width, source + i * step, width * sizeof(float))
    s.count += n
    s.written += n
    return True
