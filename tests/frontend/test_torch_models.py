"""Whole modules: the reference models, modules as users write them, sparse layouts, pruning."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph, Role
from fuseflow.models import zoo
from tests.frontend.imports import draw, functions, imported


def from_zoo(name: str, **settings: str) -> EinsumGraph:
    case = zoo.build(name, settings)
    return imported(
        case.module, *case.args, name=name, input_names=case.input_names, formats=case.formats
    )


@pytest.mark.parametrize("name", zoo.names())
def test_reference_model_imports_and_agrees_with_torch(name: str) -> None:
    graph = from_zoo(name)
    assert graph.name == name
    assert not any(access.value == "select" for access in graph.accesses())


def test_gcn_multiplies_in_the_order_it_is_written() -> None:
    graph = from_zoo("gcn")
    products = [op for op in graph.einsums if op.fn == "mul"]
    reads = [[access.value for access in op.operands] for op in products]
    assert reads == [
        ["adj", "x"],
        ["layer1.matmul", "layer1.linear.weight"],
        ["adj", "layer1.activation.relu"],
        ["layer2.matmul", "layer2.linear.weight"],
    ]
    assert [op.over for op in products] == [("j",), ("k",), ("j",), ("m",)]


def test_adjacency_keeps_the_format_that_comes_with_the_model() -> None:
    value = from_zoo("gcn").values["adj"]
    assert (str(value.format), value.origin) == ("compressed,compressed", "model")
    assert value.role is Role.INPUT
    assert value.tensor is not None
    assert value.tensor.stored == 156


def test_pruned_weights_are_found_by_their_zeros() -> None:
    graph = from_zoo("sae", weight_sparsity="0.9")
    weight = graph.values["encoder.linear.weight"]
    assert weight.origin == "zeros"
    assert weight.shape == (64, 32)


def test_blocks_share_the_index_names_of_what_runs_through_them() -> None:
    graph = from_zoo("gpt", layers="2", seq="32", dim="32", ffn="48")
    assert graph.values["blocks.1.attention.matmul"].shape == (4, 32, 32)
    assert graph.einsums[0].output.indices == graph.einsums[-1].output.indices[:1]


def test_the_same_model_gives_the_same_graph_twice() -> None:
    first, second = from_zoo("gpt", seq="32"), from_zoo("gpt", seq="32")
    assert list(map(str, first.einsums)) == list(map(str, second.einsums))
    assert list(first.values) == list(second.values)
    assert first.notes == second.notes


def test_import_does_not_change_the_module() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    before = copy.deepcopy(module.state_dict())
    imported(module, draw(3, 4))
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


# Source locations.


def test_every_einsum_says_where_it_comes_from() -> None:
    for op in from_zoo("gpt").einsums:
        (source,) = op.sources
        assert (source.file, source.op[:5]) == ("gpt.py", "aten.")
        assert source.line > 0
        assert source.scopes[0] == ("", "GPT")


def test_scopes_are_the_chain_of_modules_outermost_first() -> None:
    op = next(op for op in from_zoo("gpt").einsums if "query" in op.name)
    assert op.sources[0].scopes == (
        ("", "GPT"),
        ("blocks.0", "DecoderBlock"),
        ("blocks.0.projection", "Projection"),
        ("blocks.0.projection.query", "Linear"),
    )


# Modules of users.


class MixerBlock(nn.Module):
    """Mixes tokens, then channels, each behind a norm and with a residual."""

    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(channels), nn.LayerNorm(channels)])
        self.tokens = nn.Sequential(nn.Linear(tokens, 12), nn.GELU(), nn.Linear(12, tokens))
        self.channels = nn.Sequential(nn.Linear(channels, 12), nn.GELU(), nn.Linear(12, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        result: Tensor = x + self.channels(self.norms[1](x))
        return result


class FusedAttention(nn.Module):
    """Self-attention with one projection for queries, keys and values, and a causal mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, rows, width = x.shape
        q, k, v = self.qkv(x).split(width, dim=2)
        q, k, v = (y.view(batch, rows, self.heads, -1).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        result: Tensor = self.out(y.transpose(1, 2).contiguous().view(batch, rows, width))
        return result


class Gated(nn.Module):
    """A gated feed-forward layer behind an RMS norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.gate, self.up = nn.Linear(width, 16, bias=False), nn.Linear(width, 16, bias=False)
        self.down = nn.Linear(16, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        result: Tensor = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return result


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), (5, 6)),
    "mixer": (lambda: MixerBlock(5, 8), (2, 5, 8)),
    "attention": (lambda: FusedAttention(8, 2), (2, 5, 8)),
    "gated": (lambda: Gated(8), (5, 8)),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
        (2, 5, 8),
    ),
    "batch norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)), (5, 6)),
}


@pytest.mark.parametrize("text", MODULES)
def test_module_of_a_user_agrees_with_torch(text: str) -> None:
    make, shape = MODULES[text]
    torch.manual_seed(0)
    imported(make(), draw(*shape))


CELLS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "lstm cell": (lambda: nn.LSTMCell(4, 3), ((2, 4),)),
    "rnn cell": (lambda: nn.RNNCell(4, 3), ((2, 4), (2, 3))),
    "cosine similarity": (lambda: nn.CosineSimilarity(), ((3, 4), (3, 4))),
    "group norm": (lambda: nn.GroupNorm(2, 4), ((3, 4, 5),)),
    "weight norm": (
        lambda: torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)),
        ((3, 4),),
    ),
}


@pytest.mark.parametrize("text", CELLS)
def test_module_of_many_parts_agrees_with_torch(text: str) -> None:
    make, shapes = CELLS[text]
    torch.manual_seed(0)
    imported(make(), *(draw(*shape, seed=n) for n, shape in enumerate(shapes)))


def test_tied_weights_are_one_value_stored_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens: Tensor) -> Tensor:
            result: Tensor = self.head(torch.relu(self.table(tokens)))
            return result

    graph = imported(Tied(), torch.tensor([1, 5, 2]))
    assert sum(value.role is Role.PARAMETER for value in graph.values.values()) == 1


def test_embedding_of_bound_tokens_reads_rows_of_the_table() -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)
            self.out = nn.Linear(4, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            result: Tensor = self.out(self.table(tokens))
            return result

    graph = imported(Embedded(), torch.tensor([[1, 5, 2], [0, 0, 9]]))
    assert functions(graph) == ["add:mul", "add:mul", "add"]
    tokens = graph.values["tokens"]
    assert (tokens.role, tokens.shape) == (Role.INPUT, (2, 3, 10))
    assert tokens.tensor is not None
    assert tokens.tensor.stored == 6


def test_several_outputs_are_numbered() -> None:
    graph = imported(lambda x: (x + 1, {"twice": x * 2}), draw(3))
    assert [output.name for output in graph.outputs] == ["output_0", "output_1"]


def test_input_that_is_not_used_is_left_out_with_a_note() -> None:
    graph = imported(lambda x, y: x + 1, draw(3), draw(4))
    assert "args_1" not in graph.values
    assert "input args_1 is not used" in graph.notes


def test_weight_used_twice_is_one_value() -> None:
    graph = imported(lambda x, w: x @ w @ w.T, draw(3, 4), buffers={"w": draw(4, 5)})
    assert [str(op.operands[1]) for op in graph.einsums] == ["w[j,k]", "w[j,k]"]


# Pruning and sparse layouts.


def pruned() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.Linear(16, 8)
    prune.random_unstructured(layer, "weight", amount=0.8)
    return layer


def test_masks_of_pruning_are_folded_into_the_weight() -> None:
    graph = imported(pruned(), draw(3, 16))
    value = graph.values["weight"]
    assert value.origin == "zeros"
    assert value.tensor is not None
    assert value.tensor.stored == 26
    assert functions(graph) == ["add:mul", "add"]


def test_pruning_made_permanent_gives_the_same_graph() -> None:
    attached = imported(pruned(), draw(3, 16))
    permanent = imported(prune.remove(pruned(), "weight"), draw(3, 16))
    assert list(map(str, attached.einsums)) == list(map(str, permanent.einsums))
    assert attached.notes == permanent.notes


def sparse(rows: int = 8, columns: int = 8) -> Tensor:
    dense = draw(rows, columns, seed=3)
    return dense * (dense > 1)


LAYOUTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "coo": (lambda x: x.to_sparse_coo(), "compressed,compressed"),
    "csr": (lambda x: x.to_sparse_csr(), "dense,compressed"),
    "csc": (lambda x: x.to_sparse_csc(), "dense,compressed@1,0"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_layout_of_an_input_is_its_format(layout: str) -> None:
    convert, expected = LAYOUTS[layout]
    graph = imported(lambda a, x: a @ x, convert(sparse()), draw(8, 3))
    value = graph.values["args_0"]
    assert (str(value.format), value.origin) == (expected, "layout")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_layout_of_a_buffer_is_kept(layout: str) -> None:
    convert, expected = LAYOUTS[layout]
    graph = imported(lambda x, a: a @ x, draw(8, 3), buffers={"a": convert(sparse())})
    value = graph.values["a"]
    assert value.origin == "layout"
    assert str(value.format) == expected.partition("@")[0]


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_parameter_with_gradient_does_not_abort_torch() -> None:
    layer = nn.Linear(8, 4, bias=False)
    layer.weight = nn.Parameter(sparse(4, 8).to_sparse_csr())
    graph = imported(layer, draw(3, 8))
    assert graph.values["weight"].origin == "layout"


@pytest.mark.filterwarnings("ignore:Sparse")
def test_product_for_sparse_matrices_is_a_product() -> None:
    graph = imported(lambda a, x: torch.sparse.mm(a, x), sparse().to_sparse_csr(), draw(8, 3))
    assert functions(graph) == ["add:mul"]


def test_reference_is_left_out_on_request() -> None:
    graph = import_torch(nn.Linear(4, 3), (draw(2, 4),), options=ImportOptions(reference=False))
    assert graph.outputs[0].reference is None
