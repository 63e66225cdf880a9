"""Models are found by name, shaped by settings, and refuse what does not fit."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fuseflow.errors import UsageError
from fuseflow.models import ModelCase, zoo


def _digest(case: ModelCase) -> str:
    digest = hashlib.sha256()
    tensors = [*case.module.state_dict().values(), *case.args]
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def test_zoo_lists_models_without_importing_torch() -> None:
    code = (
        "import sys; from fuseflow.models import zoo\n"
        "print(sum(len(zoo.parameters(name)) for name in zoo.names()) > 0, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_every_parameter_is_explained() -> None:
    for name in zoo.names():
        assert zoo.describe(name)
        for parameter in zoo.parameters(name):
            assert parameter.default
            assert parameter.description


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("gcn", "4b79e934974da9bd"),
        ("graphsage", "681dd8e2c1592a6f"),
        ("sae", "f9fdf9bd52f0ca4f"),
        ("gpt", "3b906ee9c4e3c32e"),
    ],
)
def test_weights_and_inputs_of_a_seed_never_change(name: str, digest: str) -> None:
    assert _digest(zoo.build(name, {})) == digest


@pytest.mark.parametrize("name", ["gcn", "graphsage", "sae", "gpt"])
def test_seed_changes_weights(name: str) -> None:
    assert _digest(zoo.build(name, {})) != _digest(zoo.build(name, {"seed": "1"}))


def test_building_leaves_the_random_numbers_of_torch_alone() -> None:
    before = torch.random.get_rng_state()
    zoo.build("sae", {})
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'U101.*no model "graphsge".*"graphsage"'):
        zoo.build("graphsge", {})


def test_missing_torch_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"U107.*zoo:gcn.*fuseflow\[torch\]"):
        zoo.build("gcn", {})


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("gcn", {"hiddn": "8"}, 'zoo:gcn has no setting "hiddn".*"hidden"'),
        ("gcn", {"weight_density": "0"}, "weight_density"),
        ("gcn", {"nodes": "10"}, "nodes applies to graph=powerlaw only"),
        ("gcn", {"graph": "karat"}, 'U106.*karat.*name "karate"'),
        ("gcn", {"graph": "powerlaw", "nodes": "100000"}, "U105.*adjacency"),
        ("gcn", {"features": "100000000"}, "U105.*features"),
        ("sae", {"weight_sparsity": "1"}, "weight_sparsity"),
        ("sae", {"input": "100000000"}, "U105.*weight"),
        ("gpt", {"block": "7"}, "block=7 must divide seq=64"),
        ("gpt", {"heads": "5"}, "heads=5 must divide dim=64"),
        ("gpt", {"random_blocks": "9"}, "random_blocks=9 must be at most seq / block = 8"),
        ("gpt", {"seq": "1048576"}, "U105.*attention"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    name: str, settings: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        zoo.build(name, settings)


@pytest.mark.parametrize("name", ["gcn", "graphsage"])
def test_graph_settings_shape_the_model(name: str) -> None:
    texts = {"graph": "powerlaw", "nodes": "40", "edges": "160", "features": "5"}
    case = zoo.build(name, texts | {"hidden": "3", "classes": "2"})
    x, adj = case.args
    assert (x.shape, adj.shape, int(adj.sum())) == ((40, 5), (40, 40), 160)
    assert case.module(x, adj).shape == (40, 2)
    assert case.formats == {"adj": "compressed,compressed"}


def test_powerlaw_defaults_are_those_of_the_help_text() -> None:
    x, adj = zoo.build("gcn", {"graph": "powerlaw"}).args
    assert (x.shape, adj.shape, int(adj.sum())) == ((256, 64), (256, 256), 6 * 256)


def test_karate_features_are_replaced_on_request() -> None:
    x, _ = zoo.build("gcn", {"features": "6"}).args
    assert x.shape == (34, 6)
    assert not (x == 0).any()


@pytest.mark.parametrize(("density", "share"), [("0.4", 0.4), ("0.5", 0.5), ("1", 1.0)])
def test_weight_density_is_met_exactly(density: str, share: float) -> None:
    module = zoo.build("gcn", {"weight_density": density}).module
    weights = [value for name, value in module.named_parameters() if name.endswith("weight")]
    assert [int((each != 0).sum()) for each in weights] == [
        round(share * each.numel()) for each in weights
    ]


@pytest.mark.parametrize("name", ["gcn", "graphsage", "sae"])
def test_stored_weights_are_eighths_and_biases_are_full(name: str) -> None:
    for key, parameter in zoo.build(name, {}).module.named_parameters():
        eighths = parameter.numpy() * 8
        assert np.array_equal(eighths, np.round(eighths))
        assert np.abs(eighths).max() <= 8
        assert key.endswith("weight") or (eighths != 0).all()


def test_autoencoder_settings_shape_the_model() -> None:
    texts = {"input": "30", "hidden": "7", "batch": "3", "weight_sparsity": "0.9"}
    case = zoo.build("sae", texts)
    assert case.args[0].shape == (3, 30)
    assert int((case.module.state_dict()["encoder.linear.weight"] != 0).sum()) == 21


def test_gpt_settings_shape_the_model() -> None:
    texts = {"seq": "32", "dim": "24", "heads": "3", "ffn": "40", "block": "4", "layers": "2"}
    case = zoo.build("gpt", texts | {"random_blocks": "1"})
    weights = case.module.state_dict()
    assert case.args[0].shape == (1, 32, 24)
    assert weights["blocks.1.feedforward.up.weight"].shape == (40, 24)
    assert weights["blocks.1.attention.mask"].shape == (32, 32)
    assert not torch.equal(
        weights["blocks.0.projection.query.weight"], weights["blocks.1.projection.query.weight"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sae", {"input": "50176", "hidden": "256", "batch": "32", "weight_sparsity": "0.9"}),
        ("gpt", {"seq": "1024", "dim": "768", "heads": "12", "ffn": "3072", "block": "16"}),
    ],
)
def test_published_sizes_are_reachable(name: str, settings: dict[str, str]) -> None:
    case = zoo.build(name, settings)
    assert torch.isfinite(case.module(*case.args)).all()


def test_graph_models_read_real_data(shared: Path) -> None:
    path = shared / "data" / "cora.npz"
    if not path.is_file():
        pytest.skip(f"no Cora data set in {path.parent}")
    case = zoo.build("gcn", {"graph": str(path)})
    result = case.module(*case.args)
    assert result.shape == (2708, 7)
    assert torch.isfinite(result).all()
    assert "cora: n 2708, a 10556, R 115158" in case.description
