"""A hypothesis strategy for schedules of every form."""

from hypothesis import strategies as st

from fuseflow.ir import schedule as ir
from fuseflow.ir.tensor import LevelFormat

NAMES = st.one_of(
    st.sampled_from(["a", "layer1.matmul", "x-y", "/net/MatMul", "not", "only", "a.", "..", "->"]),
    st.text(min_size=1, max_size=6).filter(lambda name: "\r" not in name),
)
INDEX_NAMES = NAMES.filter(lambda name: "." not in name)
INDICES = st.builds(ir.IndexRef, INDEX_NAMES, st.one_of(st.just(""), NAMES))
COUNTS = st.integers(1, 10**6)
NUMBERS = st.floats(allow_nan=False)


def _some(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(items, min_size=1, max_size=3).map(tuple)


SELECTORS = st.recursive(
    st.one_of(
        NAMES.map(ir.OpName),
        st.one_of(st.sampled_from(["a*", "?.b"]), NAMES).map(ir.Glob),
        NAMES.map(ir.ScopeOf),
        NAMES.map(ir.KindOf),
        st.builds(ir.OpRange, NAMES, NAMES),
    ),
    lambda inner: inner.map(ir.Not),
    max_leaves=3,
)
CHOICES = st.one_of(
    st.builds(ir.Order, _some(INDICES), st.booleans()),
    st.builds(ir.Iterate, st.sampled_from(ir.Iteration)),
    st.sampled_from(["A", "(A X) W", "A (X W)", "((A B) C) D", '"odd name" (B C)']).map(ir.Assoc),
    st.builds(
        ir.Store,
        NAMES,
        st.lists(st.sampled_from(LevelFormat), max_size=3).map(tuple),
        st.lists(INDICES, max_size=3).map(tuple),
        st.lists(COUNTS, max_size=2).map(tuple),
        st.none() | NUMBERS,
    ),
    st.builds(ir.Parallel, INDICES, COUNTS, st.none() | st.sampled_from(ir.JoinPoint)),
    st.builds(ir.Block, _some(st.builds(ir.IndexTile, INDICES, COUNTS))),
    st.builds(ir.Route, NAMES, st.sampled_from(ir.ValueRoute)),
    st.builds(ir.Route, NAMES, st.just(ir.ValueRoute.RECOMPUTE), NAMES),
    st.builds(ir.Permute, NAMES, _some(INDICES)),
    st.builds(ir.Fifo, st.none() | COUNTS),
)
REASONS = st.sampled_from(["", 'computed 3 times over, "again"', "line\nbreak \\"])
DIRECTIVES = st.builds(ir.Directive, CHOICES, REASONS)
BUDGETS = st.builds(
    ir.Budget,
    lanes=st.none() | COUNTS,
    nodes=st.none() | COUNTS,
    spacc_bytes=st.none() | COUNTS,
    fifo_bytes=st.none() | COUNTS,
    recompute=st.none() | st.floats(1, allow_nan=False),
    seconds=st.none() | st.floats(0, 1e6),
)


def schedules() -> st.SearchStrategy[ir.Schedule]:
    """Any schedule, whether or not it makes sense on a graph."""
    groups = st.builds(ir.FuseGroup, NAMES, _some(SELECTORS), st.lists(DIRECTIVES).map(tuple))
    return st.builds(
        ir.Schedule,
        strategy=st.none() | st.sampled_from(ir.Strategy),
        groups=st.lists(groups, max_size=2, unique_by=lambda g: g.name).map(tuple),
        scoped=st.lists(st.builds(ir.Scoped, SELECTORS, _some(DIRECTIVES)), max_size=2).map(tuple),
        budget=BUDGETS,
        reassociate=st.booleans(),
        strict_nonfinite=st.booleans(),
    )
