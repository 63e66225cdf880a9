# SPDX-License-Identifier: MIT
"""What a join merged in one go is sent by runs: coordinates, times, payloads or their absence."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fuseflow.sim.engine.ring cimport (
    NUMBERS, RUN_LIMIT, Chan, Entry, block_space, entry_int, head_entry, is_missing, word_space,
)
from fuseflow.sim.engine.runs cimport Times, forward, send_ints, send_missing, send_numbers
from fuseflow.sim.engine.states cimport JoinState
from fuseflow.sim.engine.unit cimport Unit


cdef void send_batch(Unit* u, JoinState* s, int64_t n) noexcept nogil:
    """Send the batch: coordinates, and per payload its runs of present and missing values."""
    cdef Times t
    cdef int32_t j, port, first = 0
    cdef int64_t* ints
    while u.outputs[first] is NULL:
        first += 1
    _pack_times(u, s, n, u.outputs[first], &t)
    if u.outputs[0] is not NULL:
        ints = <int64_t*> word_space(u.outputs[0], n * sizeof(int64_t))
        memcpy(ints, s.batch_crd, n * sizeof(int64_t))
        send_ints(u.outputs[0], ints, u.outputs[0].current, n, &t)
    for j in range(s.arity):
        for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
            if u.outputs[port - j] is not NULL:
                _send_payload(s, u.inputs[port], u.outputs[port - j],
                              s.batch_at + j * RUN_LIMIT, n, &t)


cdef void _pack_times(Unit* u, JoinState* s, int64_t n, Chan* c, Times* t) noexcept nogil:
    """Describe the times of the batch: affine if they are, else an array in a block of c."""
    cdef int64_t i, slope = s.batch_time[1] - s.batch_time[0] if n > 1 else 0
    t.explicit = False
    t.strict = False
    t.private = False
    t.stamps = NULL
    t.block = NULL
    t.first = s.batch_time[0]
    t.slope = slope
    for i in range(2, n):
        if s.batch_time[i] - s.batch_time[i - 1] != slope:
            t.explicit = True
            t.strict = u.ii >= 1
            t.slope = 0
            t.first = 0
            t.stamps = <int64_t*> word_space(c, n * sizeof(int64_t))
            t.block = c.current
            memcpy(t.stamps, s.batch_time, n * sizeof(int64_t))
            return


cdef void _send_payload(JoinState* s, Chan* source, Chan* c, const int32_t* at, int64_t n,
                        Times* t) noexcept nogil:
    """Send one payload of the batch; `at` has the position of each value, -1 for missing."""
    cdef Entry* e = head_entry(source)
    cdef Times part = t[0]
    cdef int64_t i = 0, end
    cdef bint missing, absent = is_missing(e, source.pos)
    while i < n:
        missing = at[i] < 0 or absent
        end = i + 1
        while end < n and (at[end] < 0 or absent) == missing:
            end += 1
        if t.explicit:
            part.stamps = t.stamps + i
        else:
            part.first = t.first + t.slope * i
        if missing:
            send_missing(c, end - i, &part)
        else:
            _send_present(e, source.pos, c, at + i, end - i, &part)
        i = end


cdef void _send_present(Entry* e, int32_t pos, Chan* c, const int32_t* at, int64_t n,
                        Times* t) noexcept nogil:
    """Send values of an entry at the positions `at`."""
    cdef int64_t i
    cdef int64_t* ints
    cdef float* numbers
    if at[n - 1] - at[0] == n - 1:
        forward(c, e, pos + at[0], n, t, False)
    elif e.kind == NUMBERS:
        _send_numbers_at(e, pos, c, at, n, t)
    else:
        ints = <int64_t*> word_space(c, n * sizeof(int64_t))
        for i in range(n):
            ints[i] = entry_int(e, pos + at[i])
        send_ints(c, ints, c.current, n, t)


cdef void _send_numbers_at(Entry* e, int32_t pos, Chan* c, const int32_t* at, int64_t n,
                           Times* t) noexcept nogil:
    """Send numbers at the positions `at`, as many at a time as a block holds."""
    cdef int64_t i, done = 0, count
    cdef int64_t limit = c.pool.block_bytes / (4 * c.width)
    cdef Times part = t[0]
    cdef float* place
    while done < n:
        count = min(n - done, limit)
        place = <float*> block_space(c, count * c.width * sizeof(float))
        for i in range(count):
            memcpy(place + i * c.width, e.data.numbers + e.step * (pos + at[done + i]),
                   c.width * sizeof(float))
        if t.explicit:
            part.stamps = t.stamps + done
        else:
            part.first = t.first + t.slope * done
        send_numbers(c, place, c.width, c.current, count, &part, 1)
        done += count
