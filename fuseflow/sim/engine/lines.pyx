# SPDX-License-Identifier: MIT
"""Reading ahead, by lines (see lines.pxd)."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.memory cimport QUEUE, UNANSWERED, Request, memory_submit
from fuseflow.sim.engine.ring cimport CTL_VALUE, Chan, has, head_ctl, head_int, head_stamp, remove_token
from fuseflow.sim.engine.unit cimport Unit


cdef bint ask(Client* c, int64_t time, int64_t address, int32_t words, bint write,
              int64_t* response) noexcept nogil:
    """Send a request in cycle `time`, or one cycle after the one before."""
    cdef Request r
    r.time = max(time, c.last_time + 1)
    r.address = address
    r.response = response
    r.client = c.number
    r.words = words
    r.owner = c.owner
    r.write = write
    response[0] = UNANSWERED
    c.last_time = r.time
    c.count += 1
    if c.memory.kind == QUEUE:
        c.words += words
    return memory_submit(c.memory, &r)


cdef bint advance(Unit* u, Ahead* a) noexcept nogil:
    """Do all that can be done ahead of the unit; whether that was anything."""
    cdef bint moved = False
    cdef int32_t k
    while _take(u, a):
        moved = True
    for k in range(a.n_readers):
        while _plan_token(a, k):
            moved = True
    return moved


cdef bint _take(Unit* u, Ahead* a) noexcept nogil:
    """Take a token from the input if there is one, and room for it."""
    cdef Chan* c = u.inputs[0]
    cdef Taken* t
    cdef int64_t before = a.taken - a.depth
    if not has(c) or before >= a.served:
        return False
    a.front = max(a.front + 1, head_stamp(c))
    if before >= 0:
        a.front = max(a.front, a.tokens[before & a.mask].served)
    t = &a.tokens[a.taken & a.mask]
    t.ctl = head_ctl(c)
    t.value = head_int(c) if t.ctl == CTL_VALUE else 0
    t.front = a.front
    t.ready = UNANSWERED
    t.pair[0] = -1
    t.pair[1] = -1
    a.taken += 1
    remove_token(c, a.front)
    return True


cdef bint _plan_token(Ahead* a, int32_t k) noexcept nogil:
    """Plan what the next token makes reader k touch; False if something must be known first."""
    cdef Stage* s = &a.stages[k]
    cdef Reader* r = &a.readers[k]
    cdef Taken* t
    cdef int64_t start = 0
    cdef int64_t end = 0
    cdef int64_t first, stop, want
    if s.at == a.taken:
        return False
    t = &a.tokens[s.at & a.mask]
    if t.ctl == CTL_VALUE and 0 <= t.value < a.bound:
        _bytes(a, k, t.value, &start, &end)
    start += r.client.base
    end += r.client.base
    first = start
    if s.next >= 0:
        start = s.next
    while start < end:
        want = t.front if k == 0 else metadata_ready(a, s.at)
        if r.is_metadata and not in_last_line(r, start):
            _settle(a, r)
        if not plan_line(r, start, want):
            s.next = start
            return False
        stop = min(end, r.lines[(r.client.count - 1) & r.mask].start
                   + r.client.memory.dram.line.size)
        _note_uses(a, r, t, s.at, start, stop)
        start = stop
    r.client.words += (end - first) // WORD
    s.at += 1
    s.next = -1
    return True


cdef void _bytes(Ahead* a, int32_t k, int64_t ref, int64_t* start, int64_t* end) noexcept nogil:
    """Say which bytes of its array reader k touches for a reference."""
    if a.segments is NULL:
        start[0] = ref * a.stride
        end[0] = start[0] + a.stride
    elif k == 0:
        start[0] = WORD * ref
        end[0] = start[0] + 2 * WORD
    else:
        start[0] = WORD * a.segments[ref]
        end[0] = WORD * a.segments[ref + 1]


cdef bint plan_line(Reader* r, int64_t address, int64_t want) noexcept nogil:
    """Ask for the line of a word unless it was the last one; False if that must wait."""
    cdef Client* c = &r.client
    cdef Line* line
    cdef int64_t late = 0
    if in_last_line(r, address):
        return True
    if want == UNANSWERED:
        return False
    want = max(want, c.last_time + 1)
    if c.count >= c.window:
        late = released(r, c.count - c.window)
        if late == UNANSWERED:
            return False
        late = max(late - want, 0)
        c.waited += late
    line = &r.lines[c.count & r.mask]
    line.start = line_of(c, address)
    line.time = want + late
    line.first_token = -1
    line.planned = 0
    line.used = 0
    line.last_use = 0
    line.with_before = False
    line.with_after = False
    return ask(c, line.time, line.start, 1, False, &line.response)


cdef void _settle(Ahead* a, Reader* r) noexcept nogil:
    """Note for the tokens of the next line's predecessor in its place when they are ready."""
    cdef Line* line = &r.lines[r.client.count & r.mask]
    cdef int64_t index
    if r.client.count > r.mask:
        for index in range(max(line.first_token, a.served), line.last_token + 1):
            metadata_ready(a, index)


cdef int64_t released(Reader* r, int64_t index) noexcept nogil:
    """Return the cycle in which a line was used up, or UNANSWERED."""
    cdef Line* line = &r.lines[index & r.mask]
    cdef int64_t cycle
    if not r.is_metadata:
        return line.last_use if line.used == line.planned else UNANSWERED
    cycle = max(line.last_use, line.response)
    if line.response == UNANSWERED:
        return UNANSWERED
    if line.with_before:
        cycle = max(cycle, r.lines[(index - 1) & r.mask].response)
        if r.lines[(index - 1) & r.mask].response == UNANSWERED:
            return UNANSWERED
    if line.with_after:
        cycle = max(cycle, r.lines[(index + 1) & r.mask].response)
        if r.lines[(index + 1) & r.mask].response == UNANSWERED:
            return UNANSWERED
    return cycle


cdef void _note_uses(Ahead* a, Reader* r, Taken* t, int64_t token, int64_t start,
                     int64_t stop) noexcept nogil:
    """Note that bytes of the line asked for last will be used for a token."""
    cdef int64_t index = r.client.count - 1
    cdef Line* line = &r.lines[index & r.mask]
    if not r.is_metadata:
        # Coordinates are used word by word, the bytes of a value together.
        line.planned += (stop - start) // WORD if a.segments is not NULL else 1
        return
    line.last_use = t.front
    line.last_token = token
    if line.first_token < 0:
        line.first_token = token
    if t.pair[0] < 0:
        t.pair[0] = index
    elif t.pair[0] != index:
        line.with_before = True
        r.lines[t.pair[0] & r.mask].with_after = True
    t.pair[1] = index if stop - start == 2 * WORD or t.pair[0] != index else t.pair[1]


cdef int64_t metadata_ready(Ahead* a, int64_t index) noexcept nogil:
    """Return when the segment words of a token are here, or UNANSWERED."""
    cdef Taken* t = &a.tokens[index & a.mask]
    cdef Reader* r = &a.readers[0]
    cdef int64_t first, second
    if a.segments is NULL or t.ctl != CTL_VALUE or not 0 <= t.value < a.bound:
        return t.front
    if t.ready != UNANSWERED:
        return t.ready
    if t.pair[1] < 0:
        return UNANSWERED
    first = r.lines[t.pair[0] & r.mask].response
    second = r.lines[t.pair[1] & r.mask].response
    if first == UNANSWERED or second == UNANSWERED:
        return UNANSWERED
    t.ready = max(t.front, max(first, second))
    return t.ready


cdef Line* use_line(Reader* r, int64_t address) noexcept nogil:
    """Return the line of the next word in order of use; NULL while that is not answered."""
    cdef int64_t at = r.at
    if at < r.client.count and not lies_in(r, &r.lines[at & r.mask], address):
        at += 1
    if at >= r.client.count or r.lines[at & r.mask].response == UNANSWERED:
        return NULL
    r.at = at
    return &r.lines[at & r.mask]


cdef void serve_taken(Ahead* a, int64_t clock) noexcept nogil:
    """Note that the unit is done with all that it took."""
    while a.served < a.removed:
        a.tokens[a.served & a.mask].served = clock
        a.served += 1
