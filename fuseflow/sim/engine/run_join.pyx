# SPDX-License-Identifier: MIT
"""Merging coordinate lists by runs.

Where one input has coordinates left, or all show the same range, a run passes as a whole. Else
coordinates are merged one by one into a batch: coordinates, times, and per input the positions of
the values that take part. Stretches of a range that no other input meets are skipped at once.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.merge cimport JOIN_PEEK, step_join
from fuseflow.sim.engine.pool cimport FAULT_SCRAMBLED, Block
from fuseflow.sim.engine.ring cimport (
    ABSENT, AFFINE, CTL_STOP, INTS, NUMBERS, RANGE, RUN_LIMIT, Chan, Entry, block_space, entry_int, entry_stamp,
    head_entry, put_ctl, remove_ctl, remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, arrivals, begin_drain, drain, fire, forward, later, send_ints, send_missing,
    send_numbers,
)
from fuseflow.sim.engine.states cimport MAX_ARITY, JoinState
from fuseflow.sim.engine.unit cimport Unit, arrive, fault, has_room, tick

cdef enum:
    SHORT = 64  # so many coordinates in all inputs are merged one by one without further ado

cdef int64_t NO_COORDINATE = 1 << 62  # beyond all coordinates: the input is at a stop


cdef void run_join(Unit* u) noexcept nogil:
    """join: choose how far the heads let us go at once."""
    cdef JoinState* s = <JoinState*> u.state
    cdef int64_t left[MAX_ARITY]
    cdef int32_t active
    cdef uint8_t stop
    while True:
        if not has_room(u):
            return
        active = _survey(u, s, left) if u.phase == JOIN_PEEK else -1
        if active < 0 or (active == 0 and not _pass_stops(u, s)):
            if not step_join(u):
                return
        elif active > 0:
            stop = _short_lists(u, s, left)
            if not (_merge_batch(u, s, left, stop) if stop else _merge_runs(u, s, left, active)):
                return


cdef int32_t _survey(Unit* u, JoinState* s, int64_t* left) noexcept nogil:
    """Count the values that each input can give at once; return how many inputs have some.

    -1 if an input shows neither values nor a stop: the rule by tokens must decide.
    """
    cdef int32_t j, port, active = 0
    cdef int64_t n
    cdef uint8_t stop
    for j in range(s.arity):
        port = s.first[j]
        n = values_left(u.inputs[port])
        stop = 0
        if n == 0:
            stop = stop_at_head(u.inputs[port])
            if not stop:
                return -1
        elif head_entry(u.inputs[port]).kind == ABSENT:
            return -1
        for port in range(port + 1, port + 1 + s.payloads[j]):
            if stop:
                if stop_at_head(u.inputs[port]) != stop:
                    return -1
            else:
                n = min(n, values_left(u.inputs[port]))
                if n == 0:
                    return -1
        left[j] = n
        active += n > 0
    return active


cdef uint8_t _short_lists(Unit* u, JoinState* s, const int64_t* left) noexcept nogil:
    """Return the stop that ends the lists of all inputs, if all are short and there as a whole."""
    cdef int64_t total = 0
    cdef int32_t j, port
    cdef uint8_t stop = head_entry(u.inputs[0]).ctl
    cdef Chan* c
    if not stop & CTL_STOP:
        return 0
    for j in range(s.arity):
        total += left[j]
        for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
            c = u.inputs[port]
            if head_entry(c).ctl != stop or values_left(c) != left[j]:
                return 0
    return stop if total <= SHORT else 0


cdef bint _pass_stops(Unit* u, JoinState* s) noexcept nogil:
    """Pass the stop that all inputs show; False if they differ."""
    cdef uint8_t stop = stop_at_head(u.inputs[0])
    cdef int32_t j, port
    for j in range(1, s.arity):
        if stop_at_head(u.inputs[s.first[j]]) != stop:
            return False
    for port in range(u.n_in):
        arrive(u, head_entry(u.inputs[port]).ctl_stamp)
    _send_stop(u, s, stop)
    return True


cdef void _send_stop(Unit* u, JoinState* s, uint8_t stop) noexcept nogil:
    """Retire the stop that all inputs show, and pass it; the clock has reached it."""
    cdef int32_t j, port
    for port in range(u.n_out):
        if u.outputs[port] is not NULL:
            put_ctl(u.outputs[port], stop, u.clock + 1)
    for port in range(u.n_in):
        remove_ctl(u.inputs[port])
    for j in range(s.arity):
        s.last[j] = -1
    tick(u, u.ii)


cdef bint _merge_runs(Unit* u, JoinState* s, int64_t* left, int32_t active) noexcept nogil:
    """Retire some coordinates; False and a fault if they do not ascend."""
    cdef int32_t j, port
    cdef int64_t n = -1, crd, common = -1
    cdef int64_t mask = 0
    cdef bint equal = True
    cdef Entry* e
    for j in range(s.arity):
        if left[j] == 0:
            for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
                arrive(u, head_entry(u.inputs[port]).ctl_stamp)
            continue
        mask |= <int64_t> 1 << j
        e = head_entry(u.inputs[s.first[j]])
        crd = entry_int(e, u.inputs[s.first[j]].pos)
        if crd <= s.last[j]:
            return fault(u, FAULT_SCRAMBLED, s.last[j], crd)
        equal = equal and (common < 0 or crd == common) and e.kind == RANGE and (
            e.step == 1 or left[j] == 1)
        common = crd
        if n < 0 or left[j] < n:
            n = left[j]
    if active == 1 or equal:
        return _pass_run(u, s, mask, n)
    return _merge_batch(u, s, left, 0)


cdef bint _pass_run(Unit* u, JoinState* s, int64_t mask, int64_t n) noexcept nogil:
    """Retire n coordinates that all inputs of the mask share and no other input has."""
    cdef Times t, other
    cdef int32_t j, port
    cdef int32_t source = 0
    while not mask >> source & 1:
        source += 1
    if not _ascending(u, s, source, n):
        return False
    if s.keep[mask]:
        t = arrivals(u.inputs[s.first[source]])
        for j in range(s.arity):
            for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
                if mask >> j & 1 and port != s.first[source]:
                    other = arrivals(u.inputs[port])
                    later(u, &t, &other, &n)
        fire(u, &t, u.ii, &n)
        port = s.first[source]
        forward(u.outputs[0], head_entry(u.inputs[port]), u.inputs[port].pos, n, &t, False)
        _forward_payloads(u, s, mask, n, &t)
    else:
        begin_drain(u, u.ii, n)
        for j in range(s.arity):
            for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
                if mask >> j & 1:
                    t = arrivals(u.inputs[port])
                    drain(u, &t, u.ii, n)
    for j in range(s.arity):
        if mask >> j & 1:
            _retire_values(u, s, j, n)
    return True


cdef bint _ascending(Unit* u, JoinState* s, int32_t j, int64_t n) noexcept nogil:
    """Check the order of n coordinates of an input; False and a fault if it is broken."""
    cdef Chan* c = u.inputs[s.first[j]]
    cdef Entry* e = head_entry(c)
    cdef int64_t i
    cdef const int64_t* crd
    if e.kind == RANGE:
        if e.step > 0 or n == 1:
            return True
        return fault(u, FAULT_SCRAMBLED, entry_int(e, c.pos), entry_int(e, c.pos + 1))
    crd = e.data.ints + c.pos
    for i in range(1, n):
        if crd[i] <= crd[i - 1]:
            return fault(u, FAULT_SCRAMBLED, crd[i - 1], crd[i])
    return True


cdef void _forward_payloads(Unit* u, JoinState* s, int64_t mask, int64_t n,
                            Times* t) noexcept nogil:
    cdef int32_t j, port
    for j in range(s.arity):
        for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
            if mask >> j & 1:
                forward(u.outputs[port - j], head_entry(u.inputs[port]), u.inputs[port].pos, n, t,
                        False)
            else:
                send_missing(u.outputs[port - j], n, t)


cdef void _retire_values(Unit* u, JoinState* s, int32_t j, int64_t n) noexcept nogil:
    """Remove n values from all ports of an input."""
    cdef int32_t port = s.first[j]
    cdef Chan* c = u.inputs[port]
    if n == 0:
        return
    s.last[j] = entry_int(head_entry(c), c.pos + n - 1)
    for port in range(port, port + 1 + s.payloads[j]):
        remove_values(u.inputs[port], n)


cdef bint _same_times(Unit* u, JoinState* s, int32_t j) noexcept nogil:
    """Whether all ports of an input have the stamps of its coordinates."""
    cdef Times t = arrivals(u.inputs[s.first[j]])
    cdef Times other
    cdef int32_t port
    for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
        other = arrivals(u.inputs[port])
        if (t.explicit != other.explicit or t.slope != other.slope or t.first != other.first
                or t.stamps is not other.stamps):
            return False
    return True


cdef int64_t _arrival(Unit* u, JoinState* s, int32_t j, int64_t i) noexcept nogil:
    """Return when value i of all ports of an input has arrived."""
    cdef int32_t port
    cdef int64_t stamp, latest
    cdef Chan* c = u.inputs[s.first[j]]
    latest = entry_stamp(head_entry(c), c.pos + i)
    for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
        c = u.inputs[port]
        stamp = entry_stamp(head_entry(c), c.pos + i)
        if stamp > latest:
            latest = stamp
    return latest


cdef int64_t _stop_arrival(Unit* u, JoinState* s, int32_t j) noexcept nogil:
    """Return when the stop of all ports of an input has arrived."""
    cdef int32_t port
    cdef int64_t latest = 0
    for port in range(s.first[j], s.first[j] + 1 + s.payloads[j]):
        latest = max(latest, head_entry(u.inputs[port]).ctl_stamp)
    return latest


cdef inline int32_t _bit(int64_t mask) noexcept nogil:
    """Return the position of the lowest bit."""
    cdef int32_t j = 0
    while not mask >> j & 1:
        j += 1
    return j


cdef inline int64_t _second(JoinState* s, const int64_t* crd, int32_t j) noexcept nogil:
    """Return the smallest coordinate of the inputs but j."""
    cdef int64_t least = NO_COORDINATE
    cdef int32_t k
    for k in range(s.arity):
        if k != j and crd[k] < least:
            least = crd[k]
    return least


cdef int64_t _skip(Unit* u, JoinState* s, Entry* e, int64_t pos, int64_t n, int64_t target,
                   int64_t* clock) noexcept nogil:
    """Retire coordinates from `pos` on that are not kept, as long as one below the target follows.

    Returns how many of the n that are there; -1 and a fault if they do not ascend.
    """
    cdef const int64_t* crd = e.data.ints + pos
    cdef int64_t i = 0, stamp
    while i + 1 < n and crd[i + 1] < target:
        if crd[i + 1] <= crd[i]:
            fault(u, FAULT_SCRAMBLED, crd[i], crd[i + 1])
            return -1
        i += 1
    if i == 0:
        return 0
    if e.explicit == AFFINE:
        clock[0] += i * u.ii
        stamp = e.first + e.slope * (pos + 1) + (i - 1) * u.ii
        clock[0] = max(clock[0], stamp, e.first + e.slope * (pos + i))
        return i
    for pos in range(pos + 1, pos + i + 1):
        clock[0] = max(clock[0] + u.ii, entry_stamp(e, pos))
    return i


cdef bint _merge_batch(Unit* u, JoinState* s, int64_t* left, uint8_t stop) noexcept nogil:
    """Merge coordinates one by one until an input runs out or the batch is full.

    With a stop the lists are short and merged to their end, and the stop is passed.
    """
    cdef int64_t at[MAX_ARITY]
    cdef int64_t crd[MAX_ARITY]
    cdef Entry* entries[MAX_ARITY]
    cdef bint same[MAX_ARITY]
    cdef int32_t pos[MAX_ARITY]
    cdef int64_t least, mask, n, count = 0, clock = u.clock, stamp, gap, ticks = 0
    cdef int32_t j, active = 0, finished = 0
    for j in range(s.arity):
        active += left[j] > 0
        at[j] = 0
        crd[j] = NO_COORDINATE
        if left[j] == 0:
            clock = max(clock, _stop_arrival(u, s, j))
        else:
            pos[j] = u.inputs[s.first[j]].pos
            entries[j] = head_entry(u.inputs[s.first[j]])
            same[j] = _same_times(u, s, j)
            crd[j] = entry_int(entries[j], pos[j])
            if crd[j] <= s.last[j]:
                return fault(u, FAULT_SCRAMBLED, s.last[j], crd[j])
            clock = max(clock, _arrival(u, s, j, 0))
    while (finished < active if stop else finished == 0) and count < RUN_LIMIT:
        least = crd[0]
        mask = 1
        for j in range(1, s.arity):
            if crd[j] < least:
                least = crd[j]
                mask = <int64_t> 1 << j
            elif crd[j] == least:
                mask |= <int64_t> 1 << j
        if not s.keep[mask] and mask & (mask - 1) == 0:
            j = _bit(mask)
            if at[j] + 1 < left[j] and same[j] and entries[j].kind == INTS:
                n = _skip(u, s, entries[j], pos[j] + at[j], left[j] - at[j],
                          _second(s, crd, j), &clock)
                if n < 0:
                    return False
                at[j] += n
                ticks += n * u.ii
                crd[j] = entry_int(entries[j], pos[j] + at[j])
                if crd[j] != least:
                    continue
        if s.keep[mask]:
            s.batch_crd[count] = least
            s.batch_time[count] = clock
            for j in range(s.arity):
                s.batch_at[j * RUN_LIMIT + count] = (
                    <int32_t> at[j] if mask >> j & 1 else -1)
            count += 1
        clock += u.ii
        ticks += u.ii
        for j in range(s.arity):
            if not mask >> j & 1:
                continue
            at[j] += 1
            if at[j] == left[j]:
                crd[j] = NO_COORDINATE
                finished += 1
                if stop:
                    clock = max(clock, _stop_arrival(u, s, j))
                continue
            crd[j] = entry_int(entries[j], pos[j] + at[j])
            if crd[j] <= least:
                return fault(u, FAULT_SCRAMBLED, least, crd[j])
            if same[j]:
                stamp = entry_stamp(entries[j], pos[j] + at[j])
            else:
                stamp = _arrival(u, s, j, at[j])
            if stamp > clock:
                clock = stamp
    u.clock = clock
    u.busy += ticks
    if count:
        _send_batch(u, s, count)
    for j in range(s.arity):
        _retire_values(u, s, j, at[j])
    if stop:
        _send_stop(u, s, stop)
    return True


cdef void _send_batch(Unit* u, JoinState* s, int64_t n) noexcept nogil:
    """Send the batch: coordinates, and per payload its runs of present and missing values."""
    cdef Times t
    cdef int32_t j, port, first = 0
    cdef int64_t* ints
    while u.outputs[first] is NULL:
        first += 1
    _pack_times(u, s, n, u.outputs[first], &t)
    if u.outputs[0] is not NULL:
        ints = <int64_t*> block_space(u.outputs[0], n * sizeof(int64_t))
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
            t.stamps = <int64_t*> block_space(c, n * sizeof(int64_t))
            t.block = c.current
            memcpy(t.stamps, s.batch_time, n * sizeof(int64_t))
            return


cdef void _send_payload(JoinState* s, Chan* source, Chan* c, const int32_t* at, int64_t n,
                        Times* t) noexcept nogil:
    """Send one payload of the batch; `at` has the position of each value, -1 for missing."""
    cdef Entry* e = head_entry(source)
    cdef Times part = t[0]
    cdef int64_t i = 0, end
    cdef bint missing
    while i < n:
        missing = at[i] < 0 or e.kind == ABSENT
        end = i + 1
        while end < n and (at[end] < 0 or e.kind == ABSENT) == missing:
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
        ints = <int64_t*> block_space(c, n * sizeof(int64_t))
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
