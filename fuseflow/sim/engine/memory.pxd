# SPDX-License-Identifier: MIT
"""Memory models of the engine; what they answer is what `fuseflow.sim.memory` answers.

Requests wait in a heap until no other one can come before them; who asks is told by `woken`.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.pool cimport Pool


cdef enum MemoryKind:
    IDEAL
    QUEUE
    DRAM


cdef enum:
    UNANSWERED = -1


cdef enum:
    BUCKETS = 64  # of the histogram of latencies


cdef struct Request:
    int64_t time  # cycle in which the client asks
    int64_t address  # DRAM: of a line, in bytes
    int64_t* response  # where the answer goes: UNANSWERED until then
    int32_t client
    int32_t words  # queue server: length of the vector
    int32_t owner  # unit to be woken
    uint8_t write


cdef struct QueueConfig:
    int64_t channels
    int64_t latency
    int64_t ii
    int64_t startup
    bint startup_every_request


cdef struct Field:
    int64_t size  # values that the field of an address has
    int32_t shift  # log2 of the size, -1 if it is no power of two


cdef enum FieldKind:
    CHANNEL
    COLUMN
    BANK


cdef struct DramConfig:
    int64_t channels
    int64_t banks
    Field line  # bytes
    Field fields[3]  # of a line's number, the least significant one first; the rest is the row
    FieldKind kinds[3]  # what these fields are
    int64_t t_rcd
    int64_t t_rp
    int64_t t_cl
    int64_t t_ras
    int64_t t_burst
    int64_t t_rrd
    int64_t t_rtp
    int64_t t_wr
    int64_t t_turn
    int64_t t_req
    int64_t t_rsp
    int64_t t_refi  # 0: no refresh
    int64_t t_rfc
    int64_t window  # 1 where requests are served in order
    int64_t bypass
    bint bank_xor


cdef struct Bank:
    int64_t row  # -1: closed
    int64_t opened  # cycle of the last activation
    int64_t closable  # earliest cycle of a precharge


cdef struct Waiting:
    int64_t time  # cycle in which the client asked
    int64_t row
    int64_t* response
    int32_t client
    int32_t owner
    int32_t bank
    int32_t passed  # how often another one was taken
    uint8_t write


cdef struct ChannelFigures:
    int64_t reads  # queue server: words; DRAM: lines
    int64_t writes
    int64_t row_hits
    int64_t row_opens
    int64_t row_conflicts
    int64_t bus_busy  # cycles
    int64_t refreshes


cdef struct DramChannel:
    ChannelFigures* figures
    Bank* banks
    Waiting* queue  # in the order in which requests arrive
    int64_t first  # position of the oldest one
    int64_t last  # position behind the youngest one
    int64_t room
    int64_t decision  # cycle of the next choice, at the earliest
    int64_t bus  # cycle in which the data bus is free
    int64_t activated  # cycle of the last activation in any bank
    int64_t refresh  # cycle of the next refresh
    int64_t ready  # cycle in which the last one was over
    int32_t writing  # direction of the last transfer, -1 for none yet


cdef struct Latencies:
    int64_t requests
    int64_t total  # cycles
    int64_t least
    int64_t most
    int64_t buckets[BUCKETS]  # requests of 2**k .. 2**(k+1) - 1 cycles


cdef struct Memory:
    MemoryKind kind
    Pool* pool
    uint8_t* woken  # by unit: something that it asked for was answered
    int64_t* earliest  # by unit: cycle before which it does nothing, see horizon.pyx
    int64_t* tokens  # by channel and class: cycle before which none is to be read, see outlook.pyx
    int64_t least  # nothing happens before this cycle
    int32_t* clients  # units that reach for arrays
    int32_t n_clients
    ChannelFigures* figures  # by channel
    Latencies latencies
    int64_t last_response
    # Queue server.
    Request* heap  # requests that wait for their turn
    int64_t pending
    int64_t heap_room
    QueueConfig queue
    int64_t pointer  # channel of the last word
    int64_t cycle  # of the words that were dealt last
    int64_t in_cycle  # how many
    int64_t* free  # by channel: next start
    int64_t* forwarded  # by channel: cycle of the last answer
    uint8_t* used  # by channel
    # DRAM.
    DramConfig dram
    DramChannel* channels


cdef bint memory_submit(Memory* m, Request* request) noexcept nogil
cdef bint memory_serve(Memory* m, int64_t bound) noexcept nogil
cdef int64_t memory_start(Memory* m) noexcept nogil
cdef int64_t memory_latency(Memory* m) noexcept nogil


cdef inline void answer(Memory* m, int64_t* response, int32_t owner, int64_t time,
                        int64_t cycle) noexcept nogil:
    """Answer a request of cycle `time` in `cycle`."""
    cdef Latencies* l = &m.latencies
    cdef int64_t latency = cycle - time
    response[0] = cycle
    m.woken[owner] = 1
    if cycle > m.last_response:
        m.last_response = cycle
    l.requests += 1
    l.total += latency
    if latency < l.least or l.requests == 1:
        l.least = latency
    if latency > l.most:
        l.most = latency
    l.buckets[log2_of(latency)] += 1


cdef inline int64_t take_field(Field* f, int64_t* rest) noexcept nogil:
    """Split the least significant field off an address."""
    cdef int64_t whole = rest[0]
    if f.shift >= 0:
        rest[0] = whole >> f.shift
        return whole & (f.size - 1)
    rest[0] = whole // f.size
    return whole - rest[0] * f.size


cdef inline int32_t log2_of(int64_t cycles) noexcept nogil:
    """Return the position of the highest bit; 0 for less than 2."""
    cdef int32_t k = 0
    while cycles > 1:
        cycles >>= 1
        k += 1
    return k
