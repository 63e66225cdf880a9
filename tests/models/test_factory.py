"""A user's own factory is found, called with typed settings, and its result understood."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fuseflow.errors import FuseflowError, ModelError, UsageError
from fuseflow.models import ModelCase, factory

SOURCE = """
import torch
from torch import nn
from fuseflow.models import ModelCase


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dropout = nn.Dropout()
        self.linear = nn.Linear(width, 2)

    def forward(self, image, scale):
        return self.dropout(self.linear(image)) * scale


def pair(width: int = 3, sparse: bool = False, label="x"):
    assert isinstance(width, int) and isinstance(sparse, bool) and label == "x"
    return Net(width), (torch.ones(4, width), torch.rand(2))


def case(width: int):
    inputs = (torch.ones(4, width), torch.ones(2))
    return ModelCase("mine", Net(width), inputs, ("a", "b"), {"a": "dense,compressed"})


def only_module():
    return Net(3)


def numbers_as_inputs():
    return Net(3), (1, 2)


def fails():
    raise RuntimeError("no weights here")


constant = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module `own_models` on the path, that no other test sees."""
    import sys

    (tmp_path / "own_models.py").write_text(SOURCE)
    (tmp_path / "broken_models.py").write_text("import no_such_dependency")
    (tmp_path / "bad_models.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_models"
    sys.modules.pop("own_models", None)


def test_pair_is_named_after_forward_and_frozen(module: str) -> None:
    case = factory.build(f"{module}:pair", {"width": "5"})
    assert case.input_names == ("image", "scale")
    assert case.args[0].shape == (4, 5)
    assert not case.module.training
    assert not any(each.requires_grad for each in case.module.parameters())


def test_case_is_taken_as_it_is(module: str) -> None:
    case = factory.build(f"{module}:case", {"width": "5"})
    assert (case.name, case.input_names, case.formats) == (
        "mine",
        ("a", "b"),
        {"a": "dense,compressed"},
    )
    assert not case.module.training


def test_unseeded_factory_gives_the_same_model_every_time(module: str) -> None:
    first, second = (factory.build(f"{module}:pair", {}) for _ in range(2))
    assert torch.equal(first.module.linear.weight, second.module.linear.weight)
    assert torch.equal(first.args[1], second.args[1])


def test_parameters_are_those_of_the_signature(module: str) -> None:
    parameters = factory.parameters(f"{module}:pair")
    assert [(each.name, each.type, each.default) for each in parameters] == [
        ("width", int, "3"),
        ("sparse", bool, "False"),
        ("label", str, "'x'"),
    ]


@pytest.mark.parametrize(
    ("name", "settings", "error", "words"),
    [
        (":pair", {}, UsageError, "U108.*package.module:factory"),
        ("own_models", {}, UsageError, "U108.*package.module:factory"),
        ("no_such_models:pair", {}, UsageError, 'U108.*"no_such_models"'),
        ("broken_models:pair", {}, UsageError, 'U108.*"no_such_dependency"'),
        ("bad_models:pair", {}, ModelError, "I102.*ZeroDivisionError"),
        ("own_models:pairs", {}, UsageError, 'U108.*did you mean "pair"'),
        ("own_models:constant", {}, UsageError, "U108.*cannot be called"),
        ("own_models:pair", {"wdth": "3"}, UsageError, 'U102.*"width"'),
        ("own_models:pair", {"width": "wide"}, UsageError, "U103.*an integer"),
        ("own_models:case", {}, UsageError, 'U103.*"width"'),
        ("own_models:fails", {}, ModelError, "I102.*no weights here"),
        ("own_models:only_module", {}, ModelError, "I103.*Net"),
        ("own_models:numbers_as_inputs", {}, ModelError, "I103.*tuple"),
    ],
)
def test_what_is_wrong_is_said_in_one_error(
    module: str, name: str, settings: dict[str, str], error: type[FuseflowError], words: str
) -> None:
    with pytest.raises(error, match=words):
        factory.build(name, settings)


def test_inputs_beyond_the_named_ones_get_numbers() -> None:
    class Many(torch.nn.Module):
        def forward(self, first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            return first + sum(rest)

    case = factory.as_case((Many(), [torch.ones(1)] * 3), "many")
    assert case.input_names == ("first", "input_1", "input_2")


def test_names_must_match_inputs_in_number() -> None:
    with pytest.raises(ValueError, match="1 inputs have 2 names"):
        ModelCase("bad", torch.nn.Identity(), (torch.ones(1),), ("a", "b"))
