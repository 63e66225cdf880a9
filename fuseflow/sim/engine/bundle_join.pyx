# SPDX-License-Identifier: MIT
"""Merging coordinate lists by bundles: what comes out is a bundle too, with the times of all tokens.

Lists of one or two coordinates cost less to merge than to look at, so everything that a list needs
is laid out beforehand: when each token of each input is there, and where its coordinates lie.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.bundles cimport (
    BUNDLE_TOKENS, BUNDLE_VALUES, Span, close_marks, common_span, cut_span, drop_span, flat_ints,
    flat_numbers, list_length, list_stop, new_marks, send_span, send_span_ints, send_span_numbers,
    sent_span, span_of,
)
from fuseflow.sim.engine.ring cimport (
    ABSENT, NUMBERS, RUN_LIMIT, Chan, Entry, head_entry, word_space,
)
from fuseflow.sim.engine.runs cimport Times, pack_times, time_of
from fuseflow.sim.engine.states cimport MAX_ARITY, JoinState
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    MAX_PORTS = 16  # joins with more inputs go by lists

cdef int64_t NO_COORDINATE = 1 << 62  # beyond all coordinates: the list is used up


cdef bint bundle_join(Unit* u, JoinState* s) noexcept nogil:
    """join: merge the lists that all inputs show; False if there is none, or one is in disorder."""
    cdef Span spans[MAX_PORTS]
    cdef int32_t j, port
    if not _describe(u, s, spans):
        return False
    for j in range(s.arity):
        _write_arrivals(s, spans, j)
    if not _merge(u, s, spans):
        return False
    _send(u, s, spans)
    for port in range(u.n_in):
        drop_span(u.inputs[port], &spans[port])
    return True


cdef bint _describe(Unit* u, JoinState* s, Span* spans) noexcept nogil:
    """Find the lists at the heads of all inputs that can be merged at once; False if none."""
    cdef int32_t j, port, end, lists
    cdef Entry* e
    if u.n_in > MAX_PORTS or not span_of(u.inputs[0], &spans[0]):
        return False
    lists = spans[0].lists
    for j in range(s.arity):
        port = s.first[j]
        end = port + 1 + s.payloads[j]
        if not span_of(u.inputs[port], &spans[port]):
            return False
        e = head_entry(u.inputs[port])
        if e.kind == ABSENT or e.holes is not NULL:
            return False
        lists = min(lists, spans[port].lists)
        for port in range(port + 1, end):
            if u.inputs[port].width > 1 or not span_of(u.inputs[port], &spans[port]):
                return False
            if not common_span(&spans[s.first[j]], &spans[port]):
                return False
            lists = min(lists, spans[port].lists)
    lists = _mergeable(s, spans, lists)
    if lists == 0:
        return False
    for port in range(u.n_in):
        cut_span(&spans[port], lists)
    return True


cdef int32_t _mergeable(JoinState* s, Span* spans, int32_t lists) noexcept nogil:
    """Return how many lists end alike in all inputs and do not have too many values together."""
    cdef int32_t j, k
    cdef int64_t total = 0
    cdef uint8_t stop
    for k in range(lists):
        stop = list_stop(&spans[0], k)
        for j in range(s.arity):
            total += list_length(&spans[s.first[j]], k)
            if list_stop(&spans[s.first[j]], k) != stop:
                return k
        if total > BUNDLE_VALUES:
            return k
    return lists


cdef void _write_arrivals(JoinState* s, Span* spans, int32_t j) noexcept nogil:
    """Write down when each token of an input is there on all its ports."""
    cdef int32_t port = s.first[j]
    cdef int64_t* to = s.arrivals + j * BUNDLE_TOKENS
    cdef int64_t i, n = spans[port].values + spans[port].lists
    cdef Times* first = &spans[port].t
    cdef Times* t
    if first.explicit:
        for i in range(n):
            to[i] = first.stamps[i] + first.slope
    else:
        for i in range(n):
            to[i] = first.first + first.slope * i
    for port in range(port + 1, port + 1 + s.payloads[j]):
        t = &spans[port].t
        if (t.explicit == first.explicit and t.stamps is first.stamps
                and t.slope == first.slope and t.first == first.first):
            continue
        for i in range(n):
            to[i] = max(to[i], time_of(t, i))


cdef struct Merge:
    # Where a merge stands, by input.
    const int64_t* ints[MAX_ARITY]  # coordinates
    const int64_t* arrivals[MAX_ARITY]  # of the tokens of the list under way, by value
    int64_t at[MAX_ARITY]  # values retired
    int64_t end[MAX_ARITY]  # values of the lists so far
    int64_t crd[MAX_ARITY]  # next coordinate
    int64_t clock
    int64_t steps
    int64_t count  # coordinates kept
    int64_t disorder  # not 0: coordinates do not ascend


cdef bint _merge(Unit* u, JoinState* s, Span* spans) noexcept nogil:
    """Merge list after list into the batch; False if coordinates do not ascend.

    `batch_time` gets the times of all tokens that leave, stops included.
    """
    cdef Merge m
    cdef int32_t j, k, lists = spans[0].lists
    cdef int64_t before
    m.clock = u.clock
    m.steps = 0
    m.count = 0
    m.disorder = 0
    for j in range(s.arity):
        m.ints[j] = flat_ints(head_entry(u.inputs[s.first[j]]), &spans[s.first[j]],
                              s.coordinates + j * BUNDLE_VALUES)
        m.arrivals[j] = s.arrivals + j * BUNDLE_TOKENS
        m.at[j] = 0
        m.end[j] = 0
    for k in range(lists):
        before = m.count
        _merge_list(u, s, &m, spans, k)
        s.marks[k].n = <int32_t> (m.count - before)
        s.marks[k].ctl = list_stop(&spans[0], k)
        s.batch_time[m.count + k] = m.clock
        m.clock += u.ii
        for j in range(s.arity):
            m.arrivals[j] += 1
    if m.disorder:
        return False
    u.clock = m.clock
    u.busy += (m.steps + lists) * u.ii
    s.count = m.count
    return True


cdef inline void _merge_list(Unit* u, JoinState* s, Merge* m, Span* spans, int32_t k) noexcept nogil:
    """Merge one list, without a branch that depends on what is in it but for its end."""
    cdef int64_t least, mask, hit, clock = m.clock, count = m.count
    cdef int32_t j
    for j in range(s.arity):
        m.end[j] += list_length(&spans[s.first[j]], k)
        m.crd[j] = m.ints[j][m.at[j]] if m.at[j] < m.end[j] else NO_COORDINATE
        clock = max(clock, m.arrivals[j][m.at[j]])
    while True:
        least = m.crd[0]
        for j in range(1, s.arity):
            least = min(least, m.crd[j])
        if least == NO_COORDINATE:
            break
        s.batch_crd[count] = least
        s.batch_time[count + k] = clock
        clock += u.ii
        m.steps += 1
        mask = 0
        for j in range(s.arity):
            hit = <int64_t> (m.crd[j] == least)
            s.batch_at[j * RUN_LIMIT + count] = <int32_t> (m.at[j] | (hit - 1))
            mask |= hit << j
            m.at[j] += hit
            m.crd[j] = m.ints[j][m.at[j]] if m.at[j] < m.end[j] else NO_COORDINATE
            m.disorder |= hit & <int64_t> (m.crd[j] <= least)
            clock = max(clock, m.arrivals[j][m.at[j]])
        count += s.keep[mask]
    m.clock = clock
    m.count = count


cdef void _send(Unit* u, JoinState* s, Span* spans) noexcept nogil:
    """Send the batch as one bundle per output."""
    cdef Span span
    cdef Chan* owner
    cdef int32_t j, port, first = 0
    cdef int64_t* ints
    while u.outputs[first] is NULL:
        first += 1
    owner = u.outputs[first]
    span.lists = spans[0].lists
    span.n = s.marks[0].n
    span.ctl = spans[0].ctl
    span.values = s.count
    span.whole = True
    span.marks = new_marks(owner, span.lists)
    span.block = owner.current
    memcpy(span.marks, s.marks + 1, (span.lists - 1) * sizeof(s.marks[0]))
    close_marks(span.marks, &span)
    _set_times(u, s, &span, owner)
    if u.outputs[0] is not NULL:
        ints = <int64_t*> word_space(u.outputs[0], s.count * sizeof(int64_t))
        memcpy(ints, s.batch_crd, s.count * sizeof(int64_t))
        send_span_ints(u.outputs[0], ints, NULL, u.outputs[0].current, &span)
    for j in range(s.arity):
        for port in range(s.first[j] + 1, s.first[j] + 1 + s.payloads[j]):
            if u.outputs[port - j] is not NULL:
                _send_payload(s, u.outputs[port - j], head_entry(u.inputs[port]), &spans[port],
                              s.batch_at + j * RUN_LIMIT, &span)


cdef void _set_times(Unit* u, JoinState* s, Span* span, Chan* owner) noexcept nogil:
    """Give the span the times of the batch, an array in a block unless they are affine."""
    cdef int64_t n = s.count + span.lists
    span.t.explicit = True
    span.t.strict = u.ii >= 1
    span.t.private = False
    span.t.first = 0
    span.t.slope = 0
    span.t.stamps = s.batch_time
    span.t.block = NULL
    pack_times(&span.t, n)
    if span.t.explicit:
        span.t.stamps = <int64_t*> word_space(owner, n * sizeof(int64_t))
        span.t.block = owner.current
        memcpy(span.t.stamps, s.batch_time, n * sizeof(int64_t))


cdef void _send_payload(JoinState* s, Chan* c, Entry* source, Span* lists, const int32_t* at,
                        Span* span) noexcept nogil:
    """Send the values of lists of an entry at the positions `at`; missing tokens where it is -1."""
    cdef int64_t n = span.values, i, place, holes = 0, step = 1
    cdef int64_t* ints
    cdef float* numbers
    cdef const int64_t* from_ints = NULL
    cdef const float* from_numbers = NULL
    cdef uint8_t* missing
    cdef Entry* e
    if lists.values == 0 or source.kind == ABSENT:
        e = send_span(c, ABSENT, span)
        e.step = 0
        sent_span(c, e, span, NULL)
        return
    ints = <int64_t*> word_space(c, n * (sizeof(int64_t) + 1))
    numbers = <float*> ints
    missing = <uint8_t*> (ints + n)
    if source.kind == NUMBERS:
        from_numbers = flat_numbers(source, lists, <float*> s.payload, &step)
    else:
        from_ints = flat_ints(source, lists, s.payload)
    for i in range(n):
        place = max(at[i], 0)
        missing[i] = at[i] < 0 or (source.holes is not NULL and source.holes[place])
        holes |= missing[i]
        if source.kind == NUMBERS:
            numbers[i] = from_numbers[step * place]
        else:
            ints[i] = from_ints[place]
    if not holes:
        missing = NULL
    if source.kind == NUMBERS:
        send_span_numbers(c, numbers, 1, missing, c.current, span)
    else:
        send_span_ints(c, ints, missing, c.current, span)
