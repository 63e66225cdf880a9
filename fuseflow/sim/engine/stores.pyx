# SPDX-License-Identifier: MIT
"""Writing arrays through memory: level_write and val_write, by vectors or by lines."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.ends cimport close_segment, same_kind, write_coordinate, write_value
from fuseflow.sim.engine.lines cimport WORD, Stores, Writer, ask, line_of
from fuseflow.sim.engine.memory cimport DRAM, QUEUE, UNANSWERED
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Chan, absent_at_head, has, head_ctl, head_int,
    head_number, remove_values, values_left,
)
from fuseflow.sim.engine.run_ends cimport append_coordinates, append_values
from fuseflow.sim.engine.runs cimport Times, arrivals, begin_drain, drain
from fuseflow.sim.engine.states cimport LevelWriteState, ValWriteState
from fuseflow.sim.engine.unit cimport (
    Unit, finish, misaligned, reach_memory, take, tick, wait_memory, wait_token,
)


cdef enum Phase:
    START
    FIRST  # the segment array begins with a word of its own
    TAKE
    PLACE  # val_write: remove the reference
    STORE  # put what the token brought
    END  # send what is left


cdef void _put(Writer* w, int64_t first, int64_t words) noexcept nogil:
    """Begin to write words of an array; `_store` does it."""
    w.next = w.client.base + WORD * first
    w.end = w.next + WORD * words
    if w.client.memory.kind == DRAM:
        w.client.words += words
    w.entries += 1
    w.words += words


cdef bint _store(Unit* u, Writer* w) noexcept nogil:
    """Write what was put; False to wait for memory."""
    if w.client.memory.kind == QUEUE:
        return w.entries < w.limit or _send_vector(u, w)
    return _store_lines(u, w)


cdef bint _close(Unit* u, Writer* w) noexcept nogil:
    """Send what is left; False to wait for memory."""
    if w.client.memory.kind == QUEUE:
        return w.words == 0 or _send_vector(u, w)
    return w.line < 0 or _post(u, w)


cdef bint _send_vector(Unit* u, Writer* w) noexcept nogil:
    if not w.asked:
        w.asked = True
        if not ask(&w.client, u.clock, 0, <int32_t> w.words, True, &w.responses[0]):
            return False
    if w.responses[0] == UNANSWERED:
        return wait_memory(u)
    reach_memory(u, w.responses[0])
    w.asked = False
    w.entries = 0
    w.words = 0
    return True


cdef bint _store_lines(Unit* u, Writer* w) noexcept nogil:
    cdef int64_t size = w.client.memory.dram.line.size
    cdef int64_t line, stop
    if w.next < w.end and line_of(&w.client, w.next) == w.line and w.filled + w.end - w.next < size:
        w.filled += w.end - w.next
        w.next = w.end
        return True
    while True:
        if w.line >= 0 and w.filled >= size and not _post(u, w):
            return False
        if w.next >= w.end:
            return True
        line = line_of(&w.client, w.next)
        if w.line >= 0 and w.line != line and not _post(u, w):
            return False
        if w.line < 0:
            w.line = line
            w.filled = 0
        stop = min(w.end, line + size)
        w.filled += stop - w.next
        w.next = stop


cdef bint _post(Unit* u, Writer* w) noexcept nogil:
    """Send the line in the buffer; False while too many are not answered."""
    cdef int64_t response
    if w.client.count >= w.client.window:
        response = w.responses[(w.client.count - w.client.window) & w.mask]
        if response == UNANSWERED:
            return wait_memory(u)
        w.client.waited += max(response - max(u.clock, w.client.last_time + 1), 0)
        reach_memory(u, response)
    if not ask(&w.client, u.clock, w.line, 1, True,
               &w.responses[w.client.count & w.mask]):
        return False
    w.line = -1
    return True


cdef bint _close_all(Unit* u, Stores* stores) noexcept nogil:
    while u.port < stores.n_writers:
        if not _close(u, &stores.writers[u.port]):
            return False
        u.port += 1
    return True


cdef bint step_level_store(Unit* u) noexcept nogil:
    """level_write (crd): coordinates and, of a compressed level, segments."""
    cdef LevelWriteState* s = <LevelWriteState*> u.state
    cdef Stores* stores = <Stores*> u.access
    if u.phase == START:
        if stores.n_writers == 2:
            _put(&stores.writers[0], 0, 1)
        u.port = 0
        u.phase = FIRST
    if u.phase == FIRST:
        if not _store(u, &stores.writers[0]):
            return False
        u.phase = TAKE
    if u.phase == TAKE and not _take_coordinate(u, s, stores):
        return False
    if u.phase == STORE:
        if not _store(u, &stores.writers[u.port]):
            return False
        tick(u, u.ii)
        u.phase = TAKE
    if u.phase == END:
        if not _close_all(u, stores):
            return False
        u.write_bytes += WORD * s.n_coordinates
        if stores.n_writers == 2:
            u.write_bytes += WORD * s.n_segments
        return finish(u)
    return True


cdef bint _take_coordinate(Unit* u, LevelWriteState* s, Stores* stores) noexcept nogil:
    cdef Chan* c = u.inputs[0]
    if not has(c):
        return wait_token(u, 0)
    u.ctl = head_ctl(c)
    if u.ctl == CTL_MISSING:
        return misaligned(u, 1)
    if u.ctl == CTL_VALUE:
        u.port = stores.n_writers - 1
        _put(&stores.writers[u.port], s.n_coordinates, 1)
        if not write_coordinate(u, s, head_int(c)):
            return False
        u.phase = STORE
    elif u.ctl & CTL_STOP and u.ctl >> 3 & 7 == 0:
        u.port = 0
        if stores.n_writers == 2:
            _put(&stores.writers[0], s.n_segments, 1)
        if not close_segment(u, s):
            return False
        u.phase = STORE
    elif u.ctl == CTL_DONE:
        u.port = 0
        u.phase = END
    take(u, 0)
    return True


cdef void run_level_store(Unit* u) noexcept nogil:
    """level_write on a DRAM: coordinates that go to one line together."""
    cdef LevelWriteState* s = <LevelWriteState*> u.state
    cdef Stores* stores = <Stores*> u.access
    cdef Writer* w = &stores.writers[stores.n_writers - 1]
    cdef Chan* c = u.inputs[0]
    cdef int64_t n
    while not u.finished:
        n = values_left(c) if u.phase == TAKE else 0
        if n and not absent_at_head(c):
            n = _fit(w, s.n_coordinates, n)
            if not append_coordinates(u, s, c, n):
                return
            u.port = stores.n_writers - 1
            _take_run(u, c, n)
        if not step_level_store(u):
            return


cdef void run_val_store(Unit* u) noexcept nogil:
    """val_write of scalars on a DRAM: those that go to one line together."""
    cdef ValWriteState* s = <ValWriteState*> u.state
    cdef Stores* stores = <Stores*> u.access
    cdef Chan* c = u.inputs[0]
    cdef int64_t n
    while not u.finished:
        n = values_left(c) if u.phase == START and c.width == 1 else 0
        if n and (s.positions < 0 or s.count + n <= s.positions):
            n = _fit(&stores.writers[0], s.count, n)
            if not append_values(u, s, c, n):
                return
            u.port = 0
            _take_run(u, c, n)
        if not step_val_store(u):
            return


cdef int64_t _fit(Writer* w, int64_t first, int64_t n) noexcept nogil:
    """Begin to write n words, or as many as go to the line of the first one.

    Only one if another line must be sent before.
    """
    cdef int64_t address = w.client.base + WORD * first
    cdef int64_t line = line_of(&w.client, address)
    n = min(n, (line + w.client.memory.dram.line.size - address) // WORD)
    if w.line >= 0 and w.line != line:
        n = 1
    _put(w, first, n)
    return n


cdef void _take_run(Unit* u, Chan* c, int64_t n) noexcept nogil:
    """Take n values; the work of the last one is done when its line is filled."""
    cdef Times t
    t = arrivals(c)
    begin_drain(u, u.ii, n)
    drain(u, &t, u.ii, n)
    remove_values(c, n)
    u.clock -= u.ii
    u.busy -= u.ii
    u.phase = STORE


cdef bint step_val_store(Unit* u) noexcept nogil:
    """val_write (val, ref?): values where they belong."""
    cdef ValWriteState* s = <ValWriteState*> u.state
    cdef Stores* stores = <Stores*> u.access
    cdef bint placed = u.n_in > 1 and u.inputs[1] is not NULL
    if u.phase == START:
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        if u.ctl <= CTL_MISSING:
            memcpy(s.value, head_number(u.inputs[0]) if u.ctl == CTL_VALUE else s.fill,
                   u.inputs[0].width * sizeof(float))
        take(u, 0)
        u.phase = PLACE
    if u.phase == PLACE and not _place(u, s, &stores.writers[0], placed):
        return False
    if u.phase == STORE:
        if not _store(u, &stores.writers[0]):
            return False
        tick(u, u.ii)
        u.phase = START
    if u.phase == END:
        if not _close_all(u, stores):
            return False
        u.write_bytes += WORD * s.written * u.inputs[0].width
        tick(u, u.done_cost)
        return finish(u)
    return True


cdef bint _place(Unit* u, ValWriteState* s, Writer* w, bint placed) noexcept nogil:
    """Keep the value and put it where it belongs; False to wait for its reference."""
    cdef int64_t width = u.inputs[0].width
    cdef int64_t at = s.count
    if placed:
        if not has(u.inputs[1]):
            return wait_token(u, 1)
        if not same_kind(u.ctl, head_ctl(u.inputs[1])):
            return misaligned(u, 2)
    u.port = 0
    u.phase = START if u.ctl & CTL_STOP else END
    if u.ctl <= CTL_MISSING:
        if placed:
            at = head_int(u.inputs[1])
        if not write_value(u, s, placed):
            return False
        _put(w, at * width, width)
        u.phase = STORE
    if placed:
        take(u, 1)
    return True
