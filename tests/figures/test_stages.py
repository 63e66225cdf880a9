"""Closed forms: they count what a stage must do, and give the published sizes their floors."""

from __future__ import annotations

import numpy as np
import pytest

from tools.figures.configs import CONFIGS, decoder_configs
from tools.figures.graphs import GRAPHS, Kind
from tools.figures.kernels import Workload
from tools.figures.stages import (
    Matrix,
    Stage,
    dense_features,
    kernel_floor,
    sparse_features,
)
from tools.figures.workloads import Decoder, GraphNetwork


def test_a_kernel_takes_as_long_as_its_longest_stage() -> None:
    stages = (Stage("a", ("a*",), 10, 3), Stage("b", ("b",), 7))
    assert kernel_floor(stages, ["a1"]) == (13, 10)
    assert kernel_floor(stages, ["a1", "a2"]) == (13, 10)
    assert kernel_floor(stages, ["a1", "b"]) == (10, 10)
    assert kernel_floor(stages, ["b"], lanes=2) == (4, 4)
    with pytest.raises(KeyError, match="c"):
        kernel_floor(stages, ["b", "c"])


def test_a_stage_is_computed_anew_only_in_the_kernel_of_its_user() -> None:
    stages = (Stage("a", ("a",), 10, 0, 40, "c"), Stage("b", ("b",), 7), Stage("c", ("c",), 5))
    assert kernel_floor(stages, ["a", "b"]) == (10, 10)
    assert kernel_floor(stages, ["a", "b", "c"]) == (40, 40)


def test_one_loop_nest_is_the_product_of_all() -> None:
    stages = (Stage("a", ("a",), 10), Stage("b", ("b",), 7, joint=50), Stage("c", ("c",), 5))
    assert kernel_floor(stages, ["a", "b"], joint=True) == (50, 50)
    assert kernel_floor(stages, ["c"], joint=True) == (5, 5)


def test_features_without_zeros_have_the_dense_count() -> None:
    rng = np.random.default_rng(3)
    rows, columns = np.nonzero(rng.random((7, 7)) < 0.4)
    weight = np.array([2, 1, 3, 1, 2])
    product = sparse_features(rows, columns, np.ones((7, 5), np.float32), weight, weight)
    assert set(rows) == set(range(7))
    degrees = np.bincount(rows, minlength=7)
    two_hops = int(degrees[columns].sum())
    assert product == dense_features(7, len(rows), two_hops, 5, Matrix(9, 5))


def test_zeros_of_features_are_not_walked() -> None:
    rows, columns = np.array([0, 1]), np.array([1, 0])
    features = np.array([[1, 0, 0], [1, 1, 0]], np.float32)
    product = sparse_features(rows, columns, features, np.array([4, 0, 9]), np.array([1, 1, 1]))
    # A X has rows {0, 1} and {0}; each element walks its row of W and one stop.
    assert (product.aggregate, product.transform, product.own) == (3 + 2, 5 + 1 + 5, 4 + 2)
    assert (product.aggregate_again, product.transform_again) == (2 + 3, 5 + 6)


def floors(workload: Workload, groups: list[list[str]]) -> int:
    stages = workload.expected()
    return sum(kernel_floor(stages, ops)[0] for ops in groups)


GCN_LAYER_1 = ["layer1.matmul", "layer1.linear.matmul", "layer1.linear.add", "layer1.activation.x"]
GCN_LAYER_2 = [op.replace("layer1", "layer2") for op in GCN_LAYER_1]


def test_floors_of_gcn_on_cora() -> None:
    gcn = GraphNetwork("gcn", GRAPHS["cora"])
    assert floors(gcn, [GCN_LAYER_1, GCN_LAYER_2]) == pytest.approx(28.9e6, rel=0.005)
    assert floors(gcn, [GCN_LAYER_1 + GCN_LAYER_2]) == pytest.approx(165.1e6, rel=0.005)
    alone = floors(gcn, [[op] for op in GCN_LAYER_1 + GCN_LAYER_2])
    assert alone == pytest.approx(48.4e6, rel=0.005)


@pytest.mark.parametrize(("block", "unfused"), [(16, 98.3e9), (32, 99.7e9), (64, 101.8e9)])
def test_floors_of_gpt_at_full_size(block: int, unfused: float) -> None:
    decoder = Decoder(1024, 768, 12, 3072, block, Kind.EXACT_SYNTHETIC)
    stages = decoder.expected()
    assert len(stages) == 22
    alone = sum(stage.work + stage.drain for stage in stages)
    # Projections are split into heads here: 12 stops per row instead of one.
    assert 12 * alone == pytest.approx(unfused, rel=0.01)


def test_scores_are_sampled_only_where_the_mask_is_in_the_kernel() -> None:
    decoder = Decoder(64, 48, 12, 192, 2, Kind.REDUCED, masked_first=True)
    stages = decoder.expected()
    dense, _ = kernel_floor(stages, ["blocks.0.attention.matmul"])
    both, _ = kernel_floor(stages, ["blocks.0.attention.matmul", "blocks.0.attention.masked"])
    assert dense == 12 * 64 * 65 * (4 + 1)
    assert both == 12 * 1072 * (4 + 1)


def test_kernels_of_equal_decoders_are_counted_once_and_multiplied() -> None:
    configs = decoder_configs()
    partial, full = configs["partial"], configs["full"]
    assert partial.runs(["blocks.0.attention.masked"]) == 12
    assert full.runs(["blocks.0.projection.query.add"]) == 1
    assert full.runs(["blocks.0.feedforward.add", "blocks.1.projection.key.add"]) == 11
    assert [full.runs([f"blocks.{n}.attention.matmul"]) for n in (0, 1)] == [12, 0]
    assert full.runs(["blocks.1.feedforward.add"]) == 1
    key = ["blocks.0.projection.key.add"]
    assert [each.runs(key, one_projection=True) for each in (partial, full)] == [0, 0]


def test_configurations_have_names_of_their_own() -> None:
    for configs in (*CONFIGS.values(), decoder_configs()):
        assert all(name == config.name for name, config in configs.items())
