# SPDX-License-Identifier: MIT
"""Clients of memory: windows of lines that are read ahead, line buffers of writers, vectors.

`fuseflow.sim.twin.lines` and `.prefetch` have the same in plain words.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.memory cimport Memory, take_field
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    WORD = 4  # bytes


cdef enum AccessKind:
    BY_VECTORS
    BY_STORES
    BY_TOKENS
    BY_RUNS


cdef struct Access:
    AccessKind kind  # which struct it is that begins with this one
    bint packs  # short lists that are sent become bundles
    int64_t sent[2]  # by output: entries that were looked at for that,
    bint open[2]  # and whether the last one was open


cdef struct Client:
    Memory* memory
    int64_t base  # byte address of the array
    int64_t window  # lines on their way at most
    int64_t count  # requests so far
    int64_t last_time  # cycle of the last one
    int64_t words  # that were read or written
    int64_t waited  # cycles that requests were late because the window was full
    int32_t number
    int32_t owner


cdef struct Line:
    int64_t start  # byte address
    int64_t time  # cycle of the request
    int64_t response
    int64_t planned  # uses so far known
    int64_t used
    int64_t last_use  # cycle
    int64_t first_token  # metadata: tokens that use it
    int64_t last_token
    bint with_before  # metadata: a pair of words began in the line before
    bint with_after  # or ends in the line after


cdef struct Reader:
    Client client
    Line* lines  # ring, by number of the request
    int64_t mask
    int64_t at  # line that the unit uses
    bint is_metadata  # used when it has arrived, not when the unit gets there


cdef struct Taken:
    int64_t value  # reference
    int64_t front  # cycle in which the front end took it
    int64_t served  # cycle in which the unit was done with it
    int64_t ready  # cycle in which its metadata are here, UNANSWERED if not known
    int64_t pair[2]  # lines of its metadata, -1 if not planned yet
    uint8_t ctl


cdef struct Stage:
    int64_t at  # token under way
    int64_t next  # byte address where it goes on, -1 at its start


cdef struct Ahead:
    Access access
    Taken* tokens  # ring
    int64_t mask
    int64_t depth  # tokens that the front end may be ahead
    int64_t taken  # by the front end
    int64_t removed  # by the unit
    int64_t served
    int64_t front
    int32_t n_readers
    Reader readers[2]
    Stage stages[2]
    const int64_t* segments  # NULL: no metadata
    int64_t bound  # of the references
    int64_t stride  # bytes per reference where there are no segments
    bint direct  # outputs take whole runs: no bounds, no intervals


cdef struct Piece:
    # Tokens that a front end took in cycles front, front + slope, ..
    int64_t index  # of the first one
    int64_t n
    uint8_t ctl  # what they all are; a control token is alone
    bint stored  # references lie in `values` of the front end, else they are base, base + step, ..
    int64_t base
    int64_t step
    int64_t front
    int64_t slope


cdef struct Stretch:
    # Tokens that a unit was done with in cycles first, first + slope, ..
    int64_t index  # of the first one
    int64_t n
    int64_t first
    int64_t slope


cdef struct Fetch:
    # The front end of an array of scalars on unbounded channels.
    Access access
    Reader reader
    Piece* pieces  # ring
    Stretch* stretches  # ring
    int64_t* values  # ring, by token
    int64_t mask
    int64_t depth  # tokens that the front end may be ahead
    int64_t taken  # tokens
    int64_t planned
    int64_t used
    int64_t piece_taken  # pieces
    int64_t piece_planned
    int64_t piece_used
    int64_t stretch  # the one with the token `depth` before the next one
    int64_t stretch_end
    int64_t last_front
    int64_t bound  # of the references


cdef struct Writer:
    Client client
    int64_t line  # byte address of the one in the buffer, -1 for none
    int64_t filled  # bytes
    int64_t next  # bytes of the array that are still to be put
    int64_t end
    int64_t* responses  # ring, by number of the request
    int64_t mask
    # Queue server: a vector under way.
    int64_t entries
    int64_t words
    int64_t limit  # entries of a vector
    bint asked


cdef struct Stores:
    Access access
    int32_t n_writers
    Writer writers[2]


cdef struct Vectors:
    Access access
    Client clients[2]
    int32_t n_clients
    int64_t response
    int64_t batch
    int64_t end  # scan: position behind the vector under way
    int64_t count  # array: references collected
    int64_t at  # array: next one to be sent
    int64_t* held


cdef inline bint lies_in(Reader* r, Line* line, int64_t address) noexcept nogil:
    return 0 <= address - line.start < r.client.memory.dram.line.size


cdef inline bint in_last_line(Reader* r, int64_t address) noexcept nogil:
    """Whether a word lies in the line that was asked for last."""
    cdef int64_t count = r.client.count
    return count > 0 and lies_in(r, &r.lines[(count - 1) & r.mask], address)


cdef inline int64_t line_of(Client* c, int64_t address) noexcept nogil:
    """Return where the line of an address starts."""
    cdef int64_t rest = address
    return address - take_field(&c.memory.dram.line, &rest)


cdef bint ask(Client* c, int64_t time, int64_t address, int32_t words, bint write,
              int64_t* response) noexcept nogil
cdef bint advance(Unit* u, Ahead* a) noexcept nogil
cdef bint plan_line(Reader* r, int64_t address, int64_t want) noexcept nogil
cdef int64_t released(Reader* r, int64_t index) noexcept nogil
cdef Line* use_line(Reader* r, int64_t address) noexcept nogil
cdef int64_t metadata_ready(Ahead* a, int64_t index) noexcept nogil
cdef void serve_taken(Ahead* a, int64_t clock) noexcept nogil
