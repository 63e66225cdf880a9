"""The layers hold in the package, and the checker notices when they do not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.check_layers import LAYERS, check_tree, main

ROOT = Path(__file__).resolve().parents[1]
HEAVY = frozenset({"torch", "onnx", "matplotlib", "dask"})


def _packages_and_commands() -> list[str]:
    """Every layer that exists, and every module of the commands."""
    package = ROOT / "fuseflow"
    layers = [f"fuseflow.{name}" for name in sorted(LAYERS) if (package / name).is_dir()]
    commands = [f"fuseflow.cli.{path.stem}" for path in sorted(package.glob("cli/ff_*.py"))]
    return ["fuseflow", *layers, *commands]


def _check(tmp_path: Path, **sources: str) -> list[str]:
    """Violations in a tree of modules named like ``ir__tensor``, as ``file:line: rule``."""
    for name, source in sources.items():
        path = tmp_path.joinpath("fuseflow", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return [f"{v.path}:{v.line}: {v.rule}" for v in check_tree(tmp_path)]


def test_package_keeps_its_layers() -> None:
    assert [str(violation) for violation in check_tree(ROOT)] == []


@pytest.mark.parametrize("module", _packages_and_commands())
def test_import_loads_no_heavy_package(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize(
    ("layer", "statement", "rule"),
    [
        ("ir", "import fuseflow.wire", "upward"),
        ("ir", "from fuseflow import wire", "upward"),
        ("ir", "from fuseflow.sim.engine import run", "upward"),
        ("errors", "from fuseflow.ir import Tensor", "upward"),
        ("fusion", "from fuseflow.cli.ff_fuse import main", "upward"),
        ("fusion", "import fuseflow.sim.engine", "sibling"),
        ("sim", "from fuseflow.frontend import load", "sibling"),
        ("sim", "from ..fusion import lower", "sibling"),
        ("sim", "from .. import fusion", "sibling"),
        ("sim", "import importlib\nimportlib.import_module('fuseflow.fusion')", "sibling"),
        (
            "sim",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import fuseflow.fusion",
            "sibling",
        ),
        ("sim", "def f():\n    import fuseflow.fusion", "sibling"),
        ("sim", "import fuseflow.nowhere", "unknown-layer"),
        ("nowhere", "import os", "unknown-layer"),
        ("ir", "import scipy.sparse", "third-party"),
        ("ir", "def f():\n    import torch", "third-party"),
        ("fusion", "def f():\n    import torch", "third-party"),
        ("sim", "import onnx.helper", "third-party"),
        ("models", "import onnx", "third-party"),
        ("sim", "from google.protobuf import text_format", "third-party"),
        ("sim", "from google import protobuf", "third-party"),
        ("cli", "from fuseflow.v1 import einsum_pb2", "third-party"),
        ("cli", "from fuseflow import v1", "third-party"),
        ("frontend", "import torch", "deferred"),
        ("frontend", "try:\n    import onnx\nexcept ImportError:\n    pass", "deferred"),
        ("frontend", "class Importer:\n    import torch.export", "deferred"),
    ],
)
def test_checker_reports(tmp_path: Path, layer: str, statement: str, rule: str) -> None:
    found = _check(tmp_path, **{f"{layer}__module": statement})
    assert [line.split(": ")[1] for line in found] == [rule]


@pytest.mark.parametrize(
    ("layer", "statement"),
    [
        ("ir", "import numpy as np\nimport dataclasses\nfrom fuseflow.errors import FuseflowError"),
        (
            "ir",
            "from fuseflow.ir.tensor import Level\nfrom . import tensor\nfrom .tensor import Level",
        ),
        ("ir", "from fuseflow import __version__"),
        ("wire", "from google.protobuf import text_format\nfrom fuseflow.v1 import einsum_pb2"),
        ("wire", "from fuseflow.ir import Tensor"),
        ("frontend", "def load():\n    import torch\n    from onnx import helper"),
        ("frontend", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("models", "import torch"),
        ("fusion", "import scipy.sparse\nimport networkx as nx\nimport fuseflow.wire.codec"),
        ("cli", "import fuseflow.sim\nfrom fuseflow import fusion, frontend, ir"),
        ("v1", "import fuseflow.cli\nimport torch"),
    ],
)
def test_checker_accepts(tmp_path: Path, layer: str, statement: str) -> None:
    assert _check(tmp_path, **{f"{layer}__module": statement}) == []


def test_checker_names_file_and_line(tmp_path: Path) -> None:
    found = _check(tmp_path, sim__good="import os", sim__engine__bad="import os\n\nimport torch\n")
    assert found == ["fuseflow/sim/engine/bad.py:3: third-party"]


def test_checker_reads_cython_imports(tmp_path: Path) -> None:
    source = tmp_path / "fuseflow" / "sim" / "core.pyx"
    source.parent.mkdir(parents=True)
    source.write_text(
        "from libc.stdint cimport int64_t\ncimport cython\nfrom fuseflow.sim.ring cimport Ring\n"
        "from fuseflow.fusion.tables cimport Table\ncimport torch\n"
    )
    assert [(v.line, v.rule) for v in check_tree(tmp_path)] == [(4, "sibling"), (5, "third-party")]


def test_package_root_imports_no_layer(tmp_path: Path) -> None:
    root = tmp_path / "fuseflow" / "__init__.py"
    root.parent.mkdir()
    root.write_text("import sys\nfrom fuseflow.ir import Tensor\nimport numpy\n")
    assert [(v.line, v.rule) for v in check_tree(tmp_path)] == [(2, "upward"), (3, "third-party")]


def test_package_root_may_offer_layers_that_it_does_not_load(tmp_path: Path) -> None:
    root = tmp_path / "fuseflow" / "__init__.py"
    root.parent.mkdir()
    root.write_text("def offer():\n    import fuseflow.frontend\n    import torch\n")
    assert [(v.line, v.rule) for v in check_tree(tmp_path)] == [(3, "third-party")]


def test_command_prints_violations_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _check(tmp_path, ir__bad="import fuseflow.sim")
    assert main([str(tmp_path)]) == 1
    expected = "fuseflow/ir/bad.py:1: upward: ir must not import sim (fuseflow.sim)\n"
    assert capsys.readouterr().out == expected


def test_command_is_silent_on_a_good_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _check(tmp_path, ir__good="import numpy")
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
