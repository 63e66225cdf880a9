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


cdef struct Request:
    int64_t time  # cycle in which the client asks
    int64_t sequence  # number among those of the client
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


cdef struct DramConfig:
    int64_t channels
    int64_t banks
    int64_t row_bytes
    int64_t line_bytes
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
    int64_t window  # 1 where requests are served in order
    int64_t bypass
    bint bank_xor


cdef struct Bank:
    int64_t row  # -1: closed
    int64_t opened  # cycle of the last activation
    int64_t closable  # earliest cycle of a precharge


cdef struct Waiting:
    Request request
    int64_t arrival
    int64_t row
    int64_t passed  # how often another one was taken
    int32_t bank


cdef struct DramChannel:
    Bank* banks
    Waiting* queue  # in the order in which requests arrive
    int64_t first  # position of the oldest one
    int64_t last  # position behind the youngest one
    int64_t room
    int64_t decision  # cycle of the next choice, at the earliest
    int64_t bus  # cycle in which the data bus is free
    int64_t activated  # cycle of the last activation in any bank
    int32_t writing  # direction of the last transfer, -1 for none yet


cdef struct Figures:
    int64_t reads  # queue server: words; DRAM: lines
    int64_t writes
    int64_t row_hits
    int64_t row_opens
    int64_t row_conflicts
    int64_t bus_busy  # cycles
    int64_t last_response


cdef struct Memory:
    MemoryKind kind
    Pool* pool
    Request* heap  # requests that wait for their turn
    int64_t pending
    int64_t heap_room
    uint8_t* woken  # by unit: something that it asked for was answered
    Figures figures
    # Queue server.
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
cdef void pop_request(Memory* m, Request* out) noexcept nogil


cdef inline void answer(Memory* m, Request* r, int64_t cycle) noexcept nogil:
    r.response[0] = cycle
    m.woken[r.owner] = 1
    if cycle > m.figures.last_response:
        m.figures.last_response = cycle
