# SPDX-License-Identifier: MIT
"""array of scalars on a DRAM, on unbounded channels (see fetch.pxd).

What `lines.pyx` and `reads.pyx` do per token, this does per run of tokens in a line. All times are
affine: runs are cut where they are not.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.lines cimport (
    WORD, Fetch, Line, Piece, Reader, Stretch, lies_in, plan_line, use_line,
)
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF
from fuseflow.sim.engine.ring cimport (
    AFFINE, CTL_DONE, CTL_MISSING, CTL_VALUE, INTS, NUMBERS, RUN_LIMIT, Chan, Entry,
    block_space, has, head_ctl, head_entry, head_stamp, open_entry, put_ctl, put_number, record_run,
    remove_ctl, remove_values, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, affine_times, append_numbers, arrivals, fire, send_numbers, time_of,
)
from fuseflow.sim.engine.states cimport ArrayState
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, has_room, reach_memory, tick, wait_memory, wait_token, wait_until,
)


cdef void run_fetch(Unit* u) noexcept nogil:
    """array (ref -> val): values leave as their lines arrive."""
    cdef Fetch* f = <Fetch*> u.access
    cdef bint moved = True
    while moved and not u.finished:
        moved = False
        while _take(u, f):
            moved = True
        while _plan(f):
            moved = True
        while _use(u, f):
            moved = True


# The front end.

cdef bint _take(Unit* u, Fetch* f) noexcept nogil:
    """Take tokens from the head of the input if there are any, and room for them."""
    cdef Chan* c = u.inputs[0]
    cdef int64_t n = f.used + f.depth - f.taken
    cdef Piece* p
    cdef Stretch* s
    if not has(c) or n <= 0:
        return False
    p = &f.pieces[f.piece_taken & f.mask]
    s = &f.stretches[f.stretch & f.mask]
    if f.taken - f.depth == s.index + s.n:
        f.stretch += 1
        s = &f.stretches[f.stretch & f.mask]
    p.index = f.taken
    p.ctl = head_ctl(c)
    n = min(min(n, values_left(c)), s.index + s.n - (f.taken - f.depth))
    if n <= 0:
        p.n = 1
        p.slope = 0
        p.front = max(max(f.last_front + 1, head_stamp(c)), _served(s, f.taken - f.depth))
        remove_ctl(c)
    else:
        p.n = _enter_values(f, p, head_entry(c), c.pos, n)
        _enter_front(f, p, c, s)
        remove_values(c, p.n)
    f.last_front = p.front + p.slope * (p.n - 1)
    f.taken += p.n
    f.piece_taken += 1
    return True


cdef inline int64_t _served(Stretch* s, int64_t index) noexcept nogil:
    """Return when the unit was done with a token of a stretch."""
    return s.first + s.slope * (index - s.index)


cdef int64_t _enter_values(Fetch* f, Piece* p, Entry* e, int64_t pos, int64_t n) noexcept nogil:
    """Note the references of an entry, or missing tokens; return how many of them there is room for.
    """
    cdef int64_t at = p.index & f.mask
    p.stored = e.kind == INTS
    if p.stored:
        n = min(n, f.mask + 1 - at)
        memcpy(f.values + at, e.data.ints + pos, n * sizeof(int64_t))
    else:
        # Nobody asks for those of missing tokens.
        p.base = e.data.base + e.step * pos
        p.step = e.step
    return n


cdef void _enter_front(Fetch* f, Piece* p, Chan* c, Stretch* s) noexcept nogil:
    """Note when the front end takes values: one per cycle, when they come, when there is room.

    The piece is cut to what is affine.
    """
    cdef Times t = arrivals(c)
    cdef int64_t before = p.index - f.depth
    cdef int64_t n = 1
    cdef int64_t next
    p.front = max(max(f.last_front + 1, time_of(&t, 0)), _served(s, before))
    p.slope = 1
    if not t.explicit and t.slope <= 1 and s.slope <= 1:
        return
    next = p.front
    while n < p.n:
        next = max(max(next + 1, time_of(&t, n)), _served(s, before + n))
        if n == 1:
            p.slope = next - p.front
        elif next != p.front + p.slope * n:
            break
        n += 1
    p.n = n


cdef inline int64_t _value(Fetch* f, Piece* p, int64_t index) noexcept nogil:
    """Return the reference of a token."""
    return f.values[index & f.mask] if p.stored else p.base + p.step * (index - p.index)


cdef inline bint _rises(Piece* p) noexcept nogil:
    """Whether the references of a piece are those of neighbours."""
    return not p.stored and p.step == 1


cdef bint _plan(Fetch* f) noexcept nogil:
    """Ask for the line of the next token, unless that is the last one; False to wait."""
    cdef Reader* r = &f.reader
    cdef Piece* p
    cdef Line* line
    cdef int64_t n, ref, address
    if f.planned == f.taken:
        return False
    p = &f.pieces[f.piece_planned & f.mask]
    n = p.index + p.n - f.planned
    if p.ctl == CTL_VALUE:
        ref = _value(f, p, f.planned)
        if not 0 <= ref < f.bound:
            n = 1
        else:
            address = r.client.base + WORD * ref
            if not plan_line(r, address, p.front + p.slope * (f.planned - p.index)):
                return False
            line = &r.lines[(r.client.count - 1) & r.mask]
            n = min(n, min(_words_left(r, line, address), f.bound - ref)) if _rises(p) else 1
            line.planned += n
            r.client.words += n
    f.planned += n
    if f.planned == p.index + p.n:
        f.piece_planned += 1
    return True


cdef inline int64_t _words_left(Reader* r, Line* line, int64_t address) noexcept nogil:
    """Return how many words a line has from an address on."""
    return (line.start + r.client.memory.dram.line.size - address) // WORD


# The unit.

cdef bint _use(Unit* u, Fetch* f) noexcept nogil:
    """Send what the next token asks for, and what lies in the same line; False to wait."""
    cdef ArrayState* s = <ArrayState*> u.state
    cdef Piece* p = &f.pieces[f.piece_used & f.mask]
    if u.finished or not has_room(u):
        return False
    if f.used == f.taken:
        return wait_token(u, 0)
    if p.ctl == CTL_VALUE:
        return _use_line(u, f, s, p)
    wait_until(u, 0, p.front + p.slope * (f.used - p.index))
    if p.ctl == CTL_MISSING:
        put_number(u.outputs[0], s.fill, u.clock + 1)
    else:
        put_ctl(u.outputs[0], p.ctl, u.clock + 1)
        if p.ctl == CTL_DONE:
            return finish(u)
    tick(u, u.ii)
    _note_served(f, p, 1, u.clock, 0)
    return True


cdef void _note_served(Fetch* f, Piece* p, int64_t n, int64_t first, int64_t slope) noexcept nogil:
    """Note that the unit is done with n tokens of a piece in cycles first, first + slope, .."""
    cdef Stretch* s = &f.stretches[f.stretch_end & f.mask]
    cdef int64_t gap = first - _served(s, f.used - 1)
    if (s.n == 1 or gap == s.slope) and (n == 1 or slope == gap):
        s.slope = gap
        s.n += n
    else:
        f.stretch_end += 1
        s = &f.stretches[f.stretch_end & f.mask]
        s.index = f.used
        s.n = n
        s.first = first
        s.slope = slope
    f.used += n
    if f.used == p.index + p.n:
        f.piece_used += 1


cdef bint _use_line(Unit* u, Fetch* f, ArrayState* s, Piece* p) noexcept nogil:
    """Send the values of references that lie in the next line; False to wait for it."""
    cdef Reader* r = &f.reader
    cdef int64_t ref = _value(f, p, f.used)
    cdef int64_t address = r.client.base + WORD * ref
    cdef int64_t n
    cdef Line* line
    cdef Times t
    if not 0 <= ref < s.positions:
        return fault(u, FAULT_OUT_OF_RANGE_REF, ref, s.positions)
    line = use_line(r, address)
    t = affine_times(p.front + p.slope * (f.used - p.index), p.slope)
    wait_until(u, 0, t.first)
    if line is NULL:
        return wait_memory(u)
    reach_memory(u, line.response)
    n = min(f.planned, p.index + p.n) - f.used
    if _rises(p):
        n = min(n, min(_words_left(r, line, address), s.positions - ref))
    else:
        n = _count_near(f, p, line, n)
    fire(u, &t, u.ii, &n)
    _send(u, f, s, p, n, &t)
    line.used += n
    line.last_use = t.first + t.slope * (n - 1)
    u.read_bytes += WORD * n
    _note_served(f, p, n, t.first + u.ii, t.slope)
    return True


cdef int64_t _count_near(Fetch* f, Piece* p, Line* line, int64_t limit) noexcept nogil:
    """Return how many references from the next one on lie in a line."""
    cdef Reader* r = &f.reader
    cdef int64_t ref
    cdef int64_t n = 1
    limit = min(limit, RUN_LIMIT)
    while n < limit:
        ref = _value(f, p, f.used + n)
        if not 0 <= ref < f.bound or not lies_in(r, line, r.client.base + WORD * ref):
            break
        n += 1
    return n


cdef void _send(Unit* u, Fetch* f, ArrayState* s, Piece* p, int64_t n, Times* t) noexcept nogil:
    """Send the values of the next n references."""
    cdef Chan* c = u.outputs[0]
    cdef int64_t latency = max(u.latency, 1)
    cdef int64_t i
    cdef float* copy
    if _rises(p) and s.step == 1:
        _append_slice(c, s.values + _value(f, p, f.used), n, t, latency)
        return
    copy = <float*> block_space(c, n * sizeof(float))
    for i in range(n):
        copy[i] = s.values[_value(f, p, f.used + i) * s.step]
    t.first += latency - 1
    append_numbers(c, copy, n, t)
    t.first -= latency - 1


cdef void _append_slice(Chan* c, const float* place, int64_t n, Times* t,
                        int64_t latency) noexcept nogil:
    """Append n numbers of a tensor; they extend the last run if they go on where it ended."""
    cdef Entry* e = open_entry(c)
    cdef Entry added
    cdef int64_t gap
    if (e is NULL or e.kind != NUMBERS or e.block is not NULL or e.explicit != AFFINE
            or t.explicit or e.step != 1 or e.data.numbers + e.n != place):
        send_numbers(c, place, 1, NULL, n, t, latency)
        return
    gap = t.first + latency - (e.first + e.slope * (e.n - 1))
    if (e.n > 1 and gap != e.slope) or (n > 1 and t.slope != gap):
        send_numbers(c, place, 1, NULL, n, t, latency)
        return
    if c.record is not NULL:
        added = e[0]
        added.n = <int32_t> n
        added.data.numbers = <float*> place
        added.first = t.first + latency
        added.slope = gap
        record_run(c, &added)
    e.slope = gap
    e.n += <int32_t> n
    c.values += n
    c.fresh = 1
