# SPDX-License-Identifier: MIT
"""From the parameters of a unit to its state: checks the data once, then it is trusted.

Arrays of tensors are borrowed: the caller keeps the list `keep` for as long as the unit runs.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

from fuseflow.sim.engine.accumulate cimport MAX_ORDER, SpaccState, step_spacc
from fuseflow.sim.engine.bundles cimport (
    BUNDLE_LENGTH, BUNDLE_LISTS, BUNDLE_TOKENS, BUNDLE_VALUES,
)
from fuseflow.sim.engine.ends cimport (
    step_broadcast, step_level_write, step_repsig, step_root, step_sink, step_source,
    step_val_write,
)
from fuseflow.sim.engine.filters cimport step_drop, step_mask, step_valdrop
from fuseflow.sim.engine.lanes cimport (
    step_concat_lists, step_concat_padded, step_concat_values, step_fork, step_gather,
)
from fuseflow.sim.engine.levels cimport step_locate, step_scan
from fuseflow.sim.engine.merge cimport step_join
from fuseflow.sim.engine.pool cimport pool_take
from fuseflow.sim.engine.replay cimport step_replay
from fuseflow.sim.engine.ring cimport RUN_LIMIT, Chan, Mark, Payload
from fuseflow.sim.engine.run_ends cimport (
    run_broadcast, run_level_write, run_repeat, run_repsig, run_val_write,
)
from fuseflow.sim.engine.run_spacc cimport run_spacc
from fuseflow.sim.engine.run_join cimport run_join
from fuseflow.sim.engine.run_levels cimport run_locate, run_scan
from fuseflow.sim.engine.run_values cimport run_alu, run_array, run_reduce
from fuseflow.sim.engine.scalar cimport Function
from fuseflow.sim.engine.shape cimport step_hold, step_repeat
from fuseflow.sim.engine.states cimport (
    COMPRESSED, DENSE, FOLD_ADD, FOLD_MAX, FOLD_MIN, FOLD_MUL, MAX_ARITY, MAX_AXES, SINGLETON,
    AluState, ArrayState, ConcatState, DropState, Fold, GatherState, HoldState, JoinState,
    LevelKind, LevelWriteState, LocateState, MaskState, ReduceState, RepeatState, ReplayState, ScanState,
    SourceState, TileLoop, ValDropState, ValWriteState,
)
from fuseflow.sim.engine.strip cimport STRIP_LIMIT, strip_reserve
from fuseflow.sim.engine.unit cimport Unit
from fuseflow.sim.engine.values cimport fold_missing, step_alu, step_array, step_reduce
from fuseflow.sim.engine.wide cimport fold_missing_wide, narrow, widen

FUNCTIONS = {
    "copy": Function.COPY, "neg": Function.NEG, "abs": Function.ABS, "relu": Function.RELU,
    "leaky_relu": Function.LEAKY_RELU, "exp": Function.EXP, "log": Function.LOG,
    "sqrt": Function.SQRT, "rsqrt": Function.RSQRT, "reciprocal": Function.RECIPROCAL,
    "square": Function.SQUARE, "sigmoid": Function.SIGMOID, "silu": Function.SILU,
    "tanh": Function.TANH, "erf": Function.ERF, "gelu": Function.GELU,
    "gelu_tanh": Function.GELU_TANH, "sin": Function.SIN, "cos": Function.COS,
    "add_scalar": Function.ADD_SCALAR, "mul_scalar": Function.MUL_SCALAR,
    "rsub_scalar": Function.RSUB_SCALAR, "rdiv_scalar": Function.RDIV_SCALAR,
    "div_scalar": Function.DIV_SCALAR, "pow_scalar": Function.POW_SCALAR,
    "max_scalar": Function.MAX_SCALAR, "min_scalar": Function.MIN_SCALAR, "mul": Function.MUL,
    "add": Function.ADD, "sub": Function.SUB, "div": Function.DIV, "max": Function.MAX,
    "min": Function.MIN, "pow": Function.POW, "safe_sub": Function.SAFE_SUB,
    "safe_div": Function.SAFE_DIV, "masked": Function.MASKED,
}
FOLDS = {"add": FOLD_ADD, "max": FOLD_MAX, "min": FOLD_MIN, "mul": FOLD_MUL}
LEVELS = {"dense": DENSE, "compressed": COMPRESSED, "singleton": SINGLETON}
COMPARISONS = ("lt", "le", "eq", "ne", "ge", "gt")


cdef void* _take(Unit* u, int64_t size) except NULL:
    """Return zeroed memory of the pool."""
    cdef void* data = pool_take(u.pool, size)
    if data is NULL:
        raise MemoryError("the simulator needs more memory than there is")
    return data


cdef const int64_t* _ints(object array, list keep) except? NULL:
    """Borrow an integer array; NULL for None."""
    if array is None:
        return NULL
    cdef const int64_t[::1] view = np.ascontiguousarray(array, np.int64)
    keep.append(view)
    return &view[0] if view.shape[0] else <const int64_t*> NULL


cdef const float* _floats(object array, list keep) except? NULL:
    """Borrow a float32 array of any shape, flat; NULL if it is empty."""
    cdef const float[::1] view = np.ascontiguousarray(array, np.float32).reshape(-1)
    keep.append(view)
    return &view[0] if view.shape[0] else <const float*> NULL


cdef int _tile_step(object sizes, object axes, int axis) except -1:
    """Return how far apart in a tile two neighbours along an axis are; 0 if it lacks the axis."""
    if axis not in axes:
        return 0
    return int(np.prod([sizes[a] for a in axes[axes.index(axis) + 1:]], dtype=np.int64))


cdef class Binder:
    """Gives one unit its rule and its state; one method per kind of parameters."""

    cdef Unit* u
    cdef object unit
    cdef object tiles
    cdef list keep

    def bind(self):
        """Dispatch by kind."""
        getattr(self, f"_bind_{self.unit.kind.name.lower()}")(self.unit.params)

    cdef object _tile(self, int port, bint output=False):
        """Return the tile shape of a port; () for numbers, void and unconnected ports."""
        channels = self.unit.outputs if output else self.unit.inputs
        return self.tiles[channels[port]] if channels[port] >= 0 else ()

    cdef int64_t _width(self, int port) except -1:
        """Return how many floats a value of a number input has."""
        cdef Chan* c = self.u.inputs[port]
        if c is NULL or c.width == 0:
            raise ValueError(f"unit {self.unit.name}: input {port} must be a stream of numbers")
        return c.width

    cdef const float* _fill(self, object fill, object tile) except NULL:
        """Spread a fill over a tile."""
        return _floats(np.broadcast_to(np.asarray(fill, np.float32), tile or (1,)), self.keep)

    def _bind_source(self, params):
        cdef SourceState* s = <SourceState*> _take(self.u, sizeof(SourceState))
        cdef const uint8_t[::1] ctl = np.ascontiguousarray(params.stream.ctl, np.uint8)
        self.u.state = s
        self.u.step = step_source
        self.keep.append(ctl)
        s.count = len(ctl)
        s.ctl = &ctl[0] if s.count else NULL
        s.stamps = _ints(params.stream.stamps, self.keep)
        if params.stream.data.dtype.kind == "f":
            s.numbers = _floats(params.stream.data, self.keep)
        else:
            s.ints = _ints(params.stream.data, self.keep)

    def _bind_sink(self, _params):
        self.u.step = step_sink

    def _bind_repsig(self, _params):
        self.u.step = step_repsig

    def _bind_root(self, _params):
        self.u.step = step_root

    def _bind_broadcast(self, _params):
        self.u.step = step_broadcast

    def _bind_fork(self, _params):
        self.u.step = step_fork

    def _bind_scan(self, params):
        cdef ScanState* s = <ScanState*> _take(self.u, sizeof(ScanState))
        self.u.state = s
        self.u.step = step_scan
        s.format = <LevelKind> LEVELS[params.format]
        s.size = params.size
        s.parents = params.parents
        s.segments = _ints(params.segments, self.keep)
        s.coordinates = _ints(params.coordinates, self.keep)
        s.stored = 0 if params.coordinates is None else len(params.coordinates)

    def _bind_full(self, params):
        cdef ScanState* s = <ScanState*> _take(self.u, sizeof(ScanState))
        self.u.state = s
        self.u.step = step_scan
        s.format = LevelKind.DENSE
        s.size = params.size
        s.parents = -1

    def _bind_locate(self, params):
        cdef LocateState* s = <LocateState*> _take(self.u, sizeof(LocateState))
        self.u.state = s
        self.u.step = step_locate
        s.size = params.size
        s.stride = params.stride
        s.base = params.base
        s.parent_stride = params.parent_stride
        s.search = params.search
        s.segments = _ints(params.segments, self.keep)
        s.coordinates = _ints(params.coordinates, self.keep)
        s.parents = 0 if params.segments is None else len(params.segments) - 1
        s.origins = <int64_t*> _take(self.u, BUNDLE_LISTS * sizeof(int64_t))

    def _bind_join(self, params):
        cdef JoinState* s = <JoinState*> _take(self.u, sizeof(JoinState))
        cdef const uint8_t[::1] keep = np.array(params.keep, np.uint8)
        cdef int32_t j, port = 0
        if len(params.payloads) > MAX_ARITY:
            raise ValueError(f"unit {self.unit.name}: a join of {len(params.payloads)} inputs")
        self.u.state = s
        self.u.step = step_join
        self.keep.append(keep)
        s.keep = &keep[0]
        s.arity = len(params.payloads)
        for j in range(s.arity):
            s.first[j] = port
            s.payloads[j] = params.payloads[j]
            s.last[j] = -1
            port += 1 + s.payloads[j]
        s.batch_crd = <int64_t*> _take(self.u, RUN_LIMIT * sizeof(int64_t))
        s.batch_time = <int64_t*> _take(self.u, RUN_LIMIT * sizeof(int64_t))
        s.batch_at = <int32_t*> _take(self.u, s.arity * RUN_LIMIT * sizeof(int32_t))
        s.arrivals = <int64_t*> _take(self.u, s.arity * BUNDLE_TOKENS * sizeof(int64_t))
        s.marks = <Mark*> _take(self.u, BUNDLE_LISTS * sizeof(Mark))
        s.coordinates = <int64_t*> _take(self.u, s.arity * BUNDLE_VALUES * sizeof(int64_t))
        s.payload = <int64_t*> _take(self.u, BUNDLE_VALUES * sizeof(int64_t))

    def _bind_repeat(self, params):
        cdef RepeatState* s = <RepeatState*> _take(self.u, sizeof(RepeatState))
        self.u.state = s
        self.u.step = step_repeat
        s.lookahead = params.lookahead

    def _bind_replay(self, params):
        cdef ReplayState* s = <ReplayState*> _take(self.u, sizeof(ReplayState))
        self.u.state = s
        self.u.step = step_replay
        s.depth = params.depth

    def _bind_hold(self, _params):
        self.u.state = _take(self.u, sizeof(HoldState))
        self.u.step = step_hold

    def _bind_drop(self, _params):
        cdef DropState* s = <DropState*> _take(self.u, sizeof(DropState))
        self.u.state = s
        self.u.step = step_drop
        s.fresh = True

    def _bind_mask(self, params):
        cdef MaskState* s = <MaskState*> _take(self.u, sizeof(MaskState))
        self.u.state = s
        self.u.step = step_mask
        s.compare = COMPARISONS.index(params.keep)

    def _bind_valdrop(self, params):
        cdef ValDropState* s = <ValDropState*> _take(self.u, sizeof(ValDropState))
        self.u.state = s
        self.u.step = step_valdrop
        self._width(1)
        s.fill = self._fill(params.fill, self._tile(1))

    def _bind_array(self, params):
        cdef ArrayState* s = <ArrayState*> _take(self.u, sizeof(ArrayState))
        pattern = params.values is None
        tile = self._tile(0, True) if pattern else params.values.shape[1:]
        self.u.state = s
        self.u.step = step_array
        s.positions = params.positions
        s.fill = self._fill(params.fill, tile)
        s.step = 0 if pattern else int(np.prod(tile))
        s.bytes = 4 * s.step
        s.values = self._fill(1.0, tile) if pattern else _floats(params.values, self.keep)

    def _bind_alu(self, params):
        cdef AluState* s = <AluState*> _take(self.u, sizeof(AluState))
        cdef int32_t j
        self.u.state = s
        self.u.step = step_alu
        s.fn = FUNCTIONS[params.fn]
        s.arity = len(params.fills)
        s.parameter = params.parameters[0] if params.parameters else 0.0
        s.flops = params.flops
        for j in range(s.arity):
            self._width(j)
            s.fills[j] = self._fill(params.fills[j], self._tile(j))
        s.operand = <float*> _take(self.u, sizeof(float) * self._width(0))
        if self.u.outputs[0] is not NULL:
            s.result = <float*> _take(self.u, sizeof(float) * self.u.outputs[0].width)
        if params.tile_op is not None:
            s.tile = self._tile_loop(params.tile_op)

    cdef TileLoop* _tile_loop(self, object op) except NULL:
        """Lay out the loops of a tile operation: folded axes first, then those of the result."""
        cdef TileLoop* t = <TileLoop*> _take(self.u, sizeof(TileLoop))
        cdef int32_t place, j
        folded = [axis for axis in range(len(op.sizes)) if axis not in op.result.axes]
        order = [*folded, *op.result.axes]
        if len(order) >= MAX_AXES:
            raise ValueError(f"unit {self.unit.name}: a tile operation over {len(order)} axes")
        for place, axis in enumerate(order):
            t.size[place] = op.sizes[axis]
            t.out_step[place] = _tile_step(op.sizes, op.result.axes, axis)
            for j, tile in enumerate(op.operands):
                t.step[j][place] = _tile_step(op.sizes, tile.axes, axis)
        t.axes = len(order)
        t.folded = len(folded)
        if not op.result.axes:
            t.size[t.axes] = 1
            t.axes += 1
        t.fold = <Fold> FOLDS[op.fold or "add"]
        t.line = <float*> _take(self.u, t.size[t.axes - 1] * sizeof(float))
        return t

    def _bind_reduce(self, params):
        cdef ReduceState* s = <ReduceState*> _take(self.u, sizeof(ReduceState))
        cdef int64_t i, width
        tile = self._tile(0)
        width = self._width(0)
        self.u.state = s
        self.u.step = step_reduce
        s.op = <Fold> FOLDS[params.op]
        s.init = params.init
        s.empty = params.empty
        s.fill = self._fill(params.fill, tile)
        s.extent = -1 if params.extent is None else params.extent
        s.fold_columns = bool(params.tile_axis)
        s.rows, s.cols = tile if s.fold_columns else (1, 1)
        s.total = <float*> _take(self.u, sizeof(float) * width)
        for i in range(width):
            s.total[i] = s.init
        if params.wide:
            s.wide = <double*> _take(self.u, sizeof(double) * width)
            widen(s.total, s.wide, width)

    def _bind_spacc(self, params):
        cdef SpaccState* s = <SpaccState*> _take(self.u, sizeof(SpaccState))
        cdef int32_t j
        cdef float* absent
        cdef double* sums
        if params.order > MAX_ORDER:
            raise ValueError(f"unit {self.unit.name}: an accumulator of order {params.order}")
        tile = self._tile(params.order + 1)
        self.u.state = s
        self.u.step = step_spacc
        s.op = <Fold> FOLDS[params.op]
        s.order = params.order
        s.width = self._width(params.order + 1)
        s.is_wide = params.wide
        s.strip.width = s.width
        s.strip.op = s.op
        s.strip.pool = self.u.pool
        s.fill = self._fill(params.fill, tile)
        s.missing = self._fill(params.missing, tile)
        s.extent = -1 if params.extent is None else params.extent
        for j in range(s.order):
            s.full[j] = params.full[j]
        if s.extent >= 0:
            absent_copy = np.array(np.broadcast_to(np.float32(params.init), tile or (1,)))
            absent = <float*> _floats(absent_copy, self.keep)
            if s.extent > 0 and s.is_wide:
                sums = <double*> _take(self.u, sizeof(double) * s.width)
                widen(absent, sums, s.width)
                fold_missing_wide(s.op, sums, s.fill, s.width, s.extent)
                narrow(sums, absent, s.width)
            elif s.extent > 0:
                fold_missing(s.op, absent, s.fill, s.width, s.extent)
            s.missing = absent

    def _bind_gather(self, params):
        cdef GatherState* s = <GatherState*> _take(self.u, sizeof(GatherState))
        cdef int32_t j
        self.u.state = s
        self.u.step = step_gather
        s.depth = params.depth
        s.lanes = params.lanes
        s.sel = -1
        if len(self.unit.inputs) > s.lanes and self.unit.inputs[s.lanes] >= 0:
            s.sel = s.lanes
        s.closed = <int32_t*> _take(self.u, sizeof(int32_t) * s.lanes)
        for j in range(s.lanes):
            s.closed[j] = -1

    def _bind_concat(self, params):
        cdef ConcatState* s = <ConcatState*> _take(self.u, sizeof(ConcatState))
        self.u.state = s
        s.depth = params.depth
        s.count = len(params.offsets)
        s.offsets = _ints(params.offsets, self.keep)
        if params.mode == "pad":
            self.u.step = step_concat_padded
        else:
            self.u.step = step_concat_lists if params.depth else step_concat_values

    def _bind_level_write(self, params):
        cdef LevelWriteState* s = <LevelWriteState*> _take(self.u, sizeof(LevelWriteState))
        self.u.state = s
        self.u.step = step_level_write
        s.format = <LevelKind> LEVELS[params.format]
        s.segment_room = 64
        s.segments = <int64_t*> _take(self.u, 64 * sizeof(int64_t))
        s.n_segments = 1

    def _bind_val_write(self, params):
        cdef ValWriteState* s = <ValWriteState*> _take(self.u, sizeof(ValWriteState))
        cdef int64_t i
        tile = self._tile(0)
        cdef int64_t width = self._width(0)
        self.u.state = s
        self.u.step = step_val_write
        s.fill = self._fill(params.fill, tile)
        s.value = <float*> _take(self.u, width * sizeof(float))
        s.positions = -1 if params.positions is None else params.positions
        if len(self.unit.inputs) > 1 and self.unit.inputs[1] >= 0:
            if s.positions < 0:
                raise ValueError(f"unit {self.unit.name}: references without a bound")
            s.count = s.positions
            s.values = <float*> _take(self.u, (s.positions * width + 1) * sizeof(float))
            for i in range(s.positions * width):
                s.values[i] = s.fill[i % width]


cdef void _prepare_bundles(Unit* u, ScanState* s) noexcept:
    """Give a scan the room to build bundles, unless its fibers are too long for them."""
    cdef int64_t i
    if s.format == DENSE and s.size > BUNDLE_LENGTH:
        return
    s.places = <int64_t*> pool_take(u.pool, BUNDLE_LISTS * sizeof(int64_t))
    s.marks = <Mark*> pool_take(u.pool, BUNDLE_LISTS * sizeof(Mark))
    if s.format == DENSE:
        s.pattern = <int64_t*> pool_take(u.pool, BUNDLE_VALUES * sizeof(int64_t))
        s.zeros = <Payload*> pool_take(u.pool, BUNDLE_LISTS * sizeof(Payload))
    if s.places is NULL or s.marks is NULL or (
            s.format == DENSE and (s.pattern is NULL or s.zeros is NULL)):
        s.marks = NULL
        return
    for i in range(BUNDLE_VALUES if s.size and s.format == DENSE else 0):
        s.pattern[i] = i % s.size


cdef void _choose_run(Unit* u) noexcept:
    """Let a unit go by runs if there is such a rule and all its channels are unbounded."""
    cdef int32_t k
    cdef SpaccState* spacc
    cdef bint sends = u.n_out == 0
    for k in range(u.n_in):
        if u.inputs[k] is not NULL and u.inputs[k].capacity >= 0:
            return
    for k in range(u.n_out):
        if u.outputs[k] is not NULL:
            sends = True
            if u.outputs[k].capacity >= 0 or u.outputs[k].interval:
                return
    if not sends:
        return
    if u.step is step_repsig:
        u.run = run_repsig
    elif u.step is step_broadcast:
        u.run = run_broadcast
    elif u.step is step_repeat:
        u.run = run_repeat
    elif u.step is step_level_write:
        u.run = run_level_write
    elif u.step is step_val_write and (u.n_in == 1 or u.inputs[1] is NULL):
        u.run = run_val_write
    elif u.step is step_scan:
        u.run = run_scan
        _prepare_bundles(u, <ScanState*> u.state)
    elif u.step is step_locate and not (<LocateState*> u.state).search:
        u.run = run_locate
    elif u.step is step_array:
        u.run = run_array
    elif u.step is step_alu:
        u.run = run_alu
    elif u.step is step_reduce:
        u.run = run_reduce
    elif u.step is step_join:
        u.run = run_join
    elif u.step is step_spacc:
        u.run = run_spacc
        spacc = <SpaccState*> u.state
        spacc.in_strip = (spacc.order == 1 and spacc.extent < 0 and not spacc.is_wide
                          and spacc.full[0] < STRIP_LIMIT
                          and strip_reserve(&spacc.strip, spacc.full[0], 1))


cdef int bind_unit(Unit* u, object unit, object tiles, list keep) except -1:
    """Give a unit its rules and its state; `tiles` has the tile of every channel."""
    cdef Binder binder = Binder()
    binder.u = u
    binder.unit = unit
    binder.tiles = tiles
    binder.keep = keep
    binder.bind()
    _choose_run(u)
    return 0
