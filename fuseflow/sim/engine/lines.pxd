# SPDX-License-Identifier: MIT
"""Clients of memory: windows of lines that are read ahead, line buffers of writers, vectors.

`fuseflow.sim.twin.lines` and `.prefetch` have the same in plain words.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    WORD = 4  # bytes


cdef struct Client:
    Memory* memory
    int64_t base  # byte address of the array
    int64_t window  # lines on their way at most
    int64_t count  # requests so far
    int64_t last_time  # cycle of the last one
    int32_t number
    int32_t owner


cdef struct Line:
    int64_t start  # byte address
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


cdef struct Writer:
    Client client
    int64_t line  # in the buffer, -1 for none
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
    int32_t n_writers
    Writer writers[2]


cdef struct Vectors:
    Client clients[2]
    int64_t response
    int64_t batch
    int64_t end  # scan: position behind the vector under way
    int64_t count  # array: references collected
    int64_t at  # array: next one to be sent
    int64_t* held


cdef bint ask(Client* c, int64_t time, int64_t address, int32_t words, bint write,
              int64_t* response) noexcept nogil
cdef bint advance(Unit* u, Ahead* a) noexcept nogil
cdef Line* use_line(Ahead* a, int32_t reader, int64_t address) noexcept nogil
cdef int64_t metadata_ready(Ahead* a, int64_t index) noexcept nogil
cdef void serve_taken(Ahead* a, int64_t clock) noexcept nogil
