# SPDX-License-Identifier: MIT
"""Figures of memory (see memory_figures.pxd)."""

from libc.stdint cimport int32_t

from fuseflow.sim.memory import ChannelFigures, ClientFigures, Latencies, MemoryFigures

from fuseflow.sim.engine.lines cimport (
    BY_RUNS, BY_STORES, BY_TOKENS, Access, Ahead, Client, Fetch, Stores, Vectors,
)
from fuseflow.sim.engine.memory cimport BUCKETS, DRAM, Memory
from fuseflow.sim.engine.unit cimport Unit


cdef object figures_of(Memory* m):
    """Return the figures of a memory that is not ideal."""
    cdef int32_t k
    cdef int32_t channels = m.dram.channels if m.kind == DRAM else m.queue.channels
    return MemoryFigures(
        channels=[_channel(m, k) for k in range(channels)],
        latencies=Latencies(
            requests=m.latencies.requests,
            total=m.latencies.total,
            least=m.latencies.least,
            most=m.latencies.most,
            buckets=[m.latencies.buckets[k] for k in range(BUCKETS)],
        ),
        last_response=m.last_response,
    )


cdef object _channel(Memory* m, int32_t k):
    return ChannelFigures(
        reads=m.figures[k].reads,
        writes=m.figures[k].writes,
        row_hits=m.figures[k].row_hits,
        row_opens=m.figures[k].row_opens,
        row_conflicts=m.figures[k].row_conflicts,
        bus_busy=m.figures[k].bus_busy,
        refreshes=m.figures[k].refreshes,
    )


cdef tuple clients_of(Memory* m, Unit* u):
    """Return the figures of the clients of a unit, in the order of its arrays."""
    cdef Access* access = <Access*> u.access
    cdef int32_t k
    if access is NULL:
        return ()
    if access.kind == BY_RUNS:
        return (_client(&(<Fetch*> access).reader.client),)
    if access.kind == BY_TOKENS:
        return tuple([_client(&(<Ahead*> access).readers[k].client)
                      for k in range((<Ahead*> access).n_readers)])
    if access.kind == BY_STORES:
        return tuple([_client(&(<Stores*> access).writers[k].client)
                      for k in range((<Stores*> access).n_writers)])
    return tuple([_client(&(<Vectors*> access).clients[k])
                  for k in range((<Vectors*> access).n_clients)])


cdef object _client(Client* c):
    return ClientFigures(requests=c.count, words=c.words, waited=c.waited)
