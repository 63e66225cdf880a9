# SPDX-License-Identifier: MIT
"""A machine on several threads: parts, each run by one thread, and bridges between them.

A part is a stretch of the units in topological order, so tokens only go to later parts. A channel
between two parts is a bridge: it has a ring on either side. Threads work in rounds:

  1. exchange: each part copies what waits on the near side of the bridges that lead to it, and
     learns what was removed on the far side of those that lead away. Nobody writes what others read.
  2. run: each part forgets what was copied, and runs its units as a machine of its own would.

A barrier ends either phase. What the units of a part refer to belongs to its own pool: no token
costs more than on one thread. When no part can go on the machine is put together again, and the
loop of one thread decides what that means.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.net cimport Net
from fuseflow.sim.engine.pool cimport Pool
from fuseflow.sim.engine.ring cimport Chan
from fuseflow.sim.engine.sync cimport Barrier


cdef enum:
    MAX_PARTS = 8


cdef struct Bridge:
    int32_t source  # part
    int32_t target
    Chan* near  # side of the producer: the channel of the machine
    Chan* far  # side of the consumer
    Chan** end  # input of the consumer
    int64_t copied  # entries of the near side that the far side has,
    int64_t begun  # and values of the one after them
    int64_t soft_entries  # of the channel before
    int64_t soft_held


cdef struct Part:
    Pool* pool
    int32_t* units  # in topological order
    int32_t count
    int32_t faulty
    int64_t round  # nanoseconds that its thread worked in the last round
    bint moved  # the exchange brought something
    bint going  # it did something in the last round


cdef struct Sent:
    int64_t entries
    int64_t values


cdef struct Crew:
    Net* net
    int32_t threads  # that may be used, so many parts at most
    bint eager  # cut at random, whatever that promises
    int64_t seed
    int32_t count  # parts by now, 0 while the machine is whole
    Part parts[MAX_PARTS]
    Pool pools[MAX_PARTS]  # of all parts but the first, which has that of the machine
    # The cut.
    int32_t* order  # units in topological order, depth first
    int32_t* place  # by unit: its position in that order
    int32_t* part_of  # by unit
    int64_t* spent  # by unit: nanoseconds of the visits that were timed
    Sent* sent  # by channel: what was sent before they were timed
    int64_t clock_cost  # nanoseconds that timing adds to a visit
    int64_t* before  # by position: nanoseconds of the units before it
    int64_t* crossing  # by position: nanoseconds it would take to bring over what was sent, or NEVER
    int64_t* best  # by number of parts and position: nanoseconds of the slowest part
    int32_t* cut  # and where the last of those parts starts
    int64_t promised  # nanoseconds of the slowest part
    # Between parts.
    Bridge* bridges
    int32_t n_bridges
    Chan* far  # by channel
    Barrier barrier
    int64_t deadline
    bint late
    int64_t worked  # nanoseconds since the cut, of all threads,
    int64_t longest  # and of the one that worked longest in each round

    bint cancelled


cdef bint crew_open(Crew* crew, Net* net, Pool* pool) noexcept nogil
cdef bint split(Crew* crew) noexcept nogil
cdef void merge(Crew* crew) noexcept nogil
