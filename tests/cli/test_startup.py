"""`--help` is instant: it loads nothing that a stage needs."""

import subprocess
import sys

import pytest

from fuseflow.cli.fuse_options import STRATEGIES
from fuseflow.fusion import Strategy

COMMANDS = ["ff_import", "ff_fuse", "ff_sim", "ff_show"]
HEAVY = ["numpy", "scipy", "networkx", "torch", "onnx", "matplotlib", "google", "rich"]


def imports_of(program: str) -> set[str]:
    """The top-level packages, and modules of fuseflow, that a program imports."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split("|")[-1].strip() for line in result.stderr.splitlines() if "|" in line]
    return {name.partition(".")[0] for name in rows} | set(rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_no_stage_and_no_library(command: str) -> None:
    program = (
        f"from fuseflow.cli.{command} import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    )
    imported = imports_of(program)
    assert imported & set(HEAVY) == set()
    layers = {name.split(".")[1] for name in imported if name.startswith("fuseflow.")}
    assert layers == {"cli", "errors"}


def test_a_usage_error_loads_no_stage_either() -> None:
    program = "from fuseflow.cli.ff_fuse import main\nassert main(['--nonsense']) == 2"
    assert imports_of(program) & set(HEAVY) == set()


def test_the_strategies_on_offer_are_those_of_the_compiler() -> None:
    assert tuple(strategy.value for strategy in Strategy) == STRATEGIES
