# SPDX-License-Identifier: MIT
"""Merging coordinate lists by runs.

Where one input has coordinates left, or all show the same range, a run passes as a whole. Else
coordinates are merged one by one into a batch: coordinates, times, and per input the positions of
the values that take part. What only one input has and nobody wants is skipped at once.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.bundle_join cimport bundle_join
from fuseflow.sim.engine.join_batch cimport send_batch
from fuseflow.sim.engine.merge cimport JOIN_PEEK, step_join
from fuseflow.sim.engine.pool cimport FAULT_SCRAMBLED
from fuseflow.sim.engine.ring cimport (
    AFFINE, CTL_STOP, INTS, RANGE, RUN_LIMIT, Chan, Entry, absent_at_head, entry_int, entry_stamp,
    head_entry, put_ctl, remove_ctl, remove_values, stop_at_head, values_left,
)
from fuseflow.sim.engine.runs cimport (
    Times, arrivals, begin_drain, drain, fire, forward, later, send_missing,
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
        if u.phase == JOIN_PEEK and bundle_join(u, s):
            continue
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
        elif absent_at_head(u.inputs[port]):
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


cdef struct Merge:
    # Where a merge stands, by input.
    int64_t left[MAX_ARITY]  # values that the input can give
    int64_t at[MAX_ARITY]  # of them retired
    int64_t crd[MAX_ARITY]  # the next one, NO_COORDINATE at a stop
    Entry* entries[MAX_ARITY]
    int32_t pos[MAX_ARITY]  # place of the first value in its entry
    bint same[MAX_ARITY]  # its payloads have the stamps of its coordinates
    int32_t active  # inputs that had a value
    int32_t finished  # of them without one now
    uint8_t stop  # lists are merged to their end, where all show this stop; 0: to the first end
    int64_t clock
    int64_t count  # values of the batch


cdef bint _merge_batch(Unit* u, JoinState* s, int64_t* left, uint8_t stop) noexcept nogil:
    """Merge coordinates one by one until an input runs out or the batch is full.

    With a stop the lists are short and merged to their end, and the stop is passed.
    """
    cdef Merge m
    cdef int64_t least, mask, skipped
    cdef int32_t j
    m.stop = stop
    m.count = 0
    if not _open_merge(u, s, &m, left):
        return False
    while (m.finished < m.active if stop else m.finished == 0) and m.count < RUN_LIMIT:
        least = m.crd[0]
        mask = 1
        for j in range(1, s.arity):
            if m.crd[j] < least:
                least = m.crd[j]
                mask = <int64_t> 1 << j
            elif m.crd[j] == least:
                mask |= <int64_t> 1 << j
        if s.keep[mask]:
            _keep(s, &m, least, mask)
        elif mask & (mask - 1) == 0:
            skipped = _skip(u, s, &m, _bit(mask))
            if skipped < 0:
                return False
            if skipped > 0:
                continue
        m.clock += u.ii
        u.busy += u.ii
        for j in range(s.arity):
            if mask >> j & 1 and not _advance(u, s, &m, j):
                return False
    u.clock = m.clock
    if m.count:
        send_batch(u, s, m.count)
    for j in range(s.arity):
        _retire_values(u, s, j, m.at[j])
    if stop:
        _send_stop(u, s, stop)
    return True


cdef inline bint _open_merge(Unit* u, JoinState* s, Merge* m, const int64_t* left) noexcept nogil:
    """Look at the heads of all inputs; False and a fault if one does not ascend."""
    cdef int32_t j
    cdef Chan* c
    m.clock = u.clock
    m.active = 0
    m.finished = 0
    for j in range(s.arity):
        c = u.inputs[s.first[j]]
        m.left[j] = left[j]
        m.at[j] = 0
        m.crd[j] = NO_COORDINATE
        if left[j] == 0:
            m.clock = max(m.clock, _stop_arrival(u, s, j))
            continue
        m.active += 1
        m.pos[j] = c.pos
        m.entries[j] = head_entry(c)
        m.same[j] = _same_times(u, s, j)
        m.crd[j] = entry_int(m.entries[j], c.pos)
        if m.crd[j] <= s.last[j]:
            return fault(u, FAULT_SCRAMBLED, s.last[j], m.crd[j])
        m.clock = max(m.clock, _arrival(u, s, j, 0))
    return True


cdef inline void _keep(JoinState* s, Merge* m, int64_t crd, int64_t mask) noexcept nogil:
    """Put a coordinate into the batch, and where its payloads are."""
    cdef int32_t j
    s.batch_crd[m.count] = crd
    s.batch_time[m.count] = m.clock
    for j in range(s.arity):
        s.batch_at[j * RUN_LIMIT + m.count] = <int32_t> m.at[j] if mask >> j & 1 else -1
    m.count += 1


cdef inline bint _advance(Unit* u, JoinState* s, Merge* m, int32_t j) noexcept nogil:
    """Retire a value of an input; False and a fault if the next one does not ascend."""
    cdef int64_t before = m.crd[j], stamp
    m.at[j] += 1
    if m.at[j] == m.left[j]:
        m.crd[j] = NO_COORDINATE
        m.finished += 1
        if m.stop:
            m.clock = max(m.clock, _stop_arrival(u, s, j))
        return True
    m.crd[j] = entry_int(m.entries[j], m.pos[j] + m.at[j])
    if m.crd[j] <= before:
        return fault(u, FAULT_SCRAMBLED, before, m.crd[j])
    if m.same[j]:
        stamp = entry_stamp(m.entries[j], m.pos[j] + m.at[j])
    else:
        stamp = _arrival(u, s, j, m.at[j])
    if stamp > m.clock:
        m.clock = stamp
    return True


cdef int64_t _skip(Unit* u, JoinState* s, Merge* m, int32_t j) noexcept nogil:
    """Retire what only input j has and nobody wants, but for the last one before a rival.

    Returns how many these are; -1 and a fault if they do not ascend.
    """
    cdef Entry* e = m.entries[j]
    cdef int64_t n = m.left[j] - m.at[j], i = 0, k, pos = m.pos[j] + m.at[j], rival = NO_COORDINATE
    cdef const int64_t* crd
    if n == 1 or e.kind != INTS or not m.same[j]:
        return 0
    for k in range(s.arity):
        if k != j and m.crd[k] < rival:
            rival = m.crd[k]
    crd = e.data.ints + pos
    while i + 1 < n and crd[i + 1] < rival:
        if crd[i + 1] <= crd[i]:
            fault(u, FAULT_SCRAMBLED, crd[i], crd[i + 1])
            return -1
        i += 1
    if i == 0:
        return 0
    if e.explicit == AFFINE:
        m.clock = max(m.clock + i * u.ii, e.first + e.slope * (pos + 1) + (i - 1) * u.ii,
                      e.first + e.slope * (pos + i))
    else:
        for k in range(pos + 1, pos + i + 1):
            m.clock = max(m.clock + u.ii, entry_stamp(e, k))
    u.busy += i * u.ii
    m.at[j] += i
    m.crd[j] = crd[i]
    return i
