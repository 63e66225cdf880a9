# SPDX-License-Identifier: MIT
"""The horizon of memory (see horizon.pxd).

No unit can go on; each waits for an answer, for somebody who waits for one, or because the engine
holds it up. Nothing happens at a unit before its clock, before an answer that it waits for, nor
before the unit that owes it a token can send one. The earliest request of all clients under these
bounds is the horizon: all that memory does before it is final.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.lines cimport (
    BY_RUNS, BY_TOKENS, Access, Ahead, Fetch, Line, Reader, Stage, released,
)
from fuseflow.sim.engine.memory cimport UNANSWERED, Memory, memory_latency
from fuseflow.sim.engine.ring cimport Chan, has, head_stamp
from fuseflow.sim.engine.shape cimport step_hold
from fuseflow.sim.engine.unit cimport WAIT_MEMORY, WAIT_ROOM, WAIT_TOKEN, Unit

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef struct Bounds:
    int64_t latency  # of the fastest answer
    int64_t answer  # no answer comes before
    int64_t least  # nothing happens before
    int64_t* earliest  # by unit: it does nothing before


cdef int64_t horizon(Memory* m, int64_t start, Unit* units, int32_t n_units,
                     const int32_t* producers, int64_t limit) noexcept nogil:
    """Return a cycle before which no client asks for anything."""
    cdef Bounds b
    cdef Unit* u
    cdef int32_t index
    cdef int64_t least = NEVER
    b.latency = memory_latency(m)
    b.answer = start + b.latency
    b.least = b.answer
    b.earliest = m.earliest
    for index in range(n_units):
        u = &units[index]
        b.earliest[index] = NEVER if _is_over(u, limit) else u.clock
        if u.wait == WAIT_ROOM and b.earliest[index] < b.least:
            b.least = u.clock
    for index in range(n_units):
        u = &units[index]
        if b.earliest[index] == NEVER:
            continue
        b.earliest[index] = max(_earliest(u, index, producers, &b), b.least)
        if u.access is not NULL:
            least = min(least, _next_request(u, index, producers, &b))
    return max(least, b.least)


cdef inline bint _is_over(Unit* u, int64_t limit) noexcept nogil:
    """Whether a unit does nothing more."""
    return u.finished or (limit >= 0 and u.clock > limit)


cdef int64_t _earliest(Unit* u, int32_t index, const int32_t* producers, Bounds* b) noexcept nogil:
    """Return a cycle before which a unit does nothing."""
    cdef Access* access = <Access*> u.access
    if u.wait == WAIT_MEMORY:
        return max(u.clock, b.answer)
    # A hold may remove outer tokens without waiting for them.
    if u.wait != WAIT_TOKEN or u.step is step_hold:
        return u.clock
    if access is not NULL and access.kind == BY_TOKENS:
        return max(u.clock, _next_front(u, (<Ahead*> u.access).front, index, producers, b))
    if access is not NULL and access.kind == BY_RUNS:
        return max(u.clock, _next_front(u, (<Fetch*> u.access).last_front, index, producers, b))
    return max(u.clock, _next_stamp(u, u.wait_port, index, producers, b))


cdef int64_t _next_stamp(Unit* u, int32_t port, int32_t index, const int32_t* producers,
                         Bounds* b) noexcept nogil:
    """Return a cycle before which the next token of an input cannot be read."""
    cdef Chan* c = u.inputs[port]
    cdef int32_t producer = producers[c.index]
    if has(c):
        return head_stamp(c)
    # Units come in the order of their streams; of any other one too little is known by now.
    return b.earliest[producer] + 1 if producer < index else b.least


cdef int64_t _next_front(Unit* u, int64_t front, int32_t index, const int32_t* producers,
                         Bounds* b) noexcept nogil:
    """Return a cycle before which a front end takes no token."""
    return max(front + 1, _next_stamp(u, 0, index, producers, b))


cdef int64_t _next_request(Unit* u, int32_t index, const int32_t* producers,
                           Bounds* b) noexcept nogil:
    """Return a cycle before which a unit asks memory for nothing."""
    cdef Ahead* a
    cdef Fetch* f
    cdef int64_t front, found
    cdef int32_t k
    if (<Access*> u.access).kind == BY_TOKENS:
        a = <Ahead*> u.access
        front = _next_front(u, a.front, index, producers, b)
        if a.taken - a.depth >= a.served:
            front = max(front, b.earliest[index])
        found = NEVER
        for k in range(a.n_readers):
            found = min(found, _reader_bound(&a.readers[k], a.stages[k].at < a.taken, front,
                                             b.earliest[index],
                                             _metadata_bound(a, b) if k else b.answer))
        return found
    if (<Access*> u.access).kind == BY_RUNS:
        f = <Fetch*> u.access
        front = _next_front(u, f.last_front, index, producers, b)
        if f.taken - f.depth >= f.used:
            front = max(front, b.earliest[index])
        return _reader_bound(&f.reader, f.planned < f.taken, front, b.earliest[index], b.answer)
    return b.earliest[index]


cdef int64_t _metadata_bound(Ahead* a, Bounds* b) noexcept nogil:
    """Return a cycle before which the metadata of the next token are not here."""
    cdef Stage* s = &a.stages[1]
    cdef Reader* r = &a.readers[0]
    cdef Line* line
    cdef int64_t found = b.answer
    cdef int32_t k
    if s.at == a.taken:
        return found
    for k in range(2):
        line = &r.lines[a.tokens[s.at & a.mask].pair[k] & r.mask]
        if a.tokens[s.at & a.mask].pair[k] >= 0 and line.response == UNANSWERED:
            found = max(found, line.time + b.latency)
    return found


cdef int64_t _reader_bound(Reader* r, bint pending, int64_t front, int64_t earliest,
                           int64_t answer) noexcept nogil:
    """Return a cycle before which a reader asks for nothing.

    `pending`: it has a token to do, which waits for the window, or for an answer not before
    `answer`.
    """
    cdef int64_t found = r.client.last_time + 1
    if not pending:
        return max(found, front)
    if (not r.is_metadata and r.client.count >= r.client.window
            and released(r, r.client.count - r.client.window) == UNANSWERED):
        return max(found, earliest)
    return max(found, answer)
