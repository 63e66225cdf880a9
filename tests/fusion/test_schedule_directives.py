"""Directives do what they say, and the results stay those of the dense tensors."""

import itertools
import math

import numpy as np
import pytest

from fuseflow.errors import ScheduleError
from fuseflow.fusion import Fused, FuseOptions, plan_graph
from fuseflow.fusion.schedule.bind import bind_schedule
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule_parse import parse_schedule
from fuseflow.ir.testing import make_graph, sparse_array
from fuseflow.sim import simulate
from tests.fusion.checks import assert_computes
from tests.fusion.examples import product_chain

CSR = "dense,compressed"


def network() -> EinsumGraph:
    """Two layers of a graph network, then a softmax; X is dense, the graph A is CSR."""
    rng = np.random.default_rng(3)
    return make_graph(
        [
            "T1[i,k] = add[j] mul(A[i,j], X[j,k])",
            "U1[i,m] = add[k] mul(T1[i,k], W1[k,m])",
            "H[i,m] = relu(U1[i,m])",
            "T2[i,m] = add[j] mul(A[i,j], H[j,m])",
            "U2[i,n] = add[m] mul(T2[i,m], W2[m,n])",
            "top[i] = max[n] copy(U2[i,n])",
            "low[i,n] = sub(U2[i,n], top[i])",
            "Z[i,n] = exp(low[i,n])",
        ],
        tensors={
            "A": (sparse_array(rng, (6, 6)) + np.eye(6), CSR),
            "X": rng.normal(size=(6, 5)),
            "W1": rng.normal(size=(5, 4)),
            "W2": rng.normal(size=(4, 3)),
        },
        references=True,
    )


def compiled(text: str, graph: EinsumGraph | None = None) -> Fused:
    """Compile under a schedule and require the results of the dense evaluation."""
    return assert_computes(graph or network(), FuseOptions(schedule=parse_schedule(text)))


def refusal(text: str, graph: EinsumGraph | None = None) -> ScheduleError:
    with pytest.raises(ScheduleError) as caught:
        plan_graph(graph or network(), FuseOptions(schedule=parse_schedule(text)))
    return caught.value


def kernels(fused: Fused) -> dict[str, tuple[str, ...]]:
    return {kernel.name: kernel.einsums for kernel in fused.program.kernels}


# Groups and selectors ----------------------------------------------------------------------------


def test_a_group_becomes_one_kernel_of_its_name() -> None:
    fused = compiled("fuse layer1 = T1 .. H; fuse rest = not T1, not U1, not H;")
    names = ("T1", "U1", "H"), ("T2", "U2", "top", "low", "Z")
    assert kernels(fused) == {"layer1": names[0], "rest": names[1]}


def test_what_no_group_names_follows_the_strategy() -> None:
    fused = compiled("strategy unfused; fuse ends = top .. Z;")
    assert [len(einsums) for einsums in kernels(fused).values()] == [1, 1, 1, 1, 1, 3]


def test_a_group_may_have_several_outputs() -> None:
    graph = make_graph(
        ["S[i] = add[j] copy(A[i,j])", "M[i] = max[j] copy(A[i,j])", "D[i,j] = neg(A[i,j])"],
        tensors={"A": (np.eye(4, 5), CSR)},
        outputs=["S", "M", "D"],
    )
    fused = compiled("fuse all = *;", graph)
    (planned,) = fused.plans
    assert planned.region.outputs == ("S", "M", "D")


def test_of_two_groups_the_later_one_gets_an_operation() -> None:
    fused = compiled("fuse a = T1, U1; fuse b = U1, H;")
    assert kernels(fused)["a"] == ("T1",)
    assert kernels(fused)["b"] == ("U1", "H")


@pytest.mark.parametrize(
    ("selector", "ops"),
    [
        ("T*", {"T1", "T2"}),
        ("?1", {"T1", "U1"}),
        ("kind(relu)", {"H"}),
        ("kind(max)", {"top"}),
        ("U1 .. T2", {"U1", "H", "T2"}),
        ("not T1 .. U2", {"top", "low", "Z"}),
        ("*, not T1 .. U2, not Z", {"top", "low"}),
    ],
)
def test_selectors_reach_operations(selector: str, ops: set[str]) -> None:
    (group,) = bind_schedule(parse_schedule(f"fuse g = {selector};"), network()).groups
    assert set(group.ops) == ops


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("fuse g = T3;", "T2"),
        ("fuse g = kind(relo);", "relu"),
        ("for scope(net) { fifo 3; };", None),
        ("for Q* { fifo 3; };", None),
        ("fuse g = U1 .. T1;", "T1 .. U1"),
        ("for T1 { value T3 stream; };", "T2"),
        ("for T1 { format AA [dense, dense]; };", "A"),
        ("for T1 { order U1.z -> i; };", None),
        ("for T1 { order T9.z -> i; };", "T2"),
        ("for T1 { format A [dense, dense] modes (i, z); };", None),
        ("for U1 { assoc (A Y) W1; };", None),
        ("for T1 { block m:2; };", "k"),
    ],
)
def test_what_does_not_exist_is_an_error_with_the_closest_name(text: str, near: str | None) -> None:
    error = refusal(text)
    assert error.rule == "P011"
    assert near is None or near in (error.findings[0].fix or "")


def test_a_group_that_others_run_through_is_refused() -> None:
    error = refusal("fuse g = T1, H;")
    assert error.rule == "P014"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("for T1 { value T1 replay; };", "replay"),
        ("for T1 { format H [dense, dense, block(2, 2)]; };", "tile"),
        ("for T1 { value T1 buffer; };", "buffer"),
        ("for T1 { parallel i by 2 join late; };", "late"),
        ("for T1 { format H [dense, dense] fill 1; };", "fill"),
        ("for T1 { permute H to (m, i); };", "permute"),
        ("budget fifo_bytes=4;", "fifo_bytes"),
    ],
)
def test_what_cannot_be_done_yet_is_refused_by_name(text: str, word: str) -> None:
    error = refusal(text)
    assert error.rule == "P012"
    assert word in str(error)


# Orders ------------------------------------------------------------------------------------------


def test_an_order_may_name_indices_of_operations() -> None:
    text = "fuse g = T1, U1 { order U1.m -> T1.j -> T1.i; value T1 recompute; };"
    fused = compiled(text)
    order = fused.plans[0].plan.order
    assert order.index("m") < order.index("j") < order.index("i")


def test_an_order_that_storage_forbids_is_met_with_a_copy() -> None:
    fused = compiled("fuse g = T1 { order j -> i; };")
    assert fused.plans[0].plan.order.index("j") < fused.plans[0].plan.order.index("i")
    assert list(fused.plans[0].copies.values()) == ["A@1,0"]


def test_a_whole_order_names_every_index() -> None:
    assert compiled("fuse g = T1 { order only k -> i -> j; };").plans[0].plan.order == tuple("kij")
    error = refusal("fuse g = T1 { order only i -> j; };")
    assert (error.rule, "leaves out k" in str(error)) == ("P013", True)


def test_a_whole_order_that_cannot_be_lowered_is_an_error() -> None:
    error = refusal("fuse g = top, low, Z { order only n -> i; };")
    assert error.rule == "P013"
    assert "needed again" in str(error)


def test_every_order_of_a_product_chain_is_followed_or_means_another_one() -> None:
    """24 orders, 16 kernels; in 6 orders T would start anew within its own sum over k."""
    found: dict[str, list[tuple[str, ...]]] = {}
    rewritten = 0
    for order in itertools.permutations("ikjl"):
        text = f"strategy full; fuse g = T, D {{ order only {' -> '.join(order)}; }};"
        fused = compiled(text, product_chain())
        (kernel,) = fused.program.kernels
        found.setdefault(repr(kernel.nodes), []).append(kernel.order)
        place = order.index
        moved = place("k") < place("l") < max(place("i"), place("j"))
        assert (kernel.order != order) == moved, order
        if moved:
            note = f"order {' -> '.join(kernel.order)} in place of {' -> '.join(order)}: T is "
            assert fused.program.notes[0].startswith(note)
            again = compiled(fused.program.schedule, product_chain()).program
            assert again.kernels == fused.program.kernels
            assert (again.schedule, again.notes) == (fused.program.schedule, fused.program.notes)
            rewritten += 1
    assert (len(found), rewritten) == (16, 6)


def test_orders_that_contradict_each_other_are_named() -> None:
    error = refusal("fuse g = T1 { order i -> j; order j -> i; };")
    assert error.rule == "P013"
    assert "order i -> j; order j -> i" in str(error)


def test_positions_count_in_the_order_that_the_kernel_has_otherwise() -> None:
    free = compiled("fuse g = T1, U1;").plans[0].plan.order
    swapped = compiled("fuse g = T1, U1 { order outer+1 -> outer; };").plans[0].plan.order
    assert swapped.index(free[1]) < swapped.index(free[0])


def test_an_index_that_no_kernel_has_is_an_error() -> None:
    assert refusal("for * { order q -> i; };").rule == "P002"
    assert refusal("for * { parallel q by 2; };").rule == "P002"
    assert refusal("for * { parallel outer+7 by 2; };").rule == "P002"


# Values ------------------------------------------------------------------------------------------


def test_recomputation_is_a_choice_per_value() -> None:
    cut = compiled("fuse g = T1 .. U2;")
    assert "barrier after H: computed" in " ".join(cut.program.notes)
    fused = compiled(
        "fuse g = T1 .. U2 { value T1 recompute; value U1 recompute; value H recompute; };"
    )
    assert fused.plans[0].kernel.name == "g"
    assert fused.plans[0].expected.recompute["H"] > 1.02


def test_a_streamed_value_is_never_written() -> None:
    fused = compiled("fuse g = T1 .. H { value T1 stream; };")
    assert "T1" not in fused.program.tensors
    error = refusal("fuse g = T1 .. U2 { value H stream; };")
    assert error.rule == "P013"
    assert 'value "H" cannot be streamed' in str(error)


def test_a_materialised_value_ends_its_kernel() -> None:
    fused = compiled("strategy full; budget recompute=100; for H { value H materialise; };")
    assert [planned.region.outputs for planned in fused.plans] == [("H",), ("Z",)]
    assert fused.program.notes == ["barrier after H: the schedule says so"]


def test_the_budget_holds_for_every_value() -> None:
    one = compiled("strategy full; budget recompute=100;")
    two = compiled("strategy full; budget recompute=1;")
    assert (len(one.plans), len(two.plans)) == (1, 2)


# Storage -----------------------------------------------------------------------------------------


def test_a_constant_is_stored_anew() -> None:
    fused = compiled("for T1 { format A [compressed, compressed] modes (j, i); };")
    assert str(fused.program.tensors["A"].format) == "compressed,compressed@1,0"


def test_a_constant_may_get_another_fill() -> None:
    graph = make_graph(
        ["Z[i,j] = add(A[i,j], B[i,j])"],
        tensors={"A": np.array([[1.0, 1.0, 2.0], [3.0, 1.0, 1.0]]), "B": np.ones((2, 3))},
    )
    fused = compiled("for Z { format A [dense, compressed] fill 1; };", graph)
    assert fused.program.tensors["A"].tensor.stored == 2
    assert fused.program.tensors["A"].fill == 1.0


def test_a_pattern_cannot_end_in_a_dense_level() -> None:
    mask = make_graph(
        ["Z[i,j] = masked(M[i,j], X[i,j], -inf)"],
        tensors={"M": (np.eye(3), "dense,compressed pattern"), "X": np.ones((3, 3))},
    )
    assert refusal("for Z { format M [dense, dense]; };", mask).rule == "P013"


@pytest.mark.parametrize(
    "text", ["compressed,compressed@1,0", "dense,dense@1,0", "dense,compressed"]
)
def test_a_result_is_written_in_the_format_asked_for(text: str) -> None:
    levels, _, modes = text.partition("@")
    order = "(m, i)" if modes else "(i, m)"
    fused = compiled(f"fuse g = T1 .. H {{ format H [{levels}] modes {order}; }};")
    assert str(fused.program.tensors["H"].format) == text


def test_a_permuted_constant_is_read_from_a_copy() -> None:
    fused = compiled("fuse g = T1 { permute A to (j, i); };")
    planned = fused.plans[0]
    assert list(planned.copies.values()) == ["A@1,0"]
    assert planned.plan.order.index("j") < planned.plan.order.index("i")


# Machine -----------------------------------------------------------------------------------------


def test_lanes_nest_and_name_their_index() -> None:
    fused = compiled("fuse g = T1, U1 { parallel i by 2; parallel U1.m by 3; };")
    forks = [node.attrs.lanes for node in fused.program.kernels[0].nodes if node.op is Op.FORK]
    assert set(forks) == {2, 3}


def test_channels_get_the_capacity_asked_for() -> None:
    fused = compiled("fuse g = T1 { fifo 7; }; for U1 { fifo 3; fifo auto; };")
    first, second = fused.program.kernels[:2]
    assert {stream.capacity for stream in first.streams.values()} == {7}
    assert {stream.capacity for stream in second.streams.values()} == {None}


def simulated(text: str, graph: EinsumGraph) -> DataflowProgram:
    """Compile under a schedule and require the references in simulation; tiles need that."""
    program = plan_graph(graph, FuseOptions(schedule=parse_schedule(text))).program
    report = simulate(program, engine="twin", check=True)
    assert report.check.passed, report.check.failures
    return program


@pytest.mark.parametrize("strategy", ["unfused", "layer", "full"])
def test_blocks_split_indices_of_the_model(strategy: str) -> None:
    text = "for T1 { block i:4, j:4, k:2; }; for U2 { block n:2; };"
    program = simulated(f"strategy {strategy}; {text}", network())
    assert program.tensors["A"].tile == (4, 4)
    assert program.tensors["X"].tile == (4, 2)


def test_what_a_ragged_block_adds_stays_in_the_group() -> None:
    text = "fuse l1 = T1 .. H { block i:4, k:3; }; fuse l2 = not T1, not U1, not H;"
    program = simulated(text, network())
    assert [kernel.name for kernel in program.kernels] == ["l1", "l2"]


def test_a_star_blocks_every_index_that_is_long_enough() -> None:
    program = simulated("for * { block *:4; };", network())
    assert program.tensors["W1"].tile == (4, 4)
    assert program.tensors["W2"].tile == (4, 1)


# Iteration and association -----------------------------------------------------------------------


def multiplications(fused: Fused) -> float:
    return sum(
        visits
        for planned in fused.plans
        for view, visits in planned.expected.visits.items()
        if view.op is not None and view.op.fn == "mul"
    )


def test_global_iteration_multiplies_in_one_space() -> None:
    factored = compiled("fuse g = T1, U1 { iterate factored; };").plans[0]
    joint = compiled("fuse g = T1, U1 { iterate global; };").plans[0]
    (product,) = [view for view in joint.plan.graph.ops if view.value == "T1"]
    assert set(joint.plan.nests[product].full) == set("ijkm")
    assert sum(node.op is Op.REDUCE or node.op is Op.SPACC for node in factored.kernel.nodes) == 2
    (root,) = [op for op in joint.region.ops if op.name == "U1"]
    assert set(root.over) == {"k", "j"}
    # Both products run in the joint space, which is larger than either factored one.
    visits = {view.value: n for view, n in joint.expected.visits.items()}
    assert visits["T1"] == visits["U1"]
    assert visits["U1"] == pytest.approx(
        math.prod(joint.plan.graph.classes.values()) * joint.space.occupancies["A"][1]
    )


def test_global_iteration_stops_at_what_is_not_linear() -> None:
    fused = compiled("fuse g = T1 .. H { iterate global; };")
    (relu,) = [op for op in fused.plans[0].region.ops if op.name == "H"]
    assert str(relu) == "H[i,m] = relu(U1[i,m])"


def test_the_association_is_a_choice() -> None:
    fused = compiled("budget recompute=9; fuse l1 = T1, U1 { assoc A (X W1); };")
    first, root = fused.plans[0].region.ops
    assert [access.value for access in first.operands] == ["X", "W1"]
    assert [access.value for access in root.operands] == ["A", "T1.reassociated"]
    same = compiled("fuse l1 = T1, U1 { assoc (A X) W1; };")
    assert [str(op) for op in same.plans[0].region.ops] == [str(op) for op in network().einsums[:2]]


def test_the_compiler_associates_where_that_saves_products() -> None:
    plain, chosen = compiled(""), compiled("reassociate on;")
    assert multiplications(chosen) < multiplications(plain)
    assert any(note.startswith("multiplied as A (X W1): about") for note in chosen.program.notes)


def test_long_chains_may_be_grouped_in_any_way() -> None:
    rng = np.random.default_rng(1)
    shapes = {"A": (2, 3), "B": (3, 4), "C": (4, 5), "D": (5, 2)}
    graph = make_graph(
        [
            "P[i,k] = add[j] mul(A[i,j], B[j,k])",
            "Q[i,l] = add[k] mul(P[i,k], C[k,l])",
            "Z[i,m] = add[l] mul(Q[i,l], D[l,m])",
        ],
        tensors={name: rng.normal(size=shape) for name, shape in shapes.items()},
    )
    for text in ("A (B (C D))", "(A B) (C D)", "A ((B C) D)", "(A (B C)) D", "((A B) C) D"):
        fused = compiled(f"for Z {{ assoc {text}; }};", graph)
        assert len(fused.state.graph.einsums) == 3
    assert "assoc A (B (C D));" in compiled("for Z { assoc A (B (C D)); };", graph).program.schedule
