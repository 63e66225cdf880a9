"""`--help` is instant: it loads nothing that a stage needs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fuseflow.cli import start
from fuseflow.cli.fuse_options import STRATEGIES
from fuseflow.fusion import Strategy

OFFERED = [name.replace("-", "_") for name in start.COMMANDS]
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


@pytest.mark.parametrize("words", [["fuseflow", "ff-sim"], ["fuseflow.cli.ff_sim"]], ids=" ".join)
def test_a_command_is_a_module_too(words: list[str]) -> None:
    command = [sys.executable, "-m", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: ff-sim ")


def test_scripts_and_modules_are_the_same_commands(repository: Path) -> None:
    scripts = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {
        name: f"fuseflow.cli.start:{module}"
        for name, module in zip(start.COMMANDS, OFFERED, strict=True)
    }
    for module in OFFERED:
        source = (repository / "fuseflow" / "cli" / f"{module}.py").read_text()
        assert source.endswith('if __name__ == "__main__":\n    sys.exit(main())\n')
        assert callable(getattr(start, module))


def test_an_unknown_command_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start.main(["ff-simm"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert all(name in streams.err for name in start.COMMANDS)


def test_an_interrupt_while_a_command_is_loaded_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "import_module", interrupted)
    assert start.main(["ff-fuse"]) == 130
    assert capsys.readouterr().err == "ff-fuse: error: interrupted\n"
