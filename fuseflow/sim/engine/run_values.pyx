# SPDX-License-Identifier: MIT
"""Computing numbers by runs: array reads are slices, functions and folds are loops over strips."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundle_ends cimport bundle_reduce
from fuseflow.sim.engine.bundle_values cimport bundle_alu, bundle_array
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF
from fuseflow.sim.engine.ring cimport (
    CTL_STOP, INTS, RANGE, RUN_LIMIT, Chan, Entry, block_space, entry_int, head_entry, is_missing,
    put_number, remove_ctl, remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, append_numbers, arrivals, begin_drain, drain, fire, later, send_numbers,
)
from fuseflow.sim.engine.states cimport AluState, ArrayState, ReduceState
from fuseflow.sim.engine.tiles cimport apply
from fuseflow.sim.engine.unit cimport Unit, arrive, fault, has_room, pass_stop, tick
from fuseflow.sim.engine.values cimport (
    REDUCE_TAKE, finish_total, fold_values, step_alu, step_array, step_reduce,
)


cdef enum:
    PIECE = 8  # so few values are copied, to go on as one run with their neighbours


cdef inline int64_t _strip(Chan* c, int64_t n) noexcept nogil:
    """Cut n to as many values as a block holds."""
    cdef int64_t limit = RUN_LIMIT
    if c.width > 1:
        limit = c.pool.block_bytes / (4 * c.width)
    return n if n < limit else limit


cdef void run_array(Unit* u) noexcept nogil:
    """array: affine references are a slice of the values, others are gathered."""
    cdef ArrayState* s = <ArrayState*> u.state
    cdef Chan* c = u.inputs[0]
    cdef Times t
    cdef Entry* e
    cdef int64_t n
    while True:
        if not has_room(u):
            return
        if u.phase == 0 and bundle_array(u, s):
            continue
        n = values_left(c) if u.phase == 0 else 0
        if n == 0:
            if u.phase == 0 and stop_at_head(c):
                pass_stop(u, c, u.outputs[0])
            elif not step_array(u):
                return
            continue
        e = head_entry(c)
        if e.kind == INTS:
            n = _strip(u.outputs[0], n)
        t = arrivals(c)
        fire(u, &t, u.ii, &n)
        if n <= PIECE and u.latency == 1 and u.outputs[0].width == 1:
            if not _read_piece(u, s, e, c.pos, n, &t):
                return
        elif is_missing(e, c.pos):
            send_numbers(u.outputs[0], s.fill, 0, NULL, n, &t, 1)
        elif not _read(u, s, e, c.pos, n, &t):
            return
        remove_values(c, n)


cdef bint _read_piece(Unit* u, ArrayState* s, Entry* e, int64_t pos, int64_t n,
                      Times* t) noexcept nogil:
    """Send the values of a few references, copied; False and a fault if one is out of range."""
    cdef float* place = <float*> block_space(u.outputs[0], n * sizeof(float))
    cdef int64_t i, ref
    if is_missing(e, pos):
        for i in range(n):
            place[i] = s.fill[0]
    else:
        u.read_bytes += s.bytes * n
        for i in range(n):
            ref = entry_int(e, pos + i)
            if not 0 <= ref < s.positions:
                return fault(u, FAULT_OUT_OF_RANGE_REF, ref, s.positions)
            place[i] = s.values[ref * s.step]
    append_numbers(u.outputs[0], place, n, t)
    return True


cdef bint _read(Unit* u, ArrayState* s, Entry* e, int64_t pos, int64_t n, Times* t) noexcept nogil:
    """Send the values of n references; False and a fault if one is out of range."""
    cdef int64_t first = entry_int(e, pos), last = entry_int(e, pos + n - 1)
    cdef int64_t i, width = u.outputs[0].width
    cdef const int64_t* source
    cdef float* place
    u.read_bytes += s.bytes * n
    if not (0 <= min(first, last) and max(first, last) < s.positions):
        return fault(u, FAULT_OUT_OF_RANGE_REF, max(first, last), s.positions)
    if e.kind == RANGE:
        send_numbers(u.outputs[0], s.values + first * s.step, e.step * s.step, NULL, n, t,
                     u.latency)
        return True
    source = e.data.ints + pos
    for i in range(n):
        if not 0 <= source[i] < s.positions:
            return fault(u, FAULT_OUT_OF_RANGE_REF, source[i], s.positions)
    place = <float*> block_space(u.outputs[0], n * width * sizeof(float))
    if width == 1:
        for i in range(n):
            place[i] = s.values[source[i] * s.step]
    else:
        for i in range(n):
            memcpy(place + i * width, s.values + source[i] * s.step, width * sizeof(float))
    send_numbers(u.outputs[0], place, width, u.outputs[0].current, n, t, u.latency)
    return True


cdef inline const float* _operand(AluState* s, Chan* c, int32_t port, int64_t* step) noexcept nogil:
    """Return where the operands of a run lie and how far apart."""
    cdef Entry* e = head_entry(c)
    if is_missing(e, c.pos):
        step[0] = 0
        return s.fills[port]
    step[0] = e.step
    return e.data.numbers + e.step * c.pos


cdef void run_alu(Unit* u) noexcept nogil:
    """alu: one loop over the operands of a run."""
    cdef AluState* s = <AluState*> u.state
    cdef Chan* a = u.inputs[0]
    cdef Chan* b = u.inputs[1] if s.arity > 1 else NULL
    cdef Times t, other
    cdef int64_t n, step_a, step_b = 0
    cdef const float* left
    cdef const float* right = NULL
    while True:
        if not has_room(u):
            return
        if u.phase == 0 and bundle_alu(u, s):
            continue
        n = values_left(a) if u.phase == 0 else 0
        if b is not NULL and n > 0:
            n = min(n, values_left(b))
        if n == 0:
            if not (u.phase == 0 and _pass_stops(u, a, b)) and not step_alu(u):
                return
            continue
        n = _strip(u.outputs[0], n)
        t = arrivals(a)
        if b is not NULL:
            other = arrivals(b)
            later(u, &t, &other, &n)
            right = _operand(s, b, 1, &step_b)
        fire(u, &t, u.ii, &n)
        left = _operand(s, a, 0, &step_a)
        u.flops += s.flops * n
        _compute_run(u, s, left, step_a, right, step_b, n, &t)
        remove_values(a, n)
        if b is not NULL:
            remove_values(b, n)


cdef inline bint _pass_stops(Unit* u, Chan* a, Chan* b) noexcept nogil:
    """Pass a stop that all operands show; False if they do not."""
    cdef uint8_t stop = stop_at_head(a)
    if not stop:
        return False
    if b is not NULL:
        if stop_at_head(b) != stop:
            return False
        arrive(u, head_entry(b).ctl_stamp)
        remove_ctl(b)
    pass_stop(u, a, u.outputs[0])
    return True


cdef void _compute_run(Unit* u, AluState* s, const float* a, int64_t step_a, const float* b,
                       int64_t step_b, int64_t n, Times* t) noexcept nogil:
    """Send the results of n applications; constant operands are worked on once."""
    cdef Chan* c = u.outputs[0]
    cdef int64_t count = n if step_a or step_b else 1
    cdef float* place = <float*> block_space(c, count * c.width * sizeof(float))
    apply(s, a, step_a, b, step_b, place, count, c.width)
    if count == n and u.latency == 1:
        append_numbers(c, place, n, t)
    else:
        send_numbers(c, place, c.width if count == n else 0, c.current, n, t, u.latency)


cdef void run_reduce(Unit* u) noexcept nogil:
    """reduce: fold a run in order of arrival."""
    cdef ReduceState* s = <ReduceState*> u.state
    cdef Chan* c = u.inputs[0]
    cdef Times t
    cdef Entry* e
    cdef int64_t n, cost
    while True:
        if not has_room(u):
            return
        if u.phase == REDUCE_TAKE and bundle_reduce(u, s):
            continue
        n = values_left(c) if u.phase == REDUCE_TAKE else 0
        if n == 0:
            if not (u.phase == REDUCE_TAKE and _close_total(u, s, c)) and not step_reduce(u):
                return
            continue
        e = head_entry(c)
        cost = u.ii
        if is_missing(e, c.pos):
            cost = u.n_cost
            fold_values(s, s.fill, 0, n, c.width)
        else:
            fold_values(s, e.data.numbers + e.step * c.pos, e.step, n, c.width)
            u.flops += n * c.width
        s.count += n
        t = arrivals(c)
        begin_drain(u, cost, n)
        drain(u, &t, cost, n)
        remove_values(c, n)


cdef inline bint _close_total(Unit* u, ReduceState* s, Chan* c) noexcept nogil:
    """Send the total of a list in the middle of its outer list; False if it is another case."""
    cdef int64_t i
    if stop_at_head(c) != CTL_STOP or s.extent >= 0 or s.fold_columns:
        return False
    if u.n_in > 1 and u.inputs[1] is not NULL:
        return False
    arrive(u, head_entry(c).ctl_stamp)
    finish_total(s, c.width)
    put_number(u.outputs[0], s.total, u.clock + u.latency)
    for i in range(c.width):
        s.total[i] = s.init
    s.count = 0
    remove_ctl(c)
    tick(u, u.ii)
    return True
