"""What cannot be imported: one error with every finding, each with its place in the model."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.frontend.torch.pt2 import import_pt2
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.frontend.imports import Function, assert_equal_to_reference, draw, imported


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, 3, 3)
        self.body = nn.Conv1d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(self.body(torch.relu(self.stem(x))), -1)


def test_every_unsupported_operator_is_reported_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        imported(Convolutions(), draw(1, 2, 9))
    assert [finding.rule for finding in caught.value.findings] == ["I001 unsupported-operator"] * 2
    convolution, cumulative = map(str, caught.value.findings)
    assert "aten.convolution is not supported; it occurs 2 times" in convolution
    assert "(stem)" in convolution
    assert "(body)" in convolution
    assert "aten.cumsum" in cumulative


def test_finding_names_file_line_and_node() -> None:
    with pytest.raises(ModelError) as caught:
        imported(Convolutions(), draw(1, 2, 9))
    where = caught.value.findings[1].where
    assert where.file is not None
    assert where.file.startswith("test_torch_errors.py:")
    assert where.node == "cumsum"


def test_operator_behind_an_unsupported_one_is_not_blamed() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: torch.relu(x.cumsum(0)) @ x, draw(4, 4))
    assert len(caught.value.findings) == 1


def test_positions_of_a_maximum_are_refused_where_they_are_used() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x.max(1)[1].float(), draw(3, 4))
    assert "result 1 of its operand" in str(caught.value)


def test_random_numbers_are_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x + torch.rand(4), draw(4))
    assert "random numbers" in str(caught.value)


def test_branches_of_control_flow_are_reported_as_one_call() -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.cond(torch.ones(1) > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    with pytest.raises(ModelError) as caught:
        imported(forward, draw(4))
    assert "cond (not an ATen operator)" in str(caught.value)


def test_number_read_from_a_tensor_is_refused_with_its_reason() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x * x.sum().item(), draw(4))
    assert "its result or shape depends on values" in str(caught.value)


def test_control_flow_on_values_is_explained() -> None:
    def forward(x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x

    with pytest.raises(ModelError) as caught:
        imported(forward, draw(4))
    assert caught.value.rule == "I003 data-dependent"
    assert caught.value.findings[0].fix is not None
    assert "\n" not in str(caught.value)


def test_shape_that_depends_on_values_is_explained() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x[x > 0].sum(), draw(4))
    assert "\n" not in str(caught.value)


def test_model_that_does_not_run_says_where() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x @ x, draw(3, 4))
    assert caught.value.rule == "I006 eager-failed"
    assert caught.value.findings[0].where.file is not None
    assert caught.value.findings[0].where.file.startswith("test_torch_errors.py:")


def test_rounding_division_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x, y: torch.div(x, y, rounding_mode="floor"), draw(4), draw(4, seed=1))
    assert "rounding_mode" in str(caught.value)


def test_diagonal_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: torch.einsum("ii->i", x), draw(4, 4))
    assert caught.value.rule == "I009 operand-shape"


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x, w: x * w, draw(4), buffers={"w": torch.ones(4, dtype=torch.complex64)})
    assert caught.value.rule in ("I008 complex-tensor", "I001 unsupported-operator")


def test_tensor_without_elements_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: x + 1, torch.zeros(0, 3))
    assert caught.value.rule == "I011 empty-tensor"


# Saved exports.


def save(path: Path, module: nn.Module, *args: Tensor, **keywords: object) -> Path:
    torch.export.save(torch.export.export(module, args, **keywords), path)  # type: ignore[arg-type]
    return path


def test_saved_export_gives_the_same_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    graph = import_pt2(save(tmp_path / "mlp.pt2", module, draw(5, 4)))
    verify_einsum_graph(graph)
    assert_equal_to_reference(graph)
    direct = imported(module, draw(5, 4))
    assert graph.name == "mlp"
    assert list(map(str, graph.einsums)) == list(map(str, direct.einsums))


def test_saved_export_with_dynamic_shapes_is_explained(tmp_path: Path) -> None:
    rows = torch.export.Dim("rows", min=2, max=64)
    path = save(tmp_path / "m.pt2", nn.Linear(4, 3), draw(5, 4), dynamic_shapes=({0: rows},))
    with pytest.raises(ModelError) as caught:
        import_pt2(path)
    assert caught.value.rule == "I015 dynamic-shape"


def test_missing_file_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        import_pt2(tmp_path / "absent.pt2")
    assert caught.value.rule == "U003 no-file"


def test_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.pt2"
    path.write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(ModelError) as caught:
        import_pt2(path)
    assert caught.value.rule == "I005 bad-pt2"
    assert "\n" not in str(caught.value)


# Formats that do not fit.


def with_formats(**formats: str) -> None:
    module = Function(lambda x, w: F.relu(x @ w), w=draw(4, 5))
    options = ImportOptions(formats=formats)
    import_torch(module, (draw(3, 4),), input_names=("x",), options=options)


def test_format_for_an_unknown_tensor_lists_close_names() -> None:
    with pytest.raises(UsageError) as caught:
        with_formats(ww="dense,compressed")
    assert caught.value.rule == "U120 unknown-tensor"
    assert caught.value.findings[0].fix == "use one of w"


@pytest.mark.parametrize(
    "text", ["dense", "dense,odd", "dense,dense,dense", "dense,compressed@1,1", "dense,dense/2x2"]
)
def test_format_that_does_not_fit_names_the_tensor(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        with_formats(w=text)
    assert caught.value.rule == "I021 bad-format"
    assert caught.value.findings[0].where.field == "w"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_widths_are_computed_with_as_float32(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).to(dtype)
    graph = imported(module, draw(3, 4).to(dtype))
    is_narrow = dtype != torch.float64
    assert any("are read as float32, as are inputs" in note for note in graph.notes) == is_narrow
    assert next(module.parameters()).dtype == dtype


def test_a_model_without_weights_says_how_to_get_some() -> None:
    with torch.device("meta"):
        module = nn.Linear(4, 4)
    with pytest.raises(ModelError, match="give it weights") as caught:
        imported(module, draw(3, 4))
    assert caught.value.rule == "I006 eager-failed"


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_model_is_refused_with_the_float_model_as_the_fix() -> None:
    kinds = {nn.Linear}
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), kinds)
    with pytest.raises(ModelError, match="before it was quantised"):
        imported(module, draw(3, 4))


def test_a_compiled_module_is_imported_as_what_was_compiled() -> None:
    graph = imported(torch.compile(nn.Linear(4, 4)), draw(3, 4))
    assert {"weight", "bias"} <= graph.values.keys()
