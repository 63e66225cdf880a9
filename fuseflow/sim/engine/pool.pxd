# SPDX-License-Identifier: MIT
"""All memory of one run: plain allocations and recycled blocks, freed together.

Blocks hold what units compute (numbers, coordinates, explicit stamps). Entries of a ring refer to
them and count references; a block without references goes back to the free list.

A pool serves one thread. Pools of one run share an arena, which owns all memory.
"""

from libc.stdint cimport int64_t


cdef enum FaultCode:
    NO_FAULT
    FAULT_MISALIGNED  # a: bit mask of the input ports that do not fit
    FAULT_OUT_OF_RANGE_CRD  # a: coordinate, b: its bound
    FAULT_OUT_OF_RANGE_REF  # a: reference, b: its bound
    FAULT_OVERFULL  # a: entries of the list, b: extent
    FAULT_MALFORMED  # a: channel, b: control byte of the token, c: its position
    FAULT_SCRAMBLED  # a: coordinate, b: the one after it
    FAULT_MEMORY


cdef struct Fault:
    FaultCode code
    int64_t a
    int64_t b
    int64_t c


cdef struct Allocation:
    Allocation* prev
    Allocation* next
    int64_t size  # bytes behind this header
    int64_t padding  # keeps the data aligned to 16 bytes


cdef struct Arena:
    Allocation allocations  # ring of all allocations, this one is its anchor
    int64_t bytes  # now allocated
    int lock  # guards the above


cdef struct Block:
    Block* next  # in the free list
    int64_t refs  # entries, plus one while a channel may still write to it
    # data follows


cdef struct Pool:
    Arena* arena
    Block* free  # blocks to be reused
    Block* spare  # given out when memory is exhausted, so that writes stay harmless
    int64_t block_bytes  # size of the data of every block
    Fault fault  # first broken rule; the run ends at it


cdef void arena_open(Arena* arena) noexcept nogil
cdef void arena_close(Arena* arena) noexcept nogil
cdef bint pool_open(Pool* pool, Arena* arena, int64_t block_bytes) noexcept nogil
cdef void* pool_take(Pool* pool, int64_t size) noexcept nogil
cdef void* pool_resize(Pool* pool, void* data, int64_t size) noexcept nogil
cdef Block* block_make(Pool* pool) noexcept nogil


cdef inline void set_fault(
    Pool* pool, FaultCode code, int64_t a, int64_t b, int64_t c
) noexcept nogil:
    if pool.fault.code == NO_FAULT:
        pool.fault.code = code
        pool.fault.a = a
        pool.fault.b = b
        pool.fault.c = c


cdef inline char* block_data(Block* block) noexcept nogil:
    return <char*> block + sizeof(Block)


cdef inline Block* block_take(Pool* pool) noexcept nogil:
    """Return a block with one reference."""
    cdef Block* block = pool.free
    if block is NULL:
        block = block_make(pool)
    else:
        pool.free = block.next
    block.refs = 1
    return block


cdef inline void block_drop(Pool* pool, Block* block) noexcept nogil:
    """Give one reference back."""
    block.refs -= 1
    if block.refs == 0 and block is not pool.spare:
        block.next = pool.free
        pool.free = block
