# SPDX-License-Identifier: MIT
"""Allocation for one run (see pool.pxd)."""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from fuseflow.sim.engine.sync cimport ff_lock, ff_unlock


cdef void arena_open(Arena* arena) noexcept nogil:
    """Prepare an empty arena."""
    memset(arena, 0, sizeof(Arena))
    arena.allocations.prev = &arena.allocations
    arena.allocations.next = &arena.allocations


cdef void arena_close(Arena* arena) noexcept nogil:
    """Free everything that its pools have taken."""
    cdef Allocation* here = arena.allocations.next
    cdef Allocation* after
    while here is not NULL and here is not &arena.allocations:
        after = here.next
        free(here)
        here = after
    arena_open(arena)


cdef bint pool_open(Pool* pool, Arena* arena, int64_t block_bytes) noexcept nogil:
    """Prepare an empty pool; False if there is no memory for its spare block."""
    memset(pool, 0, sizeof(Pool))
    pool.arena = arena
    pool.block_bytes = block_bytes
    pool.spare = <Block*> pool_take(pool, sizeof(Block) + block_bytes)
    return pool.spare is not NULL


cdef void* pool_take(Pool* pool, int64_t size) noexcept nogil:
    """Return `size` zeroed bytes, or NULL and a fault."""
    cdef Allocation* here
    if size < 0:
        set_fault(pool, FAULT_MEMORY, size, 0, 0)
        return NULL
    here = <Allocation*> calloc(1, sizeof(Allocation) + size)
    if here is NULL:
        set_fault(pool, FAULT_MEMORY, size, 0, 0)
        return NULL
    here.size = size
    _link(pool.arena, here)
    return here + 1


cdef void* pool_resize(Pool* pool, void* data, int64_t size) noexcept nogil:
    """Enlarge what `pool_take` gave; the new part is not zeroed. NULL and a fault if it fails."""
    cdef Allocation* here
    cdef Allocation* moved
    if data is NULL:
        return pool_take(pool, size)
    here = <Allocation*> data - 1
    _unlink(pool.arena, here)
    moved = <Allocation*> realloc(here, sizeof(Allocation) + size)
    if moved is not NULL:
        here = moved
        here.size = size
    _link(pool.arena, here)
    if moved is NULL:
        set_fault(pool, FAULT_MEMORY, size, 0, 0)
        return NULL
    return here + 1


cdef void _link(Arena* arena, Allocation* here) noexcept nogil:
    ff_lock(&arena.lock)
    arena.bytes += here.size
    here.next = arena.allocations.next
    here.prev = &arena.allocations
    here.next.prev = here
    arena.allocations.next = here
    ff_unlock(&arena.lock)


cdef void _unlink(Arena* arena, Allocation* here) noexcept nogil:
    ff_lock(&arena.lock)
    arena.bytes -= here.size
    here.prev.next = here.next
    here.next.prev = here.prev
    ff_unlock(&arena.lock)


cdef Block* block_make(Pool* pool) noexcept nogil:
    """Allocate a block; the spare one if memory is exhausted (the fault then ends the run)."""
    cdef Block* block = <Block*> pool_take(pool, sizeof(Block) + pool.block_bytes)
    return pool.spare if block is NULL else block
