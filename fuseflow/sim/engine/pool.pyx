# SPDX-License-Identifier: MIT
"""Allocation for one run (see pool.pxd)."""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset


cdef bint pool_open(Pool* pool, int64_t block_bytes) noexcept nogil:
    """Prepare an empty pool; False if there is no memory for its spare block."""
    memset(pool, 0, sizeof(Pool))
    pool.allocations.prev = &pool.allocations
    pool.allocations.next = &pool.allocations
    pool.block_bytes = block_bytes
    pool.spare = <Block*> pool_take(pool, sizeof(Block) + block_bytes)
    return pool.spare is not NULL


cdef void pool_close(Pool* pool) noexcept nogil:
    """Free everything that was taken from the pool."""
    cdef Allocation* here = pool.allocations.next
    cdef Allocation* after
    while here is not NULL and here is not &pool.allocations:
        after = here.next
        free(here)
        here = after
    pool.allocations.next = &pool.allocations
    pool.allocations.prev = &pool.allocations
    pool.free = NULL
    pool.bytes = 0


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
    pool.bytes += size
    _link(pool, here)
    return here + 1


cdef void* pool_resize(Pool* pool, void* data, int64_t size) noexcept nogil:
    """Enlarge what `pool_take` gave; the new part is not zeroed. NULL and a fault if it fails."""
    cdef Allocation* here
    cdef Allocation* moved
    if data is NULL:
        return pool_take(pool, size)
    here = <Allocation*> data - 1
    here.prev.next = here.next
    here.next.prev = here.prev
    moved = <Allocation*> realloc(here, sizeof(Allocation) + size)
    if moved is NULL:
        _link(pool, here)
        set_fault(pool, FAULT_MEMORY, size, 0, 0)
        return NULL
    pool.bytes += size - moved.size
    moved.size = size
    _link(pool, moved)
    return moved + 1


cdef void _link(Pool* pool, Allocation* here) noexcept nogil:
    here.next = pool.allocations.next
    here.prev = &pool.allocations
    here.next.prev = here
    pool.allocations.next = here


cdef Block* block_make(Pool* pool) noexcept nogil:
    """Allocate a block; the spare one if memory is exhausted (the fault then ends the run)."""
    cdef Block* block = <Block*> pool_take(pool, sizeof(Block) + pool.block_bytes)
    return pool.spare if block is NULL else block
