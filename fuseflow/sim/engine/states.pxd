# SPDX-License-Identifier: MIT
"""Parameters and running state of each kind of unit; arrays of tensors are borrowed, not owned.

The engine object keeps the arrays of the machine alive; everything else is owned by the pool.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.ring cimport Mark, Payload


cdef enum:
    MAX_ARITY = 24  # inputs of a join: its table of masks has 2 ** inputs entries


cdef enum:
    MAX_AXES = 8  # axes of a tile operation


cdef enum LevelKind:
    DENSE
    COMPRESSED
    SINGLETON


cdef enum Fold:
    FOLD_ADD
    FOLD_MAX
    FOLD_MIN
    FOLD_MUL


cdef struct TileLoop:
    # A small einsum over axes: those that the result lacks are folded, the outermost loops.
    int32_t axes
    int32_t folded  # axes that are folded, the first ones
    int32_t size[MAX_AXES]
    int32_t step[2][MAX_AXES]  # floats from point to point, by operand
    int32_t out_step[MAX_AXES]
    Fold fold
    float* line  # one strip of results before it is folded


cdef struct SourceState:
    const uint8_t* ctl
    const int64_t* ints  # of an integer stream
    const float* numbers  # of a number stream
    const int64_t* stamps  # earliest cycle in which each token can be read
    int64_t count
    int64_t at


cdef struct ScanState:
    LevelKind format
    int64_t size
    int64_t parents  # bound of the references, -1 for full, which takes any element
    const int64_t* segments
    const int64_t* coordinates
    int64_t stored  # coordinates of the level
    int64_t at  # position in the fiber under way
    int64_t end
    int64_t origin  # dense: position of coordinate 0
    int64_t* pattern  # dense: 0 .. size - 1 again and again, BUNDLE_VALUES of them; else NULL
    const Payload* zeros  # dense: where the coordinates of each list of a bundle begin
    int64_t* places  # of a bundle: position of the first value of each list
    Mark* marks  # of a bundle


cdef struct LocateState:
    int64_t size
    int64_t stride
    int64_t base
    int64_t parent_stride
    bint search
    const int64_t* segments
    const int64_t* coordinates
    int64_t parents  # search: bound of the parent references
    int64_t* origins  # reference of coordinate 0 in each list of a bundle
    int64_t crd  # coordinate of the iteration under way
    int64_t cost  # ticks of the iteration under way
    int64_t reads  # bytes that its search reads


cdef struct JoinState:
    int32_t arity
    const uint8_t* keep  # by presence mask
    int32_t first[MAX_ARITY]  # input port of the coordinates of each input
    int32_t payloads[MAX_ARITY]  # ports behind it
    int64_t last[MAX_ARITY]  # coordinate before, -1 at the start of a list
    int64_t mask  # inputs whose head is the smallest coordinate
    bint kept
    # A batch of the rules by runs and by bundles, RUN_LIMIT long.
    int64_t* batch_crd
    int64_t* batch_time
    int32_t* batch_at  # per input: position of its value in the run, -1 where it has none
    # By bundles.
    int64_t* arrivals  # per input: when each token of its lists is there, BUNDLE_TOKENS of them
    Mark* marks  # lists of the batch, from the first one on
    int64_t* coordinates  # per input: those that do not lie one after the other
    int64_t* payload  # the same of one payload, integers or numbers
    int64_t count  # coordinates of the batch


cdef struct RepeatState:
    bint lookahead  # every closing stop looks at the outer token behind it


cdef struct ReplayState:
    int32_t depth
    bint wanted  # the element is to be emitted at least once
    int64_t count  # stored tokens
    int64_t room
    int64_t at  # next one to be sent again
    uint8_t* ctl
    int64_t* ints
    float* numbers
    uint8_t end  # stop that ended the stored list


cdef struct HoldState:
    uint8_t pending  # outer stop that the last inner stop left, 0 for none


cdef struct DropState:
    bint fresh  # the outer list under way has had no element
    bint any  # the inner list under way has one
    bint kept  # an inner list of the outer list was kept
    bint withheld  # its closing stop is not sent yet
    uint8_t token  # inner token under way
    uint8_t closing  # outer stop that must come next, 0 for any


cdef struct MaskState:
    int32_t compare  # lt le eq ne ge gt
    bint kept


cdef struct ValDropState:
    const float* fill
    int64_t crd  # coordinate of the iteration under way


cdef struct GatherState:
    int32_t depth
    int32_t sel  # input port of the selection, -1 for none
    int32_t lanes
    int32_t lane  # in turn
    int32_t level  # that the last element closes, -1 while another one follows
    uint8_t closing  # stop of the element under way
    int32_t* closed  # by lane: level that it has closed in this list, -1 if it has not


cdef struct ConcatState:
    int32_t depth
    int32_t count  # inputs, or pairs of them
    const int64_t* offsets
    int64_t crd
    uint8_t held  # stop of the last element passed, 0 for none
    uint8_t end  # token at which the inputs end the list
    uint8_t from_list  # the end is that of a list that had elements


cdef struct ArrayState:
    const float* values  # of a pattern: a tile of ones
    int64_t step  # floats from value to value, 0 for a pattern
    int64_t positions  # bound of the references
    const float* fill
    int64_t bytes  # read per reference


cdef struct AluState:
    int32_t fn
    int32_t arity
    const float* fills[2]
    float parameter
    int64_t flops  # of one application
    TileLoop* tile  # NULL: element by element
    float* operand  # first operand, when it was removed before the second arrived
    float* result


cdef struct ReduceState:
    Fold op
    float init
    float empty
    const float* fill
    int64_t extent  # -1: no correction
    bint fold_columns
    int32_t rows
    int32_t cols
    float* total
    double* wide  # the total while it grows, NULL: a float is wide enough
    int64_t count  # entries of the list under way
    bint any_token  # the list under way has a token


cdef struct LevelWriteState:
    LevelKind format
    int64_t* segments
    int64_t n_segments
    int64_t segment_room
    int64_t* coordinates
    int64_t n_coordinates
    int64_t coordinate_room


cdef struct ValWriteState:
    const float* fill
    float* values
    int64_t count
    int64_t room
    int64_t positions  # bound of the positions, -1 for none
    int64_t written  # values
    float* value  # removed before its reference arrived
